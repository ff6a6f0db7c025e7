"""Transport streams that end within a packet: what is surely there is read, and no more."""

from __future__ import annotations

import re

import numpy as np
import pytest

from showme.data.media import Span, Video
from showme.errors import ClipError

from .videos import write_clip

PACKET = 188


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("cut") / "whole.ts", frames=40, options={"bf": "3", "b_strategy": "0"})


def read(path, span):
    with Video(path).open(span) as frames:
        return frames.times.tolist(), list(frames.read(range(len(frames))))


def cut_at(whole, size: int):
    path = whole.with_name("cut.ts")
    path.write_bytes(whole.read_bytes()[:size])
    return path


@pytest.mark.parametrize("share", np.linspace(0.3, 1, 12))
def test_frames_before_the_cut_are_the_wholes(whole, share):
    times, pictures = read(whole, None)
    size = int(whole.stat().st_size * share) // PACKET * PACKET - 70
    path = cut_at(whole, size)
    with pytest.raises(
        ClipError, match=r"it is cut short: it ends within a packet.*: fetch it again, leave it out, or"
    ) as error:
        read(path, None)
    assert "header" not in str(error.value)
    last = float(re.search(r"of at most ([0-9.]+) s", str(error.value))[1])
    given, shown = read(path, Span(0, last, "seconds"))
    # The stop is no part of a span.
    count = len(given)
    assert 0 < count < 40
    assert given == times[:count]
    assert times[count] == pytest.approx(last, abs=1e-3)
    assert all(np.array_equal(a, b) for a, b in zip(shown, pictures, strict=False))
    numbered, same = read(path, Span(0, count + 1, "frames"))
    assert numbered == times[: count + 1]
    assert np.array_equal(same[-1], pictures[count])
    for span in (Span(0, last + 0.02, "seconds"), Span(0, count + 2, "frames")):
        with pytest.raises(ClipError, match="it is cut short: it ends within a packet"):
            read(path, span)


def test_between_two_packets_nobody_knows(whole):
    path = cut_at(whole, whole.stat().st_size // PACKET // 2 * PACKET)
    times, _ = read(path, Span(0, 0.3, "seconds"))
    assert times == read(whole, Span(0, 0.3, "seconds"))[0]
