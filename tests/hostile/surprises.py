"""Videos that are whole, and built as few are: what the packets say is strange, and what they show is known."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ..data.media.videos import picture
from .corpus import SIZE, VP9, X264, write_video

FPS = 10


def mux(
    path: Path,
    sizes: Sequence[tuple[int, int]] = (SIZE,),
    times: Sequence[int] = range(12),
    codec: str = "mpeg4",
    before: str | None = None,
    oblong: bool = False,
    muxer: dict[str, str] | None = None,
    pixels: str = "yuv420p",
) -> Path:
    """A video whose frame n has the size ``sizes[n % len(sizes)]``, by an encoder of its own where sizes change.

    times: time stamps in frames. before: ``audio``, ``video`` or ``cover``: a stream that stands first. oblong: pixels
    twice as wide as high.
    """
    with av.open(str(path), "w", options=muxer or {}) as output:
        first = _other(output, before) if before else None
        stream = output.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *sizes[0], pixels
        if oblong:
            stream.codec_context.sample_aspect_ratio = Fraction(2)
        for number, time in enumerate(times):
            frame = _frame(number, sizes[number % len(sizes)], pixels, time)
            encoder = stream if len(sizes) == 1 else _encoder(codec, frame)
            for packet in [*encoder.encode(frame), *(() if encoder is stream else encoder.encode(None))]:
                packet.stream, packet.pts, packet.time_base = stream, packet.pts, Fraction(1, FPS)
                output.mux(packet)
        if len(sizes) == 1:
            output.mux(stream.encode(None))
        if first is not None:
            _fill(output, first, before)
    return path


def _frame(number: int, size: tuple[int, int], pixels: str, time: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24").reformat(format=pixels)
    frame.pts, frame.time_base = time, Fraction(1, FPS)
    return frame


def _encoder(codec: str, frame: av.VideoFrame):
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
    encoder.time_base = Fraction(1, FPS)
    return encoder


def _other(output, kind: str | None):
    if kind == "audio":
        return output.add_stream("aac", rate=8000, layout="mono")
    stream = output.add_stream("mjpeg", rate=FPS)
    stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
    if kind == "cover":
        stream.disposition = av.stream.Disposition.attached_pic
    return stream


def _fill(output, stream, kind: str | None) -> None:
    if kind == "audio":
        for number in range(12):
            samples = np.zeros((1, 800), np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, number * 800
            output.mux(stream.encode(frame))
    else:
        for number in range(1 if kind == "cover" else 5):
            output.mux(stream.encode(_frame(number, (16, 16), "yuvj420p", number)))
    output.mux(stream.encode(None))


def audio(path: Path) -> Path:
    """Sound alone."""
    with av.open(str(path), "w") as output:
        _fill(output, _other(output, "audio"), "audio")
    return path


def patched(path: Path, change: Callable[[bytearray], None], oblong: bool = False) -> Path:
    """A video whose bytes were changed afterwards."""
    _ = mux(path, oblong=True) if oblong else write_video(path, options=X264)
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    return path


def put(tag: bytes, offset: int, layout: str, *values, new: bytes | None = None) -> Callable[[bytearray], None]:
    """A change of values so many bytes behind a box's name, or of the name."""

    def change(data: bytearray) -> None:
        place = data.rindex(tag)
        if new is not None:
            data[place : place + 4] = new
        struct.pack_into(layout, data, place + offset, *values)

    return change


def joined(path: Path, sizes: Sequence[tuple[int, int]]) -> Path:
    """Transport streams, one behind the other."""
    parts = []
    for size in sizes:
        parts.append(write_video(path, options=X264, size=size).read_bytes())
    path.write_bytes(b"".join(parts))
    return path


AS_GIVEN = {"avoid_negative_ts": "disabled"}
# Turned by 45 degrees.
SKEWED = (46341, 46341, 0, -46341, 46341, 0, 0, 0, 2**30)
HOURS = 10 * 3600 * FPS
# What builds each, and how many frames it has, or what is said of it.
SURPRISES: dict[str, tuple[Callable[[Path], Path], int | str]] = {
    "no-sync-table.mp4": (lambda path: patched(path, put(b"stss", 0, "4x", new=b"free")), 12),
    "no-keyframe.mp4": (lambda path: patched(path, put(b"stss", 12, ">I", 99)), 12),
    "unknown-codec.mp4": (lambda path: patched(path, put(b"avc1", 0, "4x", new=b"zzzz")), "no decoder for its video"),
    "no-rotation.mp4": (lambda path: patched(path, put(b"tkhd", 44, ">9I", *[0] * 9)), 12),
    "skewed.mp4": (lambda path: patched(path, put(b"tkhd", 44, ">9i", *SKEWED)), 12),
    "zero-duration.mp4": (lambda path: patched(path, put(b"mdhd", 20, ">I", 0)), 12),
    "endless.mp4": (lambda path: patched(path, put(b"mdhd", 20, ">I", 2**31 - 1)), 12),
    "zero-time-scale.mp4": (lambda path: patched(path, put(b"mdhd", 16, ">I", 0)), 1),
    "trimmed.mp4": (lambda path: patched(path, put(b"elst", 16, ">i", 5 * 1024)), 9),
    "empty-edit.mp4": (lambda path: patched(path, put(b"elst", 16, ">i", -1)), "it has no frames"),
    "gap.mp4": (lambda path: mux(path, times=[*range(6), *range(HOURS, HOURS + 6)]), 12),
    "gap.mkv": (lambda path: mux(path, times=[*range(6), *range(HOURS, HOURS + 6)]), 12),
    "late.ts": (lambda path: mux(path, times=range(HOURS, HOURS + 12)), 12),
    "late.mkv": (lambda path: mux(path, times=range(HOURS, HOURS + 12)), 12),
    "late.mp4": (lambda path: mux(path, times=range(HOURS, HOURS + 12), muxer={"use_editlist": "0"}), 12),
    "negative.mp4": (lambda path: mux(path, times=range(-5, 7), muxer=AS_GIVEN), 7),
    "negative.mkv": (lambda path: mux(path, times=range(-5, 7), muxer=AS_GIVEN), 12),
    "uneven.mp4": (lambda path: mux(path, times=[0, 1, 2, 30, 31, 90, 91, 92, 400, 401, 402, 403]), 12),
    "two-videos.mp4": (lambda path: mux(path, before="video"), 5),
    "audio-first.mp4": (lambda path: mux(path, before="audio"), 12),
    "cover-first.mp4": (lambda path: mux(path, before="cover"), 12),
    "audio.m4a": (audio, "there is no video in it"),
    "changing.avi": (lambda path: mux(path, [SIZE, (64, 48)], codec="mjpeg", pixels="yuvj420p"), "pictures change"),
    "changing.ts": (lambda path: joined(path, [SIZE, (64, 48)]), "several recordings"),
    "again.ts": (lambda path: joined(path, [SIZE, SIZE]), "several recordings"),
    "wide-pixels.mp4": (lambda path: patched(path, put(b"pasp", 4, ">II", 30000, 1), True), "a side of its 960000x24"),
    "flat-pixels.mp4": (lambda path: patched(path, put(b"pasp", 4, ">II", 1, 30000), True), 12),
    "raw.h264": (lambda path: write_video(path, options=X264), 12),
    **{
        f"one-frame{suffix}": (lambda path, options=options: write_video(path, frames=1, **options), 1)
        for suffix, options in {
            ".mp4": {"options": X264}, ".mkv": {"options": X264}, ".ts": {"options": X264}, ".webm": VP9,
            ".avi": {"codec": "mpeg4"}, ".gif": {"codec": "gif", "pixels": "rgb8"},
        }.items()
    },
}  # fmt: skip
