"""What every source is: settings that say where a data set lies, and the records that it holds."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

from pydantic import Field

from ...config import Settings
from ...errors import InputError, ToldWarning
from ..media import ArrowVideo, Media, TarVideo, Video
from ..media.base import UNPRINTABLE
from ..media.colours import Colours
from ..media.pictures import Pictures
from .lists import read_exclusions, read_kept
from .record import Record

_MAX_ID = 1000
# Fields of sources that take a part of what is there.
_CHOOSE = ("split", "subset", "dataset", "exclude", "keep")


class Source(Settings):
    """A data set on disk. Every kind of source adds the fields that say where its annotations and pixels are."""

    exclude: Path | None = Field(None, description="list of clips to leave out, such as `showme data check` writes")
    keep: Path | None = Field(None, description="list of clips to keep, and where they end, of `showme data curate`")

    colours: Colours = Colours()

    @abstractmethod
    def read(self) -> Iterator[Record]:
        """Records in the order of the annotations; whether their pixels are there is not looked at.

        Raises:
            InputError: annotations that are missing or wrong, with file and row.
        """

    def records(self, limit: int | None = None) -> list[Record]:
        """Records whose pixels are there, but for those that ``exclude`` lists.

        Args:
            limit: the first so many alone.

        Raises:
            InputError: as :meth:`chosen`; a clip that is missing and not excluded, or none left.
        """
        records: dict[str, Record] = {}
        for record in islice(self.chosen(), limit):
            missing = missing_file(record.media)
            if missing:
                raise InputError(
                    f"{record.origin}: there is no {missing}: fetch it, or leave the clip out: `showme data check` "
                    "lists all such clips for `exclude`."
                )
            records[record.id] = record
        if not records:
            raise self.none_left()
        return list(records.values())

    def none_left(self) -> InputError:
        """What is said of a data set of which nothing is left."""
        chosen = [f"{field}={getattr(self, field)}" for field in _CHOOSE if getattr(self, field, None) is not None]
        told = f" with {', '.join(chosen)}: correct what chooses" if chosen else ": give another data set"
        return InputError(f"{self.place} lists no clips{told}.")

    def chosen(self) -> Iterator[Record]:
        """Records that ``exclude`` and ``keep`` leave, whether their pixels are there or not.

        Raises:
            InputError: wrong annotations or lists, an id twice, or one that no message can show.
        """
        excluded = read_exclusions(_list("exclude", self.exclude)) if self.exclude else {}
        kept = read_kept(_list("keep", self.keep)) if self.keep else None
        seen: set[str] = set()
        left_out: set[str] = set()
        for record in self.read():
            if not record.id or len(record.id) > _MAX_ID or UNPRINTABLE.search(record.id):
                raise InputError(
                    f"{record.origin}: the id {record.id[:200]!r} is empty, longer than {_MAX_ID} characters, or has "
                    "control characters: choose another."
                )
            if record.id in excluded:
                left_out.add(record.id)
                continue
            if kept is not None and record.id not in kept:
                continue
            if record.id in seen:
                raise InputError(f"{record.origin}: the id {record.id!r} was given before: ids must differ.")
            seen.add(record.id)
            span = kept[record.id] if kept is not None else None
            record = record if span is None else replace(record, span=span)
            if self.colours != Colours() and isinstance(record.media, Video | TarVideo | ArrowVideo):
                record = replace(record, media=replace(record.media, colours=self.colours))
            yield record
        if excluded and not left_out:
            _warn_foreign("exclude", self.exclude, self.place)
        if kept is not None and kept.keys().isdisjoint(seen | left_out):
            _warn_foreign("keep", self.keep, self.place)

    @property
    @abstractmethod
    def place(self) -> Path:
        """The file or folder to name in messages."""


def _list(field: str, path: Path) -> Path:
    """``path``, which is there."""
    if not is_there(path):
        raise InputError(f"{field}: there is no list {path}: give one that `showme data` wrote, or leave it out.")
    return path


def _warn_foreign(field: str, path: Path | None, place: Path) -> None:
    told = f"{field}={path} names no clip of {place}: it may be the list of another data set."
    warnings.warn(told, ToldWarning, stacklevel=3)


def missing_file(media: Media) -> Path | None:
    """The file or folder of a clip that is not there; None when all is well."""
    return None if is_there(media.path, folder=isinstance(media, Pictures)) else media.path


def is_there(path: Path, folder: bool = False) -> bool:
    """Whether there is such a file, or folder; not where the name is too long, or may not be looked at."""
    try:
        return path.is_dir() if folder else path.is_file()
    except OSError:
        return False


def inside(folder: Path, name: str, origin: str) -> Path:
    """The path of a file that an annotation names, which must lie in ``folder``.

    Raises:
        InputError: an absolute path, one with ``..``, or a link that leads out of the folder.
    """
    path = folder / name
    if not name or UNPRINTABLE.search(name):
        raise InputError(f"{origin}: the file {name[:200]!r} has no name or control characters in it: rename it.")
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(
            f"{origin}: the file {name[:200]!r} does not lie in {folder.absolute()}: name it as seen from there, "
            "without a leading slash and without '..'."
        )
    try:
        root = _resolved(folder)
        leads_out = path.is_symlink() and not path.resolve().is_relative_to(root)
        leads_out = leads_out or not _resolved(path.parent).is_relative_to(root)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "its links lead in a circle"
        raise InputError(f"{origin}: the file {name[:200]!r} cannot be looked at ({reason}): name another.") from error
    if leads_out:
        raise InputError(
            f"{origin}: {path} is a link that leads out of {folder}: copy the file there, or name the folder that it "
            "lies in."
        )
    return path


@lru_cache(maxsize=4096)
def _resolved(folder: Path) -> Path:
    """A folder with links followed; data sets have many files in few folders."""
    return folder.resolve()


def check_folder(folder: Path, what: str) -> Path:
    """``folder``, which is there.

    Raises:
        InputError: it is not.
    """
    if not is_there(folder, folder=True):
        raise InputError(f"There is no folder {folder}: give the one of the {what}.")
    return folder
