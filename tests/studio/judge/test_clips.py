"""Clips as judges see them: encoded alike, and nothing about a file says whose it is."""

from __future__ import annotations

import errno
import itertools

import av
import pytest

from showme.errors import ClipError, InputError
from showme.judging import make_study, open_study
from showme.studio.judge import clips
from showme.studio.judge.clips import CLIPS, clip_name, write_clips
from showme.studio.judge.secret import load_secret

from .conftest import write_candidates


@pytest.fixture
def begun(tmp_path):
    """Folder, study and secret, without any clip."""
    study = make_study(tmp_path / "out", write_candidates(tmp_path, count=3))
    return tmp_path / "out", study, load_secret(tmp_path / "out")


def test_every_clip_is_written_once_and_alike(begun):
    folder, study, secret = begun
    seen = []
    write_clips(folder, study, secret, lambda done, total: seen.append((done, total)))
    assert seen == [(n, 6) for n in range(7)]
    files = sorted((folder / CLIPS).iterdir())
    assert {path.name for path in files} == {clip_name(secret, name, f"clip {n}") for name in "ab" for n in range(3)}
    for path in files:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.frames, stream.average_rate) == ("h264", 6, 8)
            assert not {"title", "comment", "encoder", "creation_time"} & set(container.metadata)
    before = {path: path.stat().st_ino for path in files}
    write_clips(folder, study, secret)
    assert {path: path.stat().st_ino for path in files} == before


def test_nothing_about_a_file_says_whose_it_is(begun):
    folder, study, secret = begun
    write_clips(folder, study, secret)
    owner = {clip_name(secret, name, clip): name for name in "ab" for clip in study.clips}
    for path in (folder / CLIPS).iterdir():
        assert "/a/" not in path.read_bytes().decode("latin-1")
        assert len(path.stem) == 32
        assert int(path.stem, 16)
    # Names are sorted without regard to the candidate: another key gives another order.
    orders = set()
    for n in range(20):
        other = load_secret(_made(folder.parent / f"key {n}"))
        names = {clip_name(other, name, clip): name for name in "ab" for clip in study.clips}
        orders.add("".join(names[each] for each in sorted(names)))
    assert len(orders) > 5
    assert {(folder / CLIPS / name).stat().st_mtime for name in owner} == {0}


def _made(folder):
    folder.mkdir()
    return folder


def test_clips_that_are_made_anew_change_no_study(begun, tmp_path):
    folder, study, secret = begun
    write_clips(folder, study, secret)
    for name in "ab":
        for path in (tmp_path / name).iterdir():
            path.unlink()
    write_clips(folder, open_study(folder), secret)
    (folder / CLIPS / clip_name(secret, "a", "clip 1")).unlink()
    with pytest.raises(InputError, match="holds no clips"):
        write_clips(folder, study, secret)


def test_a_clip_that_is_gone_or_damaged_is_named(begun, tmp_path):
    folder, study, secret = begun
    (tmp_path / "b" / "clip 1.safetensors").write_bytes(b"junk")
    with pytest.raises(ClipError, match=r"clip 1.safetensors cannot be read as a clip"):
        write_clips(folder, study, secret)
    (tmp_path / "b" / "clip 1.safetensors").unlink()
    with pytest.raises(InputError, match="no longer has the clip 'clip 1'"):
        write_clips(folder, study, secret)


def test_a_full_disk_is_named_and_leaves_no_half_clip(begun, monkeypatch):
    folder, study, secret = begun
    count = itertools.count()
    write = clips.write_video

    def full(frames, path, fps):
        if next(count) == 2:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(frames, path, fps)

    monkeypatch.setattr(clips, "write_video", full)
    with pytest.raises(
        InputError, match=r"out/clips cannot be written to \(No space left on device\): make room there"
    ):
        write_clips(folder, study, secret)
    assert {path.suffix for path in (folder / CLIPS).iterdir()} == {".mp4"}
    assert b"half" not in {path.read_bytes() for path in (folder / CLIPS).iterdir()}
