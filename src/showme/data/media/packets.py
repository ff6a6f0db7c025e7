"""The packets of a video: where each frame stands in time and in decoding order, read without decoding."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.stream import Disposition

from ...errors import ClipError
from .base import MAX_PIXELS, Span
from .containers import MAX_FRAMES

# Containers that hold a video and nothing else: no playlists, which would fetch what they name.
_FORMATS = ("mov", "matroska", "webm", "avi", "gif", "mpegts", "mpeg", "mpegvideo", "ogg", "asf", "flv", "apng", "h264",
            "hevc", "ivf", "m4v", "mjpeg", "mxf", "nut", "dv")  # fmt: skip
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(_FORMATS)}
_DECODING = {"err_detect": "explode", "max_pixels": str(MAX_PIXELS)}
# Containers round durations; what is missing beyond this was cut off.
_SLACK_SECONDS = 0.5
# Around a span: frames are shown up to so much later than they are stored.
_MARGIN_SECONDS = 1.0
# Streams of a file at most that are told not to be decoded while it is opened.
_STREAMS = 64
# Where seeking stops: ffmpeg multiplies time stamps by time bases in 64 bits.
_MAX_STAMP = 2**48


# Of looking for a header; in a damaged file of many gigabytes it is looked for everywhere.
OPEN_SECONDS = 120.0


class UnindexedError(Exception):
    """The packets do not say where frames stand."""


@dataclass(frozen=True)
class Packets:
    """Frames of a video in the order of time.

    pts: int (n,), rising, in the stream's time base. times: float (n,), seconds after the video's first frame.
    decode_order: int (n,), place among the packets. key_pts, key_orders: int (k,), of keyframes. key_stamps: int (k,),
    where to seek for them. orders: pts -> decode order, of all packets. to_end: whether the file's end was read.
    """

    pts: np.ndarray
    times: np.ndarray
    decode_order: np.ndarray
    key_pts: np.ndarray
    key_orders: np.ndarray
    key_stamps: np.ndarray
    orders: dict[int, int]
    to_end: bool

    def keyframe_before(self, place: int) -> int:
        """Which keyframe a frame is reached from: the last one that is shown no later."""
        return max(int(np.searchsorted(self.key_pts, self.pts[place], side="right")) - 1, 0)


def open_container(path: Path, source: str | BinaryIO, threads: int = 0, described: bool = False) -> Any:
    """A video file, opened for reading; its decoder reports damage instead of painting over it.

    Args:
        path: for messages.
        source: what PyAV opens.
        threads: of the decoder; 0: as many as there are cores.
        described: its header says what is otherwise learnt by decoding its first frames.

    Raises:
        ClipError: no video in it.
    """
    opening: dict[str, Any] = {"stream_options": [{"skip_frame": "all"}] * _STREAMS} if described else {}
    try:
        container = av.open(
            source, options=dict(_OPTIONS), metadata_errors="replace", timeout=(OPEN_SECONDS, None), **opening
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        raise ClipError(path, words(error)) from error
    try:
        context = video_stream(path, container).codec_context
        context.options = dict(_DECODING)
        context.thread_type, context.thread_count = "AUTO", threads
    except ClipError:
        container.close()
        raise
    return container


def video_stream(path: Path, container: Any) -> Any:
    """The first stream of a container that is a video, and no cover.

    Raises:
        ClipError: there is none, or no decoder for it.
    """
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None or not stream.time_base:
                raise ClipError(path, "there is no decoder for its video")
            return stream
    raise ClipError(path, "there is no video in it")


def read_packets(path: Path, container: Any, span: Span | None) -> Packets:
    """Index the packets that a span needs, or all.

    Raises:
        UnindexedError: packets without time stamps, or with equal ones.
        ClipError: a file that is cut short or damaged.
    """
    stream = video_stream(path, container)
    base = float(stream.time_base)
    first = stream.start_time or 0
    stop = None
    rows: list[tuple[int, int, bool, bool]] = []
    to_end = True
    try:
        if span is not None and span.unit == "seconds":
            stop = first + (span.stop + _MARGIN_SECONDS) / base
            early = max(span.start - _MARGIN_SECONDS, 0)
            if early:
                container.seek(first + int(min(early / base, _MAX_STAMP)), stream=stream, backward=True)
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is None:
                raise UnindexedError
            if packet.is_corrupt:
                raise ClipError(path, "it is cut short or damaged", (packet.pts - first) * base)
            rows.append(
                (packet.pts, packet.pts if packet.dts is None else packet.dts, packet.is_keyframe, packet.is_discard)
            )
            if len(rows) > MAX_FRAMES:
                raise ClipError(path, f"it has more than {MAX_FRAMES} frames", remedy="cut it into parts")
            if stop is not None and packet.is_keyframe and packet.pts > stop:
                to_end = False
                break
    except av.FFmpegError as error:
        raise ClipError(path, words(error), (rows[-1][0] - first) * base if rows else None) from error
    if not rows:
        raise ClipError(path, "it has no frames there")
    if len({row[0] for row in rows}) < len(rows):
        raise UnindexedError
    if to_end:
        _check_end(path, container, stream, (max(row[0] for row in rows) - first) * base)
    return _packets(np.array(rows, dtype=np.int64), first, base, to_end)


def _packets(rows: np.ndarray, first: int, base: float, to_end: bool) -> Packets:
    """rows: int (packets, 4) of pts, dts, is keyframe, is discarded, in decoding order."""
    order = np.argsort(rows[:, 0], kind="stable")
    keys = np.flatnonzero(rows[:, 2])
    if not len(keys) or (keys[0] != 0 and to_end):
        keys = np.union1d(keys, [0]).astype(np.int64)
    keys = keys[np.argsort(rows[keys, 0], kind="stable")]
    shown = order[rows[order, 3] == 0]
    # Before the first keyframe nothing can be decoded.
    shown = shown[rows[shown, 0] >= rows[keys[0], 0]]
    pts = rows[shown, 0]
    return Packets(
        pts=pts,
        times=(pts - first) * base,
        decode_order=shown,
        key_pts=rows[keys, 0],
        key_orders=keys,
        key_stamps=rows[keys, 1],
        orders={int(pts): number for number, pts in enumerate(rows[:, 0])},
        to_end=to_end,
    )


def _check_end(path: Path, container: Any, stream: Any, reached: float) -> None:
    """Refuse a file that holds less than its header says."""
    stated = _stated_seconds(container, stream)
    step = 1 / float(stream.average_rate) if stream.average_rate else 0.0
    if stated is not None and stated - reached > max(_SLACK_SECONDS, 3 * step):
        raise ClipError(path, f"it is cut short: its header says {stated:.3f} s", reached)


def _stated_seconds(container: Any, stream: Any) -> float | None:
    """How long the header says that the video is; None where it does not speak of the video alone."""
    tag = stream.metadata.get("DURATION", "")
    if re.fullmatch(r"\d+:\d+:\d+(\.\d+)?", tag):
        hours, minutes, seconds = tag.split(":")
        # Matroska's clock may have run before the first frame.
        start = float((stream.start_time or 0) * stream.time_base)
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - start
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / 1e6
    return None


def words(error: Exception) -> str:
    """What an error of ffmpeg says."""
    return " ".join(str(getattr(error, "strerror", None) or error).split()).rstrip(".") or type(error).__name__
