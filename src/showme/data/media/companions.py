"""Files that operating systems and disks leave beside others: no clip, whatever their names end in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

# macOS, Windows, and Synology's disks; what is in such a folder is no clip either.
_NAMES = {
    *(".ds_store", "__macosx", ".appledouble", ".spotlight-v100", ".trashes", ".fseventsd"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
    *("@eadir", "#recycle", "@tmp", ".synology", "lost+found"),
}
# Resource forks, one beside each file: ._0001.jpg.
_FORK = "._"


def is_companion(name: str) -> bool:
    """Whether a file of an archive, by its path in it, was left there by a system."""
    return any(part.startswith(_FORK) or part.lower() in _NAMES for part in PurePosixPath(name).parts)


def visible_names(folder: Path) -> list[str]:
    """Names of what a folder holds, but for hidden files and those that systems leave."""
    # As names: a path for each would take longer than reading the folder.
    names = os.listdir(folder)  # noqa: PTH208
    return [name for name in names if not name.startswith(".") and name.lower() not in _NAMES]


def visible(folder: Path) -> Iterator[Path]:
    """As :func:`visible_names`, as paths."""
    return (folder / name for name in visible_names(folder))
