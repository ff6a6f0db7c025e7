"""Transport streams that were put one after the other: the first is read, and what would need the joint is refused."""

from __future__ import annotations

import io
import shutil
import subprocess

import numpy as np
import pytest

from showme.data.check import fault_of
from showme.data.media import Span, Video
from showme.data.media.containers import check_container
from showme.data.sources.record import Record
from showme.errors import ClipError

from .videos import write_clip


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A clip of 4 s, another, and both in one file."""
    folder = tmp_path_factory.mktemp("joined")
    one = write_clip(folder / "one.ts", frames=80, gop=10, options={"bf": "2"})
    other = write_clip(folder / "other.ts", frames=80, gop=10, options={"bf": "2", "crf": "45"})
    both = folder / "both.ts"
    both.write_bytes(one.read_bytes() + other.read_bytes())
    return one, both


def read(path, span):
    with Video(path).open(span) as frames:
        return frames.times.tolist(), list(frames.read(range(len(frames))))


@pytest.mark.parametrize("start", [0.0, 1.2, 2.4, 3.3])
def test_spans_of_the_first_are_its_own(clips, start):
    one, both = clips
    (times, pictures), (given, shown) = read(one, Span(start, start + 0.4)), read(both, Span(start, start + 0.4))
    assert given == times
    assert all(np.array_equal(a, b) for a, b in zip(shown, pictures, strict=True))


def test_what_needs_the_joint_is_refused_with_what_mends_it(clips):
    _, both = clips
    for span in (None, Span(3.5, 4.1), Span(3.9, 4.2), Span(5, 6), Span(60, 100, "frames")):
        with pytest.raises(ClipError, match="it is several recordings, one after the other: its clock") as error:
            read(both, span)
        assert "encode it anew, which keeps all frames that a player shows" in str(error.value)
        assert "fetch it again" not in str(error.value)
    assert "one after the other" in fault_of(Record("x", Video(both), "x"))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg command")
def test_the_remedy_keeps_all_frames(clips):
    anew = clips[1].with_suffix(".mp4")
    subprocess.run(["ffmpeg", "-v", "error", "-i", clips[1], "-fps_mode", "passthrough", anew], check=True)
    assert len(read(anew, None)[0]) == 160


def clock_packet(clock: int) -> bytes:
    clock %= 2**33
    field = bytes([0x47, 1, 0, 0x20, 183, 0x10, *(clock >> shift & 255 for shift in (25, 17, 9, 1)), (clock & 1) << 7])
    return field.ljust(188, b"\xff")


def test_clocks_of_long_files_are_looked_at_in_parts_and_may_run_over(clips, monkeypatch):
    monkeypatch.setattr("showme.data.media.containers._CLOCK_PACKETS", 512)
    rising = [clock_packet(2**33 - 500_000 + 1000 * number) for number in range(1000)]
    for packets, joined in ((rising, False), (rising[:600] + rising[:400], True), (rising[:300], False)):
        assert check_container(clips[0], io.BytesIO(b"".join(packets))).joined == joined
