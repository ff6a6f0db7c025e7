"""What every source is: settings that say where a data set lies, and the records that it holds."""

from __future__ import annotations

import json
import shlex
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from ...config import Settings
from ...errors import InputError, ShowMeWarning, absent
from ..media import Media, Span
from ..media.base import UNPRINTABLE, one_line
from ..media.colours import DEFAULT, Colours
from ..media.pictures import Pictures
from .faults import counted, refusal, row_id
from .lists import read_exclusions, read_kept
from .record import Entry, Fault, Record

_MAX_ID = 1000
# Half a frame of the slowest cameras.
_SLACK_SECONDS = 0.5
# Fields of sources that take a part of what is there.
_CHOOSE = ("split", "subset", "dataset", "exclude", "keep")


class Source(Settings):
    """A data set on disk. Every kind of source adds the fields that say where its annotations and pixels are.

    Attributes:
        noun: what its records are, several of them, for messages.
    """

    noun: ClassVar[str] = "clips"

    exclude: Path | None = Field(None, description="list of clips to leave out, such as `showme data check` writes")
    keep: Path | None = Field(None, description="list of clips to keep, and where they end, of `showme data curate`")
    track: int | None = Field(
        None, ge=0, description="which video track of each file, from 0; the one marked as the default when left out"
    )
    colours: Colours = DEFAULT

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """What the annotations list, in their order; whether the pixels are there is not looked at.

        A record that is wrong is a :class:`Fault` in its place, and the others follow.

        Raises:
            InputError: annotations that are missing or wrong as a whole, with file and row.
        """

    def read(self) -> Iterator[Record]:
        """Records of all entries, whatever ``exclude`` and ``keep`` say.

        Raises:
            InputError: as :meth:`entries`; or the first record that is wrong.
        """
        for entry in counted(self.entries(), self.place, self.noun):
            if isinstance(entry, Fault):
                raise InputError(entry.reason)
            yield entry

    def records(self, limit: int | None = None) -> list[Record]:
        """Records whose pixels are there, but for those that ``exclude`` lists.

        Args:
            limit: the first so many alone.

        Raises:
            InputError: as :meth:`selected`; clips that are wrong or missing and not excluded, all of them in one
                sentence; or none left.
        """
        records = list(self.chosen(limit, present=True))
        if not records:
            raise self.none_left()
        return records

    def chosen(self, limit: int | None = None, present: bool = False) -> Iterator[Record]:
        """Records that ``exclude`` and ``keep`` leave.

        Args:
            limit: the first so many alone.
            present: records whose pixels are not there are wrong too.

        Raises:
            InputError: as :meth:`selected`; or, after the last record, all those that are wrong in one sentence.
        """
        faults: list[Fault] = []
        missing: list[Fault] = []
        right = False
        try:
            for entry in islice(counted(self.selected(), self.place, self.noun), limit):
                if isinstance(entry, Fault):
                    faults.append(entry)
                elif present and (fault := _missing(entry)):
                    missing.append(fault)
                else:
                    right = True
                    yield entry
        except InputError as error:
            # What ends the list may follow from a record that is wrong, which comes first.
            raise self.refusal([*faults, *missing], right) or error from error
        if refused := self.refusal([*faults, *missing], right):
            raise refused

    def refusal(self, faults: Sequence[Fault], right: bool) -> InputError | None:
        """One sentence about records that are wrong; None where there are none. right: whether there are others."""
        return refusal(faults, self._check_command if right else None)

    def none_left(self) -> InputError:
        """What is said of a data set of which nothing is left."""
        chosen = [f"{field}={getattr(self, field)}" for field in _CHOOSE if getattr(self, field, None) is not None]
        remedy = f" with {', '.join(chosen)}: correct what chooses" if chosen else ": give another data set"
        return InputError(f"{self.place} lists no clips{remedy}.")

    @property
    def _check_command(self) -> str:
        """The command that lists the bad clips of this source."""
        fields = self.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
        words = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in fields.items()]
        return shlex.join(["showme", "data", "check", getattr(self, "kind"), *words])  # noqa: B009 (of subclasses)

    def selected(self) -> Iterator[Entry]:
        """Entries that ``exclude`` and ``keep`` leave, whether their pixels are there or not.

        An id that is there twice, or that no message can show, is a fault of its record.

        Raises:
            InputError: as :meth:`entries`; or wrong lists.
        """
        excluded = read_exclusions(_list("exclude", self.exclude)) if self.exclude else {}
        kept = read_kept(_list("keep", self.keep)) if self.keep else None
        seen: set[str] = set()
        left_out: set[str] = set()
        for entry in map(_named, self.entries()):
            if entry.id in excluded:
                left_out.add(entry.id)
                continue
            if kept is not None and entry.id not in kept:
                continue
            if isinstance(entry, Record):
                if entry.id in seen:
                    reason = f"{entry.origin}: the id {entry.id!r} was given before: ids must differ."
                    yield Fault(entry.id, reason)
                    continue
                seen.add(entry.id)
                span = kept[entry.id] if kept is not None else None
                yield self._as_chosen(entry if span is None else _shortened(entry, span))
            else:
                yield entry
        if excluded and not left_out:
            _warn_foreign("exclude", self.exclude, self.place)
        if kept is not None and kept.keys().isdisjoint(seen | left_out):
            _warn_foreign("keep", self.keep, self.place)

    def _as_chosen(self, entry: Record | Fault) -> Record | Fault:
        """With the track and the colours that this source names."""
        chosen: dict[str, Any] = {} if self.track is None else {"track": self.track}
        chosen |= {} if self.colours == DEFAULT else {"colours": self.colours}
        if not chosen or isinstance(entry, Fault):
            return entry
        # Pictures have one track.
        known = {field.name for field in fields(entry.media)}  # type: ignore[arg-type]
        chosen = {name: value for name, value in chosen.items() if name in known}
        return replace(entry, media=replace(entry.media, **chosen))  # type: ignore[type-var]

    @property
    @abstractmethod
    def place(self) -> Path:
        """The file or folder to name in messages."""


def _named(entry: Entry) -> Entry:
    """An entry as it is, but for a record whose id no list or message can show."""
    if not isinstance(entry, Record):
        return entry
    if entry.id and len(entry.id) <= _MAX_ID and not UNPRINTABLE.search(entry.id):
        return entry
    reason = (
        f"{entry.origin}: the id {entry.id[:200]!r} is empty, longer than {_MAX_ID} characters, or has control "
        "characters: choose another."
    )
    return Fault(one_line(entry.id) or row_id(entry.origin), reason)


def _shortened(record: Record, span: Span) -> Record | Fault:
    """A record with the span of ``keep``, which takes the annotation's place and lies within it."""
    whole = record.span
    if whole is not None:
        # Curation ends a clip halfway to the frame that follows, which may lie past the annotation's end.
        slack = _SLACK_SECONDS if whole.unit == "seconds" else 0
        within = whole.start - slack <= span.start and span.stop <= whole.stop + slack
        if span.unit != whole.unit or not within:
            reason = (
                f"{record.origin}: keep says {span.start:g} to {span.stop:g} {span.unit}, which does not lie in the "
                f"annotation's {whole.start:g} to {whole.stop:g} {whole.unit}: curate again."
            )
            return Fault(record.id, reason)
        span = replace(span, start=max(span.start, whole.start), stop=min(span.stop, whole.stop))
    return replace(record, span=span)


def _list(field: str, path: Path) -> Path:
    """``path``, which is there."""
    if not is_there(path):
        raise InputError(f"{field}: there is no list {path}: give one that `showme data` wrote, or leave it out.")
    return path


def _warn_foreign(field: str, path: Path | None, place: Path) -> None:
    sentence = f"{field}={path} names no clip of {place}: it may be the list of another data set."
    warnings.warn(sentence, ShowMeWarning, stacklevel=3)


def _missing(record: Record) -> Fault | None:
    path = missing_file(record.media)
    return Fault(record.id, f"{record.origin}: there is no {path}: fetch it, or leave the clip out.") if path else None


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
        raise InputError(f"{absent(folder, 'folder')}: give the one of the {what}.")
    return folder
