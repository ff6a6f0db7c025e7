"""Videos that few people make: read as a plain decoding reads them, or refused with the reason; bombs are refused."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from showme.data.media import Span, Video
from showme.data.media import opening as opening_module
from showme.errors import ClipError

from ..data.media.videos import decode_all
from .bombs import BOMBS, sparse
from .reading import Job
from .surprises import SURPRISES, mux

# Of small files, and of those whose header speaks of gigabytes.
PEAK = 256 * 2**20


def test_strange_videos_are_read_whole_or_refused(corpus, read):
    jobs = [Job("video", str(write(corpus / name))) for name, (write, _) in SURPRISES.items()]
    for outcome, (name, (_, expected)) in zip(read(jobs, PEAK), SURPRISES.items(), strict=True):
        if isinstance(expected, str):
            assert expected in outcome.message, f"{name}: {outcome.message}"
            continue
        assert (outcome.message, len(outcome.frames)) == ("", expected), name
        # The last video stream; square pixels are another test's.
        if "pixels" not in name and name != "skewed.mp4":
            assert outcome.frames == [digest(frame) for frame in decode_all(corpus / name)], name


@pytest.mark.parametrize("name", [name for name, (_, expected) in SURPRISES.items() if not isinstance(expected, str)])
def test_every_frame_alone_is_the_frame_of_the_whole(corpus, name):
    path = SURPRISES[name][0](corpus / name)
    with Video(path).open() as frames:
        whole = list(frames.read(range(len(frames))))
        for index in reversed(range(len(frames))):
            assert np.array_equal(next(iter(frames.read([index]))), whole[index]), f"frame {index}"


def test_seconds_are_counted_from_the_first_frame_whatever_the_clock_says(corpus):
    """A clip that begins at ten hours, and one with a gap of as many."""
    for name in ("late.ts", "late.mkv", "late.mp4"):
        path = SURPRISES[name][0](corpus / name)
        with Video(path).open(Span(0.45, 0.95)) as frames:
            assert len(frames) == 5, name
            assert np.array_equal(next(iter(frames.read([0]))), decode_all(path)[5]), name
    for name in ("gap.mp4", "gap.mkv"):
        path = SURPRISES[name][0](corpus / name)
        with Video(path).open(Span(0, 36000.05)) as frames:
            # Mostly a gap; each end has its frames.
            assert len(frames) == 7, name
        with pytest.raises(ClipError, match="holds no frame"):
            Video(path).open(Span(10, 35990))


@pytest.mark.parametrize("span", [Span(0, 1e300), Span(1e300, 2e300), Span(float("nan"), 1), Span(0, float("inf"))])
@pytest.mark.parametrize("unit", ["seconds", "frames"])
def test_spans_that_no_clip_has_are_refused(corpus, span, unit):
    path = mux(corpus / "clip.mp4")
    with pytest.raises(ClipError, match="holds no frame"):
        Video(path).open(Span(span.start, span.stop, unit))


def test_bombs_and_empty_giants_are_refused_at_once(corpus, read):
    jobs = [Job(kind, str(write(corpus / name))) for name, (kind, write) in BOMBS.items()]
    for job, outcome in zip(jobs, read(jobs, PEAK), strict=True):
        assert outcome.error, f"{job.name} was read, {len(outcome.frames)} frames"


@pytest.mark.parametrize(
    ("name", "head"), [("scan.avi", b"RIFF\0\0\0\0AVI LIST"), ("scan.mkv", b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff")]
)
def test_looking_for_a_header_comes_to_an_end(corpus, monkeypatch, name, head):
    monkeypatch.setattr(opening_module, "OPEN_SECONDS", 0.5)
    with pytest.raises(ClipError, match=name):
        Video(sparse(corpus / name, head, 2**30)).open()


def digest(frame: np.ndarray) -> str:
    """As the reading process makes it."""
    return hashlib.sha256(repr(frame.shape).encode() + frame.tobytes()).hexdigest()[:16]
