"""What every source yields: records, and what stands in the place of those that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..media import Media, Span


@dataclass(frozen=True)
class Record:
    """One clip.

    id: its name in the data set, once. media: where its pixels are. instruction: what happens in it, one sentence.
    span: the part that counts; None: all of it. template: the instruction with its objects left open, where the data
    set has one. split: train, validation or test, where it is known. licence: whose terms hold, in a few words.
    origin: file and row that it comes from, for messages. written: the instruction as its annotation has it, for
    messages; empty where that is ``instruction``.
    """

    id: str
    media: Media
    instruction: str
    span: Span | None = None
    template: str | None = None
    split: str | None = None
    licence: str = ""
    origin: str = field(default="", compare=False)
    written: str = field(default="", compare=False)


@dataclass(frozen=True)
class Fault:
    """A record that cannot be used, where the others can. id: what ``exclude`` knows it by, the record's own or, where
    it has none, its row (``index.jsonl, line 7``). reason: one sentence with file, row and remedy."""

    id: str
    reason: str


@dataclass(frozen=True)
class LeftOut:
    """A record that its source leaves out by a rule of its own. reason: what follows "3 episodes", in words."""

    id: str
    reason: str


Entry = Record | Fault | LeftOut
