"""Files: playable, small things enlarged, and the same bytes from the same frames."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import showme
from showme.generation.outputs import make_strip, spaced, view_factor, write_png, write_video

FPS = 8.0
PHOTO = Path(showme.__file__).parent / "assets" / "examples" / "push_left.png"


def clip(count: int = 6, width: int = 48, height: int = 32) -> list[Image.Image]:
    """An orange square on blue that moves to the right."""
    frames = []
    for index in range(count):
        frame = Image.new("RGB", (width, height), (30, 60, 160))
        frame.paste((240, 140, 20), (4 * index, 8, 4 * index + 16, 24))
        frames.append(frame)
    return frames


def test_the_video_is_h264_for_browsers_and_shows_the_frames(tmp_path):
    path = tmp_path / "action.mp4"
    assert write_video(clip(), path, FPS) == 12
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, float(stream.average_rate)) == ("h264", "yuv420p", FPS)
        assert (stream.width, stream.height) == (576, 384)
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(decoded) == 6
    for image, array in zip(clip(), decoded, strict=True):
        expected = np.asarray(image.resize((576, 384), Image.Resampling.BICUBIC), float)
        # Colours too: a wrong matrix (BT.601 for BT.709) would be off by ten and more.
        assert np.abs(array - expected).mean() < 4


def test_the_index_comes_before_the_data(tmp_path):
    write_video(clip(), tmp_path / "action.mp4", FPS)
    data = (tmp_path / "action.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_odd_sides_and_single_frames_work(tmp_path):
    write_video(clip(1, 401, 385), tmp_path / "one.mp4", FPS)
    with av.open(str(tmp_path / "one.mp4")) as container:
        assert [(frame.width, frame.height) for frame in container.decode(video=0)] == [(402, 386)]


def test_equal_frames_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_video(clip(), tmp_path / f"{name}.mp4", FPS)
        write_png(make_strip(clip()[0], clip()[-1], clip(), FPS), tmp_path / f"{name}.png")
    for suffix in ("mp4", "png"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_what_lies_in_memory_does_not_reach_the_video(tmp_path):
    """Frames of 25 macroblocks in a row, beyond which x264 looks when it follows how frames depend on each other."""
    photo, frames = Image.open(PHOTO).convert("RGB"), []
    for t in range(15):
        frame = photo.resize((392, 384)).transform((392, 384), Image.Transform.AFFINE, (1, 0, t, 0, 1, 0))
        frame.paste(photo.resize((196, 192)).rotate(3 * t), (5 + 3 * t, 20 + 6 * t))
        frames.append(frame)
    seen = set()
    for number in range(4):
        litter = [os.urandom(2**size) for size in range(10, 25) for _ in range(3)]
        del litter
        write_video(frames, tmp_path / f"{number}.mp4", FPS)
        seen.add((tmp_path / f"{number}.mp4").read_bytes())
    assert len(seen) == 1


@pytest.mark.parametrize(("size", "factor"), [((128, 128), 3), ((512, 320), 2), ((1024, 576), 1), ((256, 256), 2)])
def test_enlarging(size, factor):
    assert view_factor(*size) == factor


@pytest.mark.parametrize(
    ("count", "indices"), [(1, [0]), (2, [1]), (4, [1, 2, 3]), (7, [1, 2, 3, 4, 5, 6]), (16, [2, 5, 8, 10, 12, 15])]
)
def test_the_strip_skips_the_first_frame_and_ends_with_the_last(count, indices):
    assert spaced(count, 6) == indices


def test_the_strip_has_a_cell_for_each_picture():
    both = make_strip(clip()[0], clip()[-1], clip(), FPS)
    image_only = make_strip(clip()[0], clip()[-1], None, FPS)
    assert image_only.width < both.width
    assert both.height == image_only.height
