"""Checking a whole data set: every bad clip is named once, whatever is wrong with it, and a crash costs one clip."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from showme.data.check import Finding, check_clips, fault_of, find_bad, finding_of
from showme.data.media import Frames, Media, Pictures, Rendered, Span, Video
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
    calls = []
    bad = find_bad(records(*(Video(folder / name) for name in names)), processes=2, progress=calls.append)
    assert list(bad) == ["1", "2", "3", "4"]
    assert calls == [1, 2, 3, 4, 5]
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


def test_black_clips_are_reported_whatever_their_format_and_are_not_bad(tmp_path):
    black = np.zeros((4, 8, 8, 3), np.uint8)
    nearly = black.copy()
    nearly[2, 3, 3] = 200
    # What is left of black by a camera's noise, and a scene that fades in.
    noisy, fading = black + 12, np.stack([black[0], black[0] + 90, black[0] + 90, black[0]])
    clips = {"black": black, "noisy": noisy, "nearly": nearly, "fading": fading}
    media: list[Media] = []
    for name, frames in clips.items():
        save_file({"frames": frames}, tmp_path / f"{name}.safetensors")
        (tmp_path / name).mkdir()
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(tmp_path / name / f"{number}.png")
        media += [Rendered(tmp_path / f"{name}.safetensors"), Pictures(tmp_path / name)]
    for quick in (False, True):
        checked = check_clips(records(*media), quick=quick, processes=1)
        assert (checked.bad, checked.black) == ({}, ["0", "1", "2", "3"])


def test_black_videos_are_reported_too(tmp_path):
    path = tmp_path / "black.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        container.mux(stream.encode())
    assert finding_of(*records(Video(path))) == Finding(black=True)
