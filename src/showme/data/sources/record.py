"""What every source yields."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..media import Media, Span


@dataclass(frozen=True)
class Record:
    """One clip.

    id: its name in the data set, once. media: where its pixels are. instruction: what happens in it, one sentence.
    span: the part that counts; None: all of it. template: the instruction with its objects left open, where the data
    set has one. split: train, validation or test, where it is known. licence: whose terms hold, in a few words.
    origin: file and row that it comes from, for messages.
    """

    id: str
    media: Media
    instruction: str
    span: Span | None = None
    template: str | None = None
    split: str | None = None
    licence: str = ""
    origin: str = field(default="", compare=False)
