"""Animated pictures are clips of all their frames, wherever their bytes are."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest
from PIL import Image

from showme.data.media import PictureFiles, Span, TarVideo, Video
from showme.data.media.animation import is_animation
from showme.data.media.archive import read_members
from showme.errors import ClipError
from showme.evaluation.clip_sets import open_clip_set

from .videos import write_clip

DURATIONS = [100, 200, 100, 100, 100]


def layers() -> list[np.ndarray]:
    """Five pictures (24, 32, 4): a grey that grows, half-transparent in the middle, transparent at the top."""
    pictures = []
    for number in range(5):
        picture = np.full((24, 32, 4), 40 * number, np.uint8)
        picture[..., 3] = 255
        picture[8:16, :, 3], picture[:8, :, 3] = 102, 0
        pictures.append(picture)
    return pictures


def on_white(picture: np.ndarray) -> np.ndarray:
    alpha = picture[..., 3:] / 255
    return np.rint(picture[..., :3] * alpha + 255 * (1 - alpha)).astype(int)


@pytest.fixture(params=["webp", "png", "avif"])
def animation(request, tmp_path):
    images = [Image.fromarray(each) for each in layers()]
    path = tmp_path / f"clip.{request.param}"
    settings = {"webp": {"lossless": True, "exact": True}, "avif": {"quality": 100, "subsampling": "4:4:4"}}
    settings = settings.get(request.param, {})
    images[0].save(path, save_all=True, append_images=images[1:], duration=DURATIONS, **settings)
    return path


def test_all_frames_on_white_at_their_times(animation):
    with Video(animation).open() as frames:
        assert len(frames) == 5
        assert frames.fps == pytest.approx(8)
        for got, layer in zip(frames.read(range(5)), layers(), strict=True):
            assert np.abs(got - on_white(layer)).max() <= 1
        assert frames.until(1, Span(0, 9)).stop == pytest.approx(0.2)
    with Video(animation).open(Span(0.3, 0.5)) as frames:
        assert np.abs(next(iter(frames.read([0]))) - on_white(layers()[2])).max() <= 1
        assert len(frames) == 2
    with pytest.raises(ClipError, match="reaches past the end"):
        Video(animation).open(Span(0, 6, "frames"))


def test_clip_sets_and_tars_take_them(animation, tmp_path):
    clips = open_clip_set(tmp_path).clips
    assert clips == {"clip": Video(animation)}
    with tarfile.open(tmp_path / "clips.tar", "w") as archive:
        archive.add(animation, "0" + animation.suffix)
    member = next(iter(read_members(tmp_path / "clips.tar")))
    with TarVideo(tmp_path / "clips.tar", member).open() as frames:
        assert len(list(frames.read(range(len(frames))))) == 5


def test_still_pictures_are_no_animations(tmp_path):
    for suffix in ("webp", "png", "avif"):
        path = tmp_path / f"still.{suffix}"
        Image.fromarray(layers()[0]).save(path)
        with path.open("rb") as file:
            assert not is_animation(file)
    assert all(isinstance(media, PictureFiles) for media in open_clip_set_of(tmp_path / "still.png"))


def open_clip_set_of(path):
    index = path.with_name("list.jsonl")
    index.write_text(f'{{"id": "1", "file": "{path.name}"}}\n')
    return open_clip_set(index).clips.values()


def test_an_avif_sequence_keeps_the_clock_of_its_file(tmp_path):
    path = write_clip(tmp_path / "clip.avif", frames=40, codec="libsvtav1", fps=30, options={"preset": "12"})
    with Video(path).open() as frames:
        assert len(frames) == 40
        assert frames.times == pytest.approx(np.arange(40) / 30, abs=1e-3)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ClipError, match="it is cut short: it has"):
        Video(path).open()


def test_a_damaged_animation_is_refused(tmp_path):
    images = [Image.fromarray(each) for each in layers()]
    path = tmp_path / "clip.webp"
    images[0].save(path, save_all=True, append_images=images[1:], duration=100, lossless=True)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ClipError, match=r"clip.webp cannot be read as a clip"):
        Video(path).open()
