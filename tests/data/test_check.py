"""Checking a whole data set: every bad clip is named once, whatever is wrong with it, and a crash costs one clip."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from showme.data.check import fault_of, find_bad
from showme.data.media import Frames, Media, Span, Video
from showme.data.sources import Record

from .media.videos import write_clip


def records(*media: Media, span: Span | None = None) -> list[Record]:
    return [Record(str(number), each, "lift it", span) for number, each in enumerate(media)]


@dataclass(frozen=True)
class Crashing(Media):
    """A clip whose decoder ends the process."""

    path: Path

    def open(self, span: Span | None = None) -> Frames:
        os._exit(11)

    def identity(self, span: Span | None = None) -> list:
        return []


@dataclass(frozen=True)
class Hanging(Media):
    """A clip whose decoder never comes back."""

    path: Path

    def open(self, span: Span | None = None) -> Frames:
        while True:
            time.sleep(0.01)

    def identity(self, span: Span | None = None) -> list:
        return []


@dataclass(frozen=True)
class Surprising(Media):
    """A clip whose reader raises what nobody foresaw."""

    path: Path

    def open(self, span: Span | None = None) -> Frames:
        raise TypeError("neither\nhere nor there")

    def identity(self, span: Span | None = None) -> list:
        return []


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    whole = write_clip(folder / "good.mp4", frames=60, options={"movflags": "faststart"})
    data = bytearray(whole.read_bytes())
    (folder / "short.mp4").write_bytes(data[: len(data) * 2 // 3])
    middle = data.rindex(b"mdat") + (len(data) - data.rindex(b"mdat")) // 2
    data[middle : middle + 400] = bytes(400)
    (folder / "damaged.mp4").write_bytes(data)
    (folder / "text.mp4").write_text("no clip at all")
    return folder


def test_every_bad_clip_is_named_and_the_good_ones_are_not(folder):
    names = ["good.mp4", "short.mp4", "text.mp4", "missing.mp4", "damaged.mp4"]
    told = []
    bad = find_bad(records(*(Video(folder / name) for name in names)), processes=2, progress=told.append)
    assert list(bad) == ["1", "2", "3", "4"]
    assert told == [1, 2, 3, 4, 5]
    for number, words in (("1", "cut short|damaged|no frame"), ("3", "no such file"), ("4", r"at [0-9.]+ s")):
        assert re.search(words, bad[number]), bad[number]
    assert all("\n" not in reason and str(folder) in reason for reason in bad.values())


def test_quick_looks_at_the_ends_alone(folder):
    (record,) = records(Video(folder / "damaged.mp4"))
    assert fault_of(record) is not None
    assert fault_of(record, quick=True) is None


def test_a_span_past_the_end_is_bad(folder):
    (record,) = records(Video(folder / "good.mp4"), span=Span(1, 9))
    assert "reaches past the end" in str(fault_of(record))


def test_a_crash_and_a_hang_cost_their_own_clip(folder):
    media = [Video(folder / "good.mp4")] * 3 + [
        Crashing(folder / "x"),
        Hanging(folder / "y"),
        Video(folder / "good.mp4"),
    ]
    bad = find_bad(records(*media), processes=2, seconds=2)
    assert list(bad) == ["3", "4"]
    assert "its decoder crashed" in bad["3"]
    assert "took more than 2 s" in bad["4"]


def test_what_nobody_foresaw_is_a_bad_clip_too(folder):
    bad = find_bad(records(Surprising(folder / "x"), Video(folder / "good.mp4")), processes=1)
    assert bad == {"0": f"{folder / 'x'} cannot be read as a clip (TypeError: neither\\nhere nor there): leave it out."}
    (record,) = records(Video(folder / "missing.mp4"))
    assert str(fault_of(record)).count("cannot be read as a clip") == 1
