"""Who computes which shard: small files, so that several processes and machines on one folder share the work.

A claim saves work and nothing else. Shards are written in one step and equal shards have equal bytes, so that two
holders of one claim, after a clock jumped or a network slept, do no harm.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...staged_files import STALE_SECONDS, is_alive, owner


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


def sweep_claims(folder: Path) -> None:
    """Remove claims of killed processes: a shard that was written just before the end is never claimed again."""
    for path in folder.glob("*"):
        if _is_abandoned(path):
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
