"""Video files: exactly the frames that are asked for, at the price of as little decoding as possible.

A first pass reads the packets' time stamps (nothing is decoded), which gives every frame's place in time, in decoding
order and after its keyframe. Then each run of wanted frames is reached from the last keyframe before it, and frames on
the way that no other frame refers to are passed over undecoded. Files whose packets do not say enough (GIF, old AVI)
are decoded from their beginning, and frames are counted.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

import av
import numpy as np

from ...errors import ClipError
from ...machine import usable_cores
from .animation import Animation, is_animation, opened
from .base import (
    Frames,
    Media,
    Span,
    check_holds,
    check_regular,
    check_same_size,
    check_size,
    check_span,
    file_identity,
    span_identity,
)
from .colours import DEFAULT, Colours
from .containers import MAX_FRAMES, check_container
from .decoders import decoded
from .packets import Packets, UnindexedError, open_container, read_packets, video_stream, words
from .rgb import check_frame, picture_of
from .runs import RunDecoder, runs_of

SUFFIXES = (
    ".mp4",
    ".webm",
    ".mkv",
    ".avi",
    ".mov",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".ts",
    ".gif",
    ".apng",
    ".ogv",
    ".wmv",
    ".flv",
    ".3gp",
)
# Their packets are not frames: GIF paints over what it showed before, VP8 has frames that are never shown.
_COUNTED = {"gif", "apng", "vp8"}
logging.getLogger("libav").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Video(Media):
    """A video file, whatever ffmpeg reads: MP4, WebM, AVI, GIF, ..."""

    path: Path
    colours: Colours = DEFAULT

    def open(self, span: Span | None = None) -> Frames:
        check_regular(self.path)
        return open_video(self.path, lambda: f"file:{self.path}", span, self.colours)

    def identity(self, span: Span | None = None) -> list:
        return [*file_identity(self.path), span_identity(span), *self.colours.identity()]


def open_video(
    path: Path, source: Callable[[], str | BinaryIO], span: Span | None = None, colours: Colours = DEFAULT
) -> Frames:
    """The frames of a video file, wherever its bytes are.

    Args:
        path: for messages.
        source: gives what PyAV opens, a ``file:`` name or an open file, anew at every call.
        span: the part that counts; None: all.
        colours: what the file leaves open.

    Raises:
        ClipError: as :class:`VideoFrames`.
    """
    with opened(path, source) as file:
        animated = is_animation(file)
    return Animation(path, source, span) if animated else VideoFrames(path, source, span, colours)


class VideoFrames(Frames):
    """An open video.

    Args:
        path: for messages.
        source: makes what PyAV opens: an address of a file, or a file object.
        span: the part that counts; None: all.

    Raises:
        ClipError: no video, damaged, cut short, or a span that reaches past its end.
    """

    def __init__(
        self, path: Path, source: Callable[[], str | BinaryIO], span: Span | None = None, colours: Colours = DEFAULT
    ):
        self.path, self.source, self.colours = path, source, colours
        self.described = self._check_container()
        self.container = self._open()
        self.decoders: dict[int, RunDecoder] = {}
        try:
            self._index(span)
        except BaseException:
            self.close()
            raise

    def _check_container(self) -> bool:
        with opened(self.path, self.source) as file:
            return check_container(self.path, file)

    def _open(self, threads: int = 0) -> Any:
        return open_container(self.path, self.source(), threads, self.described)

    def _index(self, span: Span | None) -> None:
        if span is not None:
            check_holds(self.path, span)
        stream = video_stream(self.path, self.container)
        self.codec = stream.codec_context.name
        check_size(self.path, stream.codec_context.width, stream.codec_context.height)
        self.rate = float(stream.average_rate) if stream.average_rate else None
        self.packets: Packets | None = None
        if self.codec not in _COUNTED:
            try:
                self.packets = read_packets(self.path, self.container, span)
            except UnindexedError:
                self._reopen()
        self.times = np.array(list(self._decoded_times())) if self.packets is None else self.packets.times
        if self.codec == "gif":
            self.times = self.colours.gif_times(self.times)
        if not len(self.times):
            raise ClipError(self.path, "it has no frames")
        if (np.diff(self.times) < 0).any():
            back = float(self.times[int(np.argmax(np.diff(self.times) < 0))])
            raise ClipError(self.path, "its time stamps go back", back, "copy it to MP4 once")
        self.positions = self._positions(span)
        times = self.times[self.positions.start : self.positions.stop]
        moving = len(times) > 1 and times[-1] > times[0]
        self.fps = (len(times) - 1) / float(times[-1] - times[0]) if moving else self.rate

    def _positions(self, span: Span | None) -> range:
        """Places of the span's frames among ``times``."""
        count = len(self.times)
        if span is None:
            return range(count)
        if span.unit == "frames":
            start, stop = int(span.start), int(span.stop)
            check_span(self.path, span, count, start, stop, None)
            return range(start, stop)
        step = float(np.median(np.diff(self.times))) if count > 1 else 1 / (self.rate or 25)
        # Annotations and time bases round differently: half a microsecond of grace for a frame, one frame for the end.
        start, stop = (int(np.searchsorted(self.times, edge - 5e-7)) for edge in (span.start, span.stop))
        seconds = float(self.times[-1]) + step
        start = -1 if span.start < 0 else start
        past = (self.packets is None or self.packets.to_end) and span.stop > seconds + step
        check_span(self.path, span, count, start, count + 1 if past else stop, seconds)
        return range(start, stop)

    def __len__(self) -> int:
        return len(self.positions)

    def read(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        wanted = [self.positions[index] for index in indices]
        if self.packets is None:
            yield from self._count_to(wanted)
            return
        runs = runs_of(wanted, self.packets)
        workers = min(len(runs), usable_cores())
        if workers < 2:
            for run in runs:
                yield from self._decoder(0).decode(run)
            return
        yield from self._read_at_once(runs, workers)

    def verify(self) -> None:
        if self.packets is None:
            # They were decoded when they were counted.
            return
        self._decoder(0).verify(self.positions)

    def until(self, index: int, span: Span | None) -> Span:
        if span is None or span.unit == "frames":
            return super().until(index, span)
        place = self.positions[index]
        following = self.times[place + 1] if place + 1 < len(self.times) else self.times[place] + 2e-3
        return Span(span.start, float(self.times[place] + following) / 2)

    def close(self) -> None:
        for decoder in self.decoders.values():
            decoder.close()
        self.container.close()

    def _read_at_once(self, runs: list[list[int]], workers: int) -> Iterator[np.ndarray]:
        """Several runs at a time, each by a decoder of its own; ffmpeg's own threads would wait at every seek."""
        free: SimpleQueue[int] = SimpleQueue()
        for number in range(workers):
            free.put(number)

        def decode(run: list[int]) -> list[np.ndarray]:
            number = free.get()
            try:
                # Opened here: the first worker need not wait for it.
                return list(self._decoder(number, threads=1).decode(run))
            finally:
                free.put(number)

        with ThreadPoolExecutor(workers) as pool:
            waiting = deque(pool.submit(decode, run) for run in runs[: workers + 1])
            for ahead in range(workers + 1, len(runs) + workers + 1):
                if not waiting:
                    return
                try:
                    yield from waiting.popleft().result()
                finally:
                    if ahead < len(runs):
                        waiting.append(pool.submit(decode, runs[ahead]))

    def _decoder(self, number: int, threads: int = 0) -> RunDecoder:
        """The decoder of a worker; 0 threads: as many as there are cores."""
        assert self.packets is not None
        if number not in self.decoders:
            # In a damaged file, a container that was read to its end finds other packets than a fresh one.
            self.decoders[number] = RunDecoder(self.path, self._open(threads), self.packets, self.colours)
        return self.decoders[number]

    def _count_to(self, wanted: Sequence[int]) -> Iterator[np.ndarray]:
        """Frames by their ordinal numbers, from the beginning."""
        self._reopen()
        stream = video_stream(self.path, self.container)
        left = list(wanted)
        for place, frame in enumerate(self._decode_all()):
            while left and left[0] == place:
                left.pop(0)
                yield picture_of(self.path, frame, stream, float(self.times[place]), self.colours)
            if not left:
                return
        raise ClipError(self.path, "it has fewer frames than when it was opened")

    def _decoded_times(self) -> Iterator[float]:
        """Times of all frames, by decoding all."""
        first: float | None = None
        for place, frame in enumerate(self._decode_all()):
            time = frame.time if frame.time is not None else place / (self.rate or 25)
            first = time if first is None else first
            yield time - first

    def _decode_all(self) -> Iterator[av.VideoFrame]:
        time, before = 0.0, None
        try:
            stream = video_stream(self.path, self.container)
            for number, frame in enumerate(decoded(self.container, stream)):
                time = frame.time if frame.time is not None else time
                if frame.is_corrupt:
                    raise ClipError(self.path, "the frame is damaged", time)
                size = check_frame(self.path, frame, stream, time, self.colours)
                check_same_size(self.path, before, size, time)
                before = size
                if number > MAX_FRAMES:
                    raise ClipError(self.path, f"it has more than {MAX_FRAMES} frames", remedy="cut it into parts")
                yield frame
        except ClipError:
            raise
        except (av.FFmpegError, ValueError, EOFError) as error:
            raise ClipError(self.path, words(error), time) from error

    def _reopen(self) -> None:
        self.container.close()
        self.container = self._open()
