"""When frames are shown: clocks that begin before the picture, tracks, files that begin between two keyframes."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from showme.data.check import fault_of
from showme.data.media import Span, Video
from showme.data.media.clock import filled, separated
from showme.data.sources import open_source
from showme.data.sources.record import Record
from showme.errors import ClipError, ShowMeWarning

from .videos import decode_all, picture, write_clip


def late_picture(path: Path, late: float, sound: bool = True) -> Path:
    """20 frames per second; the sound begins so much earlier than the picture."""
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as output:
        video = output.add_stream("libx264", rate=20, options={"bf": "2", "qp": "0"})
        video.width, video.height, video.pix_fmt, video.codec_context.time_base = 64, 48, "yuv444p", Fraction(1, 20)
        audio = output.add_stream("aac", rate=16000) if sound else None
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24").reformat(format="yuv444p")
            frame.pts, frame.time_base = number + round(late * 20), Fraction(1, 20)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for part in range(40 if audio else 0):
            heard = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = 16000, part * 1024, Fraction(1, 16000)
            output.mux(audio.encode(heard))
    return path


@pytest.mark.parametrize("suffix", ["mkv", "ts", "mp4"])
def test_seconds_count_from_the_earliest_stream(tmp_path, suffix):
    path = late_picture(tmp_path / f"late.{suffix}", late=0.5)
    truth = decode_all(path)
    with av.open(str(path)) as container:
        clock = container.start_time / av.time_base
        shown = [float(frame.pts * frame.time_base) - clock for frame in container.decode(video=0)]
    assert shown[0] > 0.45
    with Video(path).open(Span(1.0, 1.5)) as frames:
        wanted = [index for index, time in enumerate(shown) if 1.0 - 5e-7 <= time < 1.5 - 5e-7]
        assert len(frames) == len(wanted) == 10
        for frame, index in zip(frames.read(range(10)), wanted, strict=True):
            assert np.array_equal(frame, truth[index])
        assert frames.times == pytest.approx([shown[index] for index in wanted])
    with Video(path).open() as frames:
        assert frames.times[0] == pytest.approx(shown[0])


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_a_first_time_stamp_that_is_not_zero_is_second_zero(tmp_path, suffix):
    path = late_picture(tmp_path / f"offset.{suffix}", late=3.0, sound=False)
    with Video(path).open(Span(0.0, 0.5)) as frames:
        assert len(frames) == 10
        assert frames.times[0] == pytest.approx(0)


def two_tracks(path: Path, default: int | None) -> Path:
    """Track 0 is dark, track 1 bright."""
    with av.open(str(path), "w") as output:
        streams = []
        for level in (20, 200):
            stream = output.add_stream("libx264", rate=20)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            streams.append((stream, level))
        for number, (stream, _) in enumerate(streams):
            stream.disposition = av.stream.Disposition.default if number == default else av.stream.Disposition(0)
        for stream, level in streams:
            for number in range(5):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 20)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    return path


def level_of(media: Video) -> float:
    with media.open() as frames:
        return float(next(iter(frames.read([0]))).mean())


def test_the_default_track_is_read_and_said(tmp_path):
    path = two_tracks(tmp_path / "two.mkv", default=1)
    with pytest.warns(
        ShowMeWarning, match=r"two\.mkv has 2 video tracks: track 1 is read, which is marked as the default"
    ):
        assert level_of(Video(path)) > 150
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert level_of(Video(path, track=0)) < 60
        assert level_of(Video(path, track=1)) > 150
    with pytest.raises(ClipError, match=r"it has 2 video tracks.*choose a track below 2, from 0"):
        Video(path, track=2).open()
    assert Video(path, track=1).identity() != Video(path, track=0).identity() != Video(path).identity()


def test_a_source_chooses_the_track(tmp_path):
    two_tracks(tmp_path / "7.mkv", default=0)
    (tmp_path / "index.jsonl").write_text('{"id": "7", "file": "7.mkv", "instruction": "push the jar"}')
    (record,) = open_source(str(tmp_path), ["track=1"]).records()
    assert level_of(record.media) > 150


def test_a_stream_that_begins_between_two_keyframes_is_read_from_the_next(tmp_path):
    whole = write_clip(tmp_path / "whole.ts", frames=60, gop=20, options={"bf": "0", "sc_threshold": "0"})
    data = whole.read_bytes()
    packets = len(data) // 188
    cut = tmp_path / "cut.ts"
    cut.write_bytes(data[: 188 * 2] + data[188 * (packets // 6) :])
    truth = decode_all(whole)
    with pytest.warns(ShowMeWarning, match=r"cut\.ts begins between two keyframes: its first \d+ frames cannot be"):
        frames = Video(cut).open()
    assert len(frames) == 40
    for frame, index in zip(frames.read([0, 39]), (20, 59), strict=True):
        assert np.array_equal(frame, truth[index])
    assert fault_of(Record("x", Video(cut), "x")) is None


def test_a_span_of_a_stream_that_begins_between_two_keyframes_is_read_every_time(tmp_path):
    whole = write_clip(tmp_path / "whole.ts", frames=80, gop=20, options={"bf": "0", "sc_threshold": "0"})
    data = whole.read_bytes()
    cut = tmp_path / "cut.ts"
    cut.write_bytes(data[: 188 * 2] + data[188 * (len(data) // 188 // 8) :])
    # Read from its beginning, in a container of its own, where seeking leads behind the span.
    with Video(cut).open() as frames:
        starts = [float(time) for time in frames.times if 1 < time < 1.5]
    for start in starts * 15:
        with Video(cut).open(Span(start, start + 0.2)) as frames:
            assert len(frames) == 4


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_a_last_frame_that_is_held_is_no_cut(tmp_path, suffix):
    path = tmp_path / f"held.{suffix}"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=30, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        packets = []
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = number * 33, Fraction(1, 1000)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for packet in packets:
            packet.duration = 4000 if packet is packets[-1] else 33
            output.mux(packet)
    assert fault_of(Record("x", Video(path), "x")) is None


def test_interlaced_video_is_said(tmp_path):
    path = write_clip(tmp_path / "fields.mp4", frames=4, options={"x264-params": "interlaced=1"})
    with pytest.warns(ShowMeWarning, match=r"fields\.mp4 is interlaced"), Video(path).open() as frames:
        list(frames.read([0, 1]))


@pytest.mark.parametrize("frames", [2, 5, 40])
@pytest.mark.parametrize(("codec", "bf"), [("libx264", "3"), ("mpeg4", "2")])
def test_pictures_in_every_second_slot_of_an_avi_lie_evenly_to_the_end(tmp_path, codec, bf, frames):
    times = [2 * number for number in range(frames)]
    path = write_clip(tmp_path / "slots.avi", frames=frames, codec=codec, fps=50, times=times, options={"bf": bf})
    with Video(path).open() as clip:
        assert clip.times == pytest.approx(np.arange(frames) / 25)
        assert clip.fps == pytest.approx(25)


@pytest.mark.parametrize("suffix", ["mkv", "flv"])
def test_one_pair_of_equal_time_stamps_leaves_the_clock_as_it_is(tmp_path, suffix):
    # A pause of 5 seconds; and two frames within a millisecond, which is what these containers count.
    seconds = [number / 20 + (5 if number >= 15 else 0) for number in range(40)]
    seconds[31] = seconds[30] + 0.0002
    times = [round(second * 90000) for second in seconds]
    options = {"bf": "0", "preset": "ultrafast"}
    path = write_clip(tmp_path / f"equal.{suffix}", fps=90000, times=times, options=options)
    with pytest.warns(ShowMeWarning, match=rf"equal\.{suffix} gives several frames one time stamp"):
        frames = Video(path).open()
    assert frames.times == pytest.approx(seconds, abs=1e-3)
    assert frames.times[30] < frames.times[31]
    truth = decode_all(path)
    with Video(path).open(Span(6.45, 6.6)) as part:
        wanted = [index for index, second in enumerate(seconds) if 6.45 <= second < 6.6]
        assert 31 in wanted
        for frame, index in zip(part.read(range(len(part))), wanted, strict=True):
            assert np.array_equal(frame, truth[index])


def test_times_that_are_not_known_lie_between_those_that_are():
    nan = np.nan
    assert filled(np.array([nan, 1.0, nan, 3.0, nan]), 0.5).tolist() == [0.5, 1.0, 2.0, 3.0, 3.5]
    # Stamps of decoding.
    assert filled(np.array([1.0, 0.0, nan, 3.0]), 0.5).tolist() == [0.0, 1.0, 2.0, 3.0]
    rising = separated(np.array([0.0, 1.0, 1.0, 1.0, 2.0, 2.0]))
    assert rising == pytest.approx([0, 1, 1, 1, 2, 2], abs=1e-5)
    assert (np.diff(rising) > 0).all()
