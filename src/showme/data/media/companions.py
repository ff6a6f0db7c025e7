"""Files that operating systems and disks leave beside others: no clip, whatever their names end in."""

from __future__ import annotations

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


def visible(folder: Path) -> Iterator[Path]:
    """What a folder holds, but for hidden files and those that systems leave."""
    return (each for each in folder.iterdir() if not each.name.startswith(".") and not is_companion(each.name))
