"""Files that may be shown: those below one folder, wherever links lead."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ...errors import InputError


def file_below(root: Path, name: str) -> Path:
    """The file or folder that a browser names, where it really is.

    Args:
        root: the folder that may be shown.
        name: its place in it, with ``/`` between folders and no ``..``; ``.`` is the folder itself.

    Raises:
        InputError: nothing is there, or it is elsewhere. The sentence is the same, and says nothing of what is there.
    """
    refusal = InputError(f"There is no {name!r} below {root}: choose one of the list.")
    try:
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts:
            raise refusal
        place = (root / parts).resolve(strict=True)
        if not place.is_relative_to(root.resolve()):
            raise refusal
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        # A name with a null byte, one that is too long, a loop of links, no text.
        raise refusal from error
    return place


def is_below(root: Path, path: Path) -> bool:
    """Whether a path lies below a folder after all links are followed."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):
        return False


def is_file_below(root: Path, path: Path) -> bool:
    """Whether a path is a regular file (no pipe, no device), and lies below a folder after all links are followed."""
    try:
        return path.is_file() and is_below(root, path)
    except (OSError, ValueError):
        return False
