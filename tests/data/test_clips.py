"""Clips at the model's size: the same frames from every kind of storage, and labels that stay on their pixels."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from showme.data.clips import Look, read_clip, read_native
from showme.data.media import Pictures, Rendered, Span, Video
from showme.data.rows import ClipRows
from showme.data.sampling import POLICIES, draw_sample, is_random
from showme.data.sources import Record
from showme.errors import ClipError, ShowMeWarning
from showme.generation.outputs import write_video
from showme.pictures.fit import fit_photo
from showme.pictures.window import Window

from .media.videos import write_clip


def record(media) -> Record:
    return Record("a", media, "push it")


@pytest.fixture
def greys() -> np.ndarray:
    """Ten frames (10, 24, 32, 3), each of one grey."""
    return np.stack([np.full((24, 32, 3), 20 * index, np.uint8) for index in range(10)])


def test_frames_are_the_same_from_every_kind_of_clip(tmp_path, greys):
    save_file({"frames": greys}, tmp_path / "clip.safetensors")
    (tmp_path / "pictures").mkdir()
    for index, frame in enumerate(greys):
        Image.fromarray(frame).save(tmp_path / "pictures" / f"im_{index + 5}.png")
    write_video([Image.fromarray(frame) for frame in greys], tmp_path / "clip.mp4", 8)
    for media in (
        Rendered(tmp_path / "clip.safetensors"),
        Pictures(tmp_path / "pictures"),
        Video(tmp_path / "clip.mp4"),
    ):
        clip = read_clip(record(media), Look(16, 16, 4))
        assert clip.frames.shape == (4, 16, 16, 3)
        assert clip.sample.stride == 3
        assert np.abs(clip.frames[:, 8, 8, 0].astype(int) - [0, 60, 120, 180]).max() <= 3, media


def test_a_clip_shorter_than_asked_repeats_frames_instead_of_vanishing(tmp_path, greys):
    save_file({"frames": greys[:3]}, tmp_path / "clip.safetensors")
    clip = read_clip(record(Rendered(tmp_path / "clip.safetensors")), Look(24, 32, 6))
    assert clip.frames[:, 0, 0, 0].tolist() == [0, 0, 20, 20, 40, 40]
    assert clip.sample.stride == 1


def test_pictures_of_two_sizes_are_refused(tmp_path, greys):
    Image.fromarray(greys[0]).save(tmp_path / "1.png")
    Image.fromarray(greys[0][:, :20]).save(tmp_path / "2.png")
    with pytest.raises(ClipError, match="its pictures change from 32x24 to 20x24 pixels"):
        read_clip(record(Pictures(tmp_path)), Look(16, 16, 2))


@pytest.mark.parametrize("fit", ["crop", "squash"])
@pytest.mark.parametrize(("height", "width"), [(90, 160), (160, 90), (64, 64)])
def test_masks_and_joints_stay_on_their_pixels(fit, height, width):
    """A white square on black: its pixels, its mask and its corners go through the window and still agree."""
    frame, mask = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), bool)
    rows, columns = slice(height // 2 - 12, height // 2 + 8), slice(width // 2 - 16, width // 2 + 12)
    frame[rows, columns], mask[rows, columns] = 255, True
    window = getattr(Window, fit)(height, width, 128, 128)
    pixels, seen = window.pixels(frame)[..., 0] > 127, window.mask(mask)
    # Resampling moves an outline by less than a pixel.
    assert (pixels ^ seen).sum() <= 4 * 128 * 0.5
    corners = np.array([[columns.start, rows.start], [columns.stop - 1, rows.stop - 1]], np.float32)
    (left, top), (right, bottom) = window.points(corners)
    rows_seen, columns_seen = np.nonzero(seen)
    scale = window.scale
    assert abs(columns_seen.min() - (left - (scale[0] - 1) / 2)) <= 1
    assert abs(columns_seen.max() - (right + (scale[0] - 1) / 2)) <= 1
    assert abs(rows_seen.min() - (top - (scale[1] - 1) / 2)) <= 1
    assert abs(rows_seen.max() - (bottom + (scale[1] - 1) / 2)) <= 1


def test_a_window_is_the_photo_s_own_crop():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 61, 3), dtype=np.uint8))
    assert np.array_equal(Window.crop(37, 61, 16, 24).picture(image), fit_photo(image, 16, 24)[0])


def test_random_rows_differ_by_draw_and_repeat(tmp_path, greys):
    save_file({"frames": greys}, tmp_path / "clip.safetensors")
    rows = ClipRows([record(Rendered(tmp_path / "clip.safetensors"))], Look(24, 32, 3, "random_stride"), draws=8)
    assert len(rows) == len(set(rows.identities)) == 8
    first = [tuple(clip.frames[:, 0, 0, 0]) for clip in rows.read(range(8))]
    assert len(set(first)) > 3
    assert first == [tuple(clip.frames[:, 0, 0, 0]) for row in range(8) for clip in rows.read([row])]


def test_a_seed_counts_only_where_it_decides(tmp_path, greys):
    save_file({"frames": greys}, tmp_path / "clip.safetensors")

    def fingerprint(sampling: str, seed: int) -> dict:
        records = [record(Rendered(tmp_path / "clip.safetensors"))]
        return ClipRows(records, Look(24, 32, 3, sampling, seed=seed)).fingerprint

    assert fingerprint("evenly_spaced", 0) == fingerprint("evenly_spaced", 1) != fingerprint("seer_blend", 0)
    assert fingerprint("random_stride", 0) != fingerprint("random_stride", 1)
    for policy in POLICIES:
        generators = [torch.Generator().manual_seed(seed) for seed in range(40)]
        drawn = {draw_sample(policy, 98, 4, 24.0, generator).indices.tobytes() for generator in generators}
        assert (len(drawn) > 1) == is_random(policy), policy


def test_a_change_in_the_middle_of_a_file_and_of_a_rate_are_noticed(tmp_path, greys):
    """Both keep names, sizes and edges, and would otherwise be read from a cache of before."""
    frames = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), dtype=np.uint8)
    clip, folder = tmp_path / "clip.safetensors", tmp_path / "pictures"
    folder.mkdir()

    def write(middle: int) -> None:
        changed = frames.copy()
        changed[6] = middle
        save_file({"frames": changed}, clip)
        for number, frame in enumerate(changed):
            Image.fromarray(frame).save(folder / f"{number:02d}.bmp")

    def identities(fps: float | None = None) -> list[str]:
        media = (Rendered(clip, fps), Pictures(folder, fps=fps), Pictures(folder, "{:02d}.bmp", 0, fps))
        spans = (None, None, Span(0, 12, "frames"))
        records = [Record(str(n), each, "push", span) for n, (each, span) in enumerate(zip(media, spans, strict=True))]
        return ClipRows(records, Look(16, 16, 4)).identities

    write(0)
    before = identities()
    assert identities() == before
    assert not set(identities(fps=30)) & set(before)
    size = clip.stat().st_size
    time.sleep(0.02)
    write(200)
    assert clip.stat().st_size == size
    assert not set(identities()) & set(before)


def test_native_pixels_come_with_the_window_of_the_look(tmp_path, greys):
    save_file({"frames": greys}, tmp_path / "clip.safetensors")
    pictures, sample, window = read_native(record(Rendered(tmp_path / "clip.safetensors")), Look(12, 12, 4))
    assert pictures.shape == (4, 24, 32, 3)
    assert sample.needed.tolist() == [0, 3, 6, 9]
    assert window == Window.crop(24, 32, 12, 12)


def test_a_variable_rate_is_warned_of_once_under_policies_that_go_by_number(tmp_path):
    times = [*range(20), *range(20, 220, 10)]
    uneven = [write_clip(tmp_path / f"{name}.mp4", frames=40, times=times) for name in "ab"]
    even = write_clip(tmp_path / "even.mp4")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_clip(record(Video(even)), Look(24, 32, 8))
        read_clip(record(Video(uneven[0])), Look(24, 32, 8, "last_at_8_fps"))
    with pytest.warns(ShowMeWarning, match=r"a\.mp4 has a variable rate: evenly_spaced goes by the numbers"):
        read_clip(record(Video(uneven[0])), Look(24, 32, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_clip(record(Video(uneven[1])), Look(24, 32, 8))
