"""Files that are written in one step: whoever sees one sees all of it, and what a killed process left is swept away."""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Of other machines nobody knows whether a writer lives; one that was silent for so long is taken for dead.
STALE_SECONDS = 900.0
# name.suffix.HOST.PID.partial
_STAGED = re.compile(r".+?\.(?:safetensors|jsonl|json|html|csv|tex|mp4)\.(?P<owner>.+)\.partial")


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Yields a file to write that takes the place of ``path`` when all went well, and is gone otherwise.

    It lies in a folder of its own beside ``path``: some writers, safetensors' among them, write into a neighbour of
    what they are given, which a killed process would leave under a name that nobody knows.
    """
    private = path.with_name(f"{path.name}.{owner()}.partial")
    try:
        private.mkdir(exist_ok=True)
        draft = private / path.name
        # Some writers leave files that nobody else may read.
        draft.touch()
        mode = draft.stat().st_mode
        yield draft
        draft.chmod(mode)
        draft.replace(path)
    finally:
        shutil.rmtree(private, ignore_errors=True)


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


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder."""
    for path in folder.glob("*.partial"):
        match = _STAGED.fullmatch(path.name)
        with suppress(FileNotFoundError):
            if match and (not is_alive(match["owner"]) or time.time() - path.stat().st_mtime > STALE_SECONDS):
                # Earlier versions staged files without a folder.
                shutil.rmtree(path) if path.is_dir() else path.unlink()
