"""Files in one step: whole or not there, and nothing left of the dead, whatever a writer leaves beside its file."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from showme.staged_files import STALE_SECONDS, staged, sweep


def test_a_file_is_there_once_it_is_whole(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with staged(path) as draft:
        assert draft.name == path.name
        draft.write_text("new")
        (draft.parent / ".tmpAbCdEf").write_text("what a writer leaves beside it")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path):
    def fail() -> None:
        with staged(tmp_path / "a.json") as draft:
            draft.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_the_dead_left_is_swept_and_the_living_are_left_alone(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = socket.gethostname()
    for owner in (f"{host}.{dead.pid}", f"{host}.{os.getpid()}", "elsewhere.1"):
        folder = tmp_path / f"a.safetensors.{owner}.partial"
        folder.mkdir()
        (folder / ".tmpAbCdEf").touch()
    (tmp_path / f"b.json.{host}.{dead.pid}.partial").touch()
    (tmp_path / f"c.mp4.{host}.{dead.pid}.partial").mkdir()
    (tmp_path / "mine.partial").touch()
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"a.safetensors.{host}.{os.getpid()}.partial", "a.safetensors.elsewhere.1.partial", "mine.partial",
    }  # fmt: skip
    os.utime(tmp_path / "a.safetensors.elsewhere.1.partial", (0, STALE_SECONDS))
    sweep(tmp_path)
    assert not (tmp_path / "a.safetensors.elsewhere.1.partial").exists()
