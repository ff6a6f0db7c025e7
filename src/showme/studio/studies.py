"""The preference studies of a studio: which there are, whose they are, and which clips they may show."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError
from ..judging.study import STUDY
from .shelf import TRASH, TRASH_DAYS
from .studio import Studio

STUDIES, OWNER = "studies", "owner"
_ID = frozenset("0123456789abcdef")
_REMOVED = "study-"


class StudyShelf:
    """The preference studies of a studio, by ids that are their folders' names.

    Args:
        studio: of which.
    """

    def __init__(self, studio: Studio):
        self.folder = studio.shelf.folder / STUDIES
        self.clips = studio.settings.studies and studio.settings.studies.resolve()
        self.private = studio.shelf.folder.resolve()
        self.trash = studio.shelf.folder / TRASH
        self._sweep()

    def folder_of(self, name: str) -> Path | None:
        """The folder of a study; None: there is none."""
        place = self.folder / name
        return place if name and _ID.issuperset(name) and (place / STUDY).is_file() else None

    def of(self, owner: str) -> Iterator[tuple[str, Path]]:
        """Ids and folders of a visitor's studies, the newest first."""
        places = self.folder.glob(f"*/{STUDY}") if self.folder.is_dir() else []
        for file in sorted(places, key=lambda file: file.stat().st_mtime, reverse=True):
            if self.folder_of(file.parent.name) is not None and _owner(file.parent) == owner:
                yield file.parent.name, file.parent

    def remove(self, name: str, owner: str) -> None:
        """Take a study out of the list, its links with it; for a week :meth:`restore` brings it back.

        Raises:
            InputError: there is none, or it is somebody else's.
        """
        self._move(self.folder_of(name), self.trash / f"{_REMOVED}{name}", owner)

    def restore(self, name: str, owner: str) -> None:
        """Undo :meth:`remove`.

        Raises:
            InputError: as there.
        """
        removed = self.trash / f"{_REMOVED}{name}" if _ID.issuperset(name) else None
        self._move(removed, self.folder / name, owner)

    def _move(self, place: Path | None, to: Path, owner: str) -> None:
        if place is None or _owner(place) != owner:
            raise InputError("There is no such study of yours: load the page again.")
        place.replace(to)
        # From now on the week is counted.
        to.touch()

    def _sweep(self) -> None:
        """Forget what was removed more than a week ago."""
        for place in self.trash.glob(f"{_REMOVED}*"):
            if place.stat().st_mtime < time.time() - TRASH_DAYS * 86400:
                shutil.rmtree(place, ignore_errors=True)

    def fresh(self) -> Path:
        """Where a new study goes."""
        return self.folder / secrets.token_hex(8)

    def clips_in(self, line: str) -> Path:
        """A folder or list of clips that a visitor names.

        Raises:
            InputError: it lies elsewhere than below the studio's folder of clips.
        """
        if self.clips is None:
            raise InputError("This studio has no folder of clips: start it with --clips DIR.")
        place = (self.clips / line).resolve()
        # What visitors made is theirs.
        if not place.is_relative_to(self.clips) or place.is_relative_to(self.private):
            raise InputError(f"{line[:80]} is not below the folder of clips that this studio was started with.")
        return place


def _owner(study: Path) -> str | None:
    """Whose the study in a folder is."""
    mark = study / OWNER
    return mark.read_text(encoding="utf-8") if mark.is_file() else None
