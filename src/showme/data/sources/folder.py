"""The plain case: a folder of clips and a list that says what happens in each.

A line of ``index.jsonl`` is ``{"id": "7", "file": "7.mp4", "instruction": "push the jar to the right"}``; ``index.csv``
has the same as columns. ``caption`` does for ``instruction`` and ``<id>.mp4`` for ``file``. ``start`` and ``stop``, in
seconds, take a part of a file; ``template``, ``split`` and ``licence`` are kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ...errors import InputError, ShowMeWarning
from ..media import Media, Pictures, Rendered, Span, Video
from ..media.base import one_line
from ..media.rendered import SUFFIX as RENDERED
from .base import Source, inside, is_there
from .faults import entries_of_rows, field_id
from .record import Entry, Record
from .tables import cell, csv_rows, jsonl_rows

INDEX = ("index.jsonl", "index.csv")
# Of a line; ``picture`` and ``seed`` are of those that this toolkit writes.
_FIELDS = {"id", "file", "instruction", "caption", "start", "stop", "template", "split", "licence", "picture", "seed"}


class FolderSource(Source):
    """One's own clips."""

    kind: Literal["folder"] = Field("folder", description="a folder of clips with a list of instructions")
    path: Path = Field(description="folder with an index.jsonl or index.csv, or such a file")
    split: str | None = Field(None, description="clips of this split alone; null: all")
    fps: float | None = Field(None, gt=0, description="rate of clips that are pictures or arrays; null: not known")
    pattern: str | None = Field(
        None, description="names of the pictures that count, such as rgb_*.png; null: the one series that there is"
    )

    @property
    def place(self) -> Path:
        """The list."""
        if not is_there(self.path, folder=True):
            return self.path
        return next((self.path / name for name in INDEX if (self.path / name).is_file()), self.path / INDEX[0])

    def entries(self) -> Iterator[Entry]:
        index = self.place
        if not is_there(index):
            raise InputError(f"There is no {index}: give a folder of clips with an {' or '.join(INDEX)}, or that file.")
        if index.suffix.lower() not in (".jsonl", ".csv", ".json", ".txt"):
            raise InputError(f"{index} is no list of clips: give an {' or '.join(INDEX)}, or the folder of one.")
        if index.name == INDEX[0] and is_there(index.with_name(INDEX[1])):
            _warn(f"{index.parent} has an {INDEX[1]} too: {INDEX[0]} is read.")
        unknown: set[str] = set()

        def entries_of(origin: str, row: Mapping[str, Any]) -> Iterator[Record]:
            # Warned of once for each: a misnamed start would take the whole clip in silence.
            if strange := row.keys() - _FIELDS - unknown:
                unknown.update(strange)
                named = one_line(", ".join(sorted(strange)))[:80]
                _warn(f"{origin}: what it says of {named} is passed over; known are {', '.join(sorted(_FIELDS))}.")
            if self.split is None or _text(row, "split") == self.split:
                yield self._record(index.parent, origin, row)

        rows = csv_rows(index, ["id"]) if index.suffix.lower() == ".csv" else jsonl_rows(index)
        yield from entries_of_rows(rows, entries_of, lambda row: field_id(row, "id"))

    def _record(self, folder: Path, origin: str, row: Mapping[str, Any]) -> Record:
        name = cell(origin, row, "id")
        instruction = _instruction(origin, row)
        path = inside(folder, str(row.get("file") or f"{name}.mp4"), origin)
        span = None
        if row.get("start") not in (None, "") or row.get("stop") not in (None, ""):
            span = Span(cell(origin, row, "start", float), cell(origin, row, "stop", float))
        return Record(
            id=name,
            media=media_at(path, self.fps, self.pattern, folder),
            instruction=instruction,
            span=span,
            template=_text(row, "template"),
            split=_text(row, "split"),
            licence=_text(row, "licence") or "",
            origin=origin,
        )


def _instruction(origin: str, row: Mapping[str, Any]) -> str:
    field = next((name for name in ("instruction", "caption") if row.get(name) not in (None, "")), None)
    if field is None:
        raise InputError(f"{origin}: it has no instruction (or caption): say in a sentence what happens in the clip.")
    if not isinstance(row[field], str):
        raise InputError(f"{origin}: the field {field!r} is no text: correct it.")
    if not row[field].strip():
        raise InputError(f"{origin}: its {field} is blank: say in a sentence what happens in the clip.")
    return row[field].strip()


def _warn(sentence: str) -> None:
    warnings.warn(sentence, ShowMeWarning, stacklevel=3)


def media_at(path: Path, fps: float | None = None, pattern: str | None = None, data_set: Path | None = None) -> Media:
    """What a path holds: a folder of pictures, a rendered clip, or a video."""
    if path.is_dir():
        return Pictures(path, fps=fps, only=pattern, data_set=data_set)
    return Rendered(path, fps) if path.suffix == RENDERED else Video(path)


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return None if value in (None, "") else str(value)
