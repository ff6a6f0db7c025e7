"""Who computes which shard: small files, so that several processes and machines on one folder share the work.

A claim saves work and nothing else. Shards are written in one step and equal shards have equal bytes, so that two
holders of one claim, after a clock jumped or a network slept, do no harm.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# A holder touches its claim after every chunk; one that was silent for so long is taken for dead.
STALE_SECONDS = 900.0


def owner() -> str:
    """This process, among all that may share a folder."""
    return f"{socket.gethostname()}.{os.getpid()}"


def is_alive(name: str) -> bool:
    """Whether an owner may still be at work; of other machines nobody knows."""
    host, _, pid = name.rpartition(".")
    if host != socket.gethostname() or not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Claim:
    """A claim that is held."""

    def __init__(self, path: Path):
        self.path = path

    def touch(self) -> None:
        """Say that the work goes on."""
        with suppress(FileNotFoundError):
            os.utime(self.path)


@contextmanager
def claimed(path: Path) -> Iterator[Claim | None]:
    """Hold the claim while open; None where somebody else holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _take(path):
        yield None
        return
    try:
        yield Claim(path)
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


def _take(path: Path) -> bool:
    for _ in range(2):
        try:
            with path.open("x") as file:
                file.write(owner())
            return True
        except FileExistsError:
            if not _is_abandoned(path):
                return False
            with suppress(FileNotFoundError):
                path.unlink()
    return False


def _is_abandoned(path: Path) -> bool:
    try:
        holder, silent = path.read_text(), time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return True
    # An empty claim is one that is being written, or whose writer was killed in between.
    return silent > STALE_SECONDS or (not is_alive(holder) if holder else silent > 5)


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder: files ``*.<owner>.partial``."""
    for path in folder.glob("*.partial"):
        name = path.name.removesuffix(".partial").partition(".safetensors.")[2]
        with suppress(FileNotFoundError):
            if not is_alive(name) or time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()
