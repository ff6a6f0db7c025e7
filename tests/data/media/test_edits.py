"""Edit lists that show several parts of a file: read where packets follow one another, and else refused, always."""

from __future__ import annotations

import struct
import subprocess

import numpy as np
import pytest

from showme.data.check import fault_of
from showme.data.media import Span, Video
from showme.data.sources.record import Record
from showme.errors import ClipError

from .videos import write_clip


def edited(path, seconds: list[tuple[float, float]], gop: int):
    """A clip of 3 s at 20 frames per second, shown in parts: each ``(start, stop)`` of what is stored."""
    # Boxes behind the samples can grow without a change to what points at those.
    write_clip(path, frames=60, gop=gop, options={"bf": "0", "preset": "ultrafast"})
    data = path.read_bytes()
    with Video(path).open() as frames:
        units = round(1 / float(frames.container.streams.video[0].time_base))
    body = b"".join(
        struct.pack(">Iihh", round((stop - start) * 1000), round(start * units), 1, 0) for start, stop in seconds
    )
    place = data.rindex(b"elst")
    old = struct.unpack(">I", data[place - 4 : place])[0]
    new = struct.pack(">I4s4xI", 16 + len(body), b"elst", len(seconds)) + body
    data = bytearray(data[: place - 4] + new + data[place - 4 + old :])
    for outer in (b"edts", b"trak", b"moov"):
        at = data.rindex(outer) - 4
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + len(new) - old)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("seconds", [[(2.0, 3.0), (0.3, 1.5)], [(0.0, 1.0), (1.35, 3.0)]], ids=["back", "within"])
def test_parts_that_repeat_packets_are_refused_as_a_whole_and_in_spans(tmp_path, seconds):
    path = edited(tmp_path / "edited.mp4", seconds, gop=24)
    for span in (None, Span(0.1, 0.3), Span(0.8, 1.05), Span(0, 3, "frames")):
        with pytest.raises(ClipError, match=r"its time stamps go back\): encode it anew, which keeps all frames that"):
            Video(path).open(span)
    assert "its time stamps go back" in fault_of(Record("x", Video(path), "x", Span(0.1, 0.3)))


def test_the_remedy_keeps_the_frames_that_a_player_shows(tmp_path):
    path = edited(tmp_path / "edited.mp4", [(2.0, 3.0), (0.3, 1.8)], gop=24)
    anew = tmp_path / "anew.mp4"
    try:
        subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-fps_mode", "passthrough", anew], check=True)
    except FileNotFoundError:
        pytest.skip("no ffmpeg command")
    with Video(anew).open() as frames:
        assert len(frames) == 50
        assert np.diff(frames.times) == pytest.approx(np.full(49, 0.05), abs=1e-4)


@pytest.mark.parametrize("gop", [1, 24])
def test_parts_that_begin_with_a_keyframe_are_read(tmp_path, gop):
    options = {"bf": "0", "preset": "ultrafast"}
    whole = write_clip(tmp_path / "whole.mp4", frames=60, gop=gop, options=options)
    path = edited(tmp_path / "edited.mp4", [(2.0, 3.0), (0.0, 1.5)], gop=gop)
    shown = [*range(40, 60), *range(30)]
    with Video(whole).open() as frames:
        truth = list(frames.read(range(60)))
    with Video(path).open() as frames:
        assert len(frames) == 50
        for frame, number in zip(frames.read(range(50)), shown, strict=True):
            assert np.array_equal(frame, truth[number])
    with Video(path).open(Span(0.8, 1.1)) as frames:
        for frame, number in zip(frames.read(range(6)), shown[16:22], strict=True):
            assert np.array_equal(frame, truth[number])
