"""Folders and archives of pictures as they come from other tools and disks."""

from __future__ import annotations

import io
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showme.data.check import check_clips
from showme.data.media import Npz, Pictures
from showme.data.media.archive import read_members
from showme.data.sources import Record
from showme.errors import ClipError, ShowMeWarning

FORK = b"\0\5\x16\7" + bytes(100)


def write_frames(folder: Path, pattern: str, numbers, shade=lambda number: number * 20) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        Image.fromarray(np.full((8, 8, 3), shade(number), np.uint8)).save(folder / pattern.format(number))
    return folder


def shades(media: Pictures) -> list[int]:
    with media.open() as frames:
        return [int(frame[0, 0, 0]) for frame in frames.read(range(len(frames)))]


def test_what_lies_beside_the_frames_is_reported_once_for_a_data_set(tmp_path):
    for clip in ("a", "b"):
        write_frames(tmp_path / clip, "rgb_{:02d}.png", range(4))
        write_frames(tmp_path / clip, "depth_{:02d}.png", range(4), lambda _: 255)
    clips = [Pictures(tmp_path / clip, data_set=tmp_path) for clip in ("a", "b")]
    with pytest.warns(ShowMeWarning) as caught:
        assert [shades(clip) for clip in clips] == [[0, 20, 40, 60]] * 2
    (only,) = caught
    assert str(only.message).startswith(f"{tmp_path / 'a'}: rgb_*.png are the clip, and depth_*.png beside them")
    assert shades(Pictures(tmp_path / "a", only="depth_*")) == [255] * 4


def test_checking_in_processes_warns_once_too(tmp_path):
    for clip in "abcd":
        write_frames(tmp_path / clip, "{:02d}.png", (1, 2, 3, 6))
    records = [Record(clip, Pictures(tmp_path / clip, data_set=tmp_path), "x") for clip in "abcd"]
    with pytest.warns(ShowMeWarning, match="no pictures have the numbers between 3 and 6") as caught:
        assert check_clips(records, processes=2).bad == {}
    assert len(caught) == 1


def test_two_series_are_refused_by_name(tmp_path):
    write_frames(tmp_path, "left_{}.png", range(3))
    write_frames(tmp_path, "right_{}.png", range(3))
    with pytest.raises(ClipError, match=r"left_\*\.png \(3\) and right_\*\.png \(3\)\): say which as pattern"):
        Pictures(tmp_path).open()


def test_files_of_operating_systems_are_no_frames(tmp_path):
    write_frames(tmp_path, "{:02d}.png", range(3))
    for name in ("._00.png", "._01.png", "Thumbs.db", ".DS_Store", "desktop.ini", ".hidden.png"):
        (tmp_path / name).write_bytes(FORK)
    write_frames(tmp_path / "@eaDir" / "00.png", "SYNOPHOTO_THUMB_{}.png", [1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shades(Pictures(tmp_path)) == [0, 20, 40]


def test_archives_are_read_without_them(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("./._1.mp4", "./1.mp4", "__MACOSX/1.mp4", "@eaDir/1.jpg", ".DS_Store", "b/Thumbs.db", "b/2.txt"):
            info = tarfile.TarInfo(name)
            info.size = len(FORK)
            archive.addfile(info, io.BytesIO(FORK))
    assert [member.name for member in read_members(tmp_path / "a.tar")] == ["./1.mp4", "b/2.txt"]
    frames = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    np.savez(tmp_path / "a.npz", clip=frames)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("__MACOSX/._clip.npy", FORK)
    with Npz(tmp_path / "a.npz").open() as clip:
        assert np.array_equal(list(clip.read([0, 1])), frames)


@pytest.mark.parametrize("suffix", ["tif", "avif"])
def test_frames_in_other_formats_are_refused_by_name(tmp_path, suffix):
    write_frames(tmp_path, "{:02d}." + suffix, range(3))
    with pytest.raises(ClipError, match=rf"its pictures are \.{suffix}, and frames in folders are \.jpg.* to PNG, or"):
        Pictures(tmp_path).open()


def test_frames_in_other_formats_beside_the_clip_are_reported(tmp_path):
    for clip in "ab":
        write_frames(tmp_path / clip, "{:02d}.png", range(3))
        write_frames(tmp_path / clip, "{:02d}.tif", range(3, 5))
    with pytest.warns(ShowMeWarning, match=r"a: 2 pictures in \.tif beside the frames are passed over") as caught:
        assert [shades(Pictures(tmp_path / clip, data_set=tmp_path)) for clip in "ab"] == [[0, 20, 40]] * 2
    assert len(caught) == 1
