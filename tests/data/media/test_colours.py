"""What a video's file leaves open: the matrix of its colours and the clock of GIFs, chosen by fields and reported."""

from __future__ import annotations

import json
import warnings

import av
import numpy as np
import pytest
from PIL import Image

from showme.data.media import Video
from showme.data.media.colours import DEFAULT, Colours
from showme.data.sources.folder import FolderSource
from showme.errors import ClipError, ShowMeWarning

from .test_rgb import codes_of, frame_of

COLOUR = (200, 60, 50)


def clip(path, size: tuple[int, int], matrix: int, tagged: bool = False):
    """Two frames of one colour, coded by a matrix that the file names or not."""
    codes = np.tile(codes_of(np.array(COLOUR, float), 8, matrix, False), (size[1], size[0], 1))
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10, options={"qp": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.colorspace = matrix if tagged else 2
        for number in range(2):
            frame = frame_of(codes, "yuv420p", matrix)
            frame.pts, frame.colorspace = number, matrix if tagged else 2
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def colour_of(path, **fields) -> np.ndarray:
    with Video(path, colours=Colours(**fields)).open() as frames:
        return next(iter(frames.read([0])))[8, 8].astype(int)


def test_untagged_hd_is_bt709_and_reported_once(tmp_path):
    paths = [clip(tmp_path / f"{number}.mp4", (1280, 720), 1) for number in range(2)]
    sentence = "0.mp4 does not say which matrix codes its colours: BT.709 is taken, as its 1280x720 pixels suggest"
    with pytest.warns(ShowMeWarning, match=sentence) as caught:
        assert all(np.abs(colour_of(path) - COLOUR).max() <= 2 for path in paths)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("size", "matrix", "tagged", "fields"),
    [
        ((640, 480), 5, False, {}),
        ((480, 640), 5, False, {}),
        ((640, 480), 1, True, {}),
        ((640, 480), 1, False, {"untagged": "bt709"}),
        ((1280, 720), 5, False, {"untagged": "bt601"}),
        ((1280, 720), 9, False, {"untagged": "bt2020"}),
        ((1280, 720), 5, True, {}),
    ],
)
def test_what_is_said_or_small_is_not_reported(tmp_path, size, matrix, tagged, fields):
    path = clip(tmp_path / "clip.mp4", size, matrix, tagged)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.abs(colour_of(path, **fields) - COLOUR).max() <= 2


@pytest.mark.parametrize(("matrix", "name"), [(8, "YCgCo"), (10, "BT.2020 of constant luminance")])
def test_matrices_that_swscale_does_not_read_are_refused_by_name(tmp_path, matrix, name):
    path = clip(tmp_path / "clip.mp4", (64, 48), 5)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    from showme.data.media.rgb import picture_of

    class Stream:
        sample_aspect_ratio = None
        codec_context = type("Context", (), {"sample_aspect_ratio": None, "color_trc": 1, "name": "h264"})

    frame.colorspace = matrix
    with pytest.raises(ClipError, match=rf"coded as {name}, which is not read.*convert it to BT.709 once"):
        picture_of(path, frame, Stream, 0.0)


def test_choices_are_part_of_what_a_clip_is(tmp_path):
    path = clip(tmp_path / "clip.mp4", (64, 48), 5)
    plain, chosen = Video(path), Video(path, colours=Colours(untagged="bt709"))
    assert Video(path, colours=DEFAULT).identity() == plain.identity()
    assert len(plain.identity()) == 5
    assert chosen.identity()[:-1] == plain.identity()
    json.dumps(chosen.identity())


def test_a_source_sets_them(tmp_path):
    clip(tmp_path / "a.mp4", (64, 48), 5)
    (tmp_path / "index.jsonl").write_text('{"id": "a", "instruction": "push"}\n')
    source = FolderSource.model_validate({"kind": "folder", "path": tmp_path, "colours": {"untagged": "bt709"}})
    assert source.records()[0].media == Video(tmp_path / "a.mp4", colours=Colours(untagged="bt709"))
    plain = FolderSource.model_validate({"kind": "folder", "path": tmp_path})
    assert plain.records()[0].media == Video(tmp_path / "a.mp4")


def test_the_clock_of_a_gif(tmp_path):
    path = tmp_path / "fast.gif"
    pictures = [Image.fromarray(np.full((16, 16, 3), 20 * number, np.uint8)) for number in range(5)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=10)
    with Video(path).open() as frames:
        assert frames.fps == pytest.approx(100)
    with Video(path, colours=Colours(gif_delays="browser")).open() as frames:
        assert frames.fps == pytest.approx(10)
