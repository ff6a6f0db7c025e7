"""Something-Something V2 (arXiv 1706.04261): the official JSON, or the ShowMe authors' lists of captions."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from ...errors import InputError, warn_once
from ..media import Media, Pictures, Video
from .base import Source, check_folder, inside
from .faults import entries_of_rows, field_id
from .record import Entry, Record
from .tables import cell, jsonl_rows, read_json

LICENCE = "Something-Something V2 research licence"
FRAMES_PER_SECOND = 12.0
_SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}

_Row = tuple[str, dict[str, Any] | InputError]


class Ssv2Source(Source):
    """Labelled clips. Give ``videos`` or ``frames``, the folder that holds ``<id>.webm`` or ``<id>/`` directly.

    A row of the JSON is ``{"id", "label", "template", "placeholders"}`` (``video_id`` in some releases); its label,
    whose objects are filled in, is the instruction. A line of ``ssv2-train-HOI.jsonl`` is ``{"id", "caption"}``. Videos
    are ``<id>.webm`` or ``<id>.mp4``; frames are ``<id>/img_00001.jpg``, as mmaction2 extracts them.
    """

    kind: Literal["ssv2"] = Field(description="Something-Something V2")
    annotations: Path = Field(description="train.json, validation.json, or ssv2-train-HOI.jsonl and its like")
    videos: Path | None = Field(None, description="folder of <id>.webm or <id>.mp4, 20bn-something-something-v2")
    frames: Path | None = Field(None, description="folder of folders of extracted frames, rawframes")
    fps: float = Field(FRAMES_PER_SECOND, gt=0, description="rate of the frames")
    pattern: str | None = Field(
        None, description="names of the pictures that count, such as rgb_*.png; null: the one series that there is"
    )
    templates: tuple[str, ...] | None = Field(
        None, description="classes to keep, with or without brackets round their objects; null: all"
    )
    split: str | None = Field(None, description="name of the split; null: as the file is named")

    @model_validator(mode="after")
    def _consistent(self) -> Ssv2Source:
        if (self.videos is None) == (self.frames is None):
            raise ValueError("give videos or frames, one of them")
        if self.templates is not None and self._captioned:
            raise ValueError(f"{self.annotations.name} has captions and no templates: give train.json, or no templates")
        return self

    @property
    def place(self) -> Path:
        """The annotations."""
        return self.annotations

    @property
    def _captioned(self) -> bool:
        return self.annotations.suffix.lower() == ".jsonl"

    def entries(self) -> Iterator[Entry]:
        check_folder(self.videos or self.frames or Path(), "videos" if self.videos else "frames")
        split = self.split or _split(self.annotations)

        def entries_of(origin: str, row: dict[str, Any]) -> Iterator[Record]:
            name = cell(origin, row, _id_field(row))
            yield Record(
                id=name,
                media=self._pixels(origin, name),
                instruction=cell(origin, row, "caption") if self._captioned else _label(origin, row),
                template=None if self._captioned else cell(origin, row, "template"),
                split=split,
                licence=LICENCE,
                origin=origin,
            )

        rows = jsonl_rows(self.annotations) if self._captioned else self._kept(_labelled(self.annotations))
        yield from entries_of_rows(rows, entries_of, lambda row: field_id(row, _id_field(row)))

    def _pixels(self, origin: str, name: str) -> Media:
        if self.frames is not None:
            return Pictures(inside(self.frames, name, origin), fps=self.fps, only=self.pattern, data_set=self.frames)
        assert self.videos is not None
        suffixes = (".mp4", ".webm") if self._captioned else (".webm", ".mp4")
        paths = [inside(self.videos, name + suffix, origin) for suffix in suffixes]
        found = [path for path in paths if path.exists()]
        if len(found) > 1:
            both = f"{found[0].name} and {found[1].name} are both there"
            warn_once(("two files", self.videos), f"{origin}: {both}: the first is read, here and for other clips.")
        return Video(next(iter(found), paths[0]))

    def _kept(self, rows: list[_Row]) -> Iterator[_Row]:
        """Rows of the classes that are wanted."""
        if self.templates is None:
            yield from rows
            return
        wanted = {normalise(name): name for name in self.templates}
        there = {_template(row) for _, row in rows}
        for normal, name in wanted.items():
            if normal not in there:
                near = difflib.get_close_matches(normal, there, n=1)
                meant = f"did you mean {near[0]!r}" if near else "correct templates"
                raise InputError(f"{self.annotations} has no clip of the template {name[:200]!r}: {meant}.")
        # Rows whose class nobody can read are reported, not passed over.
        yield from ((origin, row) for origin, row in rows if not _template(row) or _template(row) in wanted)


def normalise(template: str) -> str:
    """A class name as it compares: the JSON has brackets round the objects, the list of class names has none."""
    return " ".join(template.replace("[", "").replace("]", "").split()).casefold()


def _template(row: dict[str, Any] | InputError) -> str:
    return "" if isinstance(row, InputError) else normalise(str(row.get("template") or ""))


def _id_field(row: dict[str, Any]) -> str:
    return "id" if "id" in row else "video_id"


def _labelled(path: Path) -> list[_Row]:
    rows = read_json(path)
    if not isinstance(rows, list):
        raise InputError(f"{path} is no list of clips: give train.json or validation.json.")
    return [
        (
            origin,
            row if isinstance(row, dict) else InputError(f"{origin}: no JSON object: fetch the annotations again."),
        )
        for origin, row in ((f"{path}, row {number}", row) for number, row in enumerate(rows, 1))
    ]


def _label(origin: str, row: dict[str, Any]) -> str:
    if "label" not in row:
        raise InputError(f"{origin}: there is no label, as in test.json: give train.json or validation.json.")
    return cell(origin, row, "label")


def _split(path: Path) -> str | None:
    words = path.stem.lower().replace("_", "-").split("-")
    return next((split for word, split in _SPLITS.items() if word in words), None)
