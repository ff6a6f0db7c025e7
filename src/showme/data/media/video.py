"""Video files: exactly the frames that are asked for, at the price of as little decoding as possible.

A first pass reads the packets (nothing is decoded), which gives every frame's place in time, in decoding order and
after its keyframe. Time stamps are believed where they order the pictures as the pictures' own headers do
(:mod:`showme.data.media.order`). Then each run of wanted frames is reached from the last keyframe before it, and frames
on the way that no other frame refers to are passed over undecoded. Files whose packets do not say enough (GIF, AVI with
B-frames) are decoded from their beginning, and frames are counted.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

import av
import numpy as np

from ...errors import ClipError, warn_once
from ...threads import usable_cores
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
from .clock import filled, separated
from .colours import DEFAULT, Colours
from .containers import MAX_FRAMES, Structure, check_container
from .decoders import decoded
from .opening import open_container, video_stream, words
from .packets import GRACE_SECONDS, UNSHOWN, Packets, UnindexedError, clock_start, read_packets, times_of
from .rgb import check_frame, picture_of
from .runs import Look, RunDecoder, Seen, runs_of

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
_ENCODE_ANEW = "encode it anew, which keeps all frames that a player shows: ffmpeg -i IN -fps_mode passthrough OUT.mp4"
logging.getLogger("libav").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Video(Media):
    """A video file, whatever ffmpeg reads: MP4, WebM, AVI, GIF, ...; or an animated WebP or AVIF.

    track: which of its videos, counted from 0; None: the one that is marked as the default. colours: what the file
    leaves open.
    """

    path: Path
    track: int | None = None
    colours: Colours = DEFAULT

    def open(self, span: Span | None = None) -> Frames:
        check_regular(self.path)
        return open_video(self.path, lambda: f"file:{self.path}", span, self.track, self.colours)

    def identity(self, span: Span | None = None) -> list:
        return [*file_identity(self.path), span_identity(span), *chosen_identity(self.track, self.colours)]


def chosen_identity(track: int | None, colours: Colours) -> list:
    """What was chosen of what a file leaves open, as JSON: nothing where nothing was."""
    return [*([] if track is None else [f"track {track}"]), *colours.identity()]


def open_video(
    path: Path,
    source: Callable[[], str | BinaryIO],
    span: Span | None = None,
    track: int | None = None,
    colours: Colours = DEFAULT,
) -> Frames:
    """The frames of a video file, wherever its bytes are.

    Args:
        path: for messages.
        source: gives what PyAV opens, a ``file:`` name or an open file, anew at every call.
        span: the part that counts; None: all.
        track: as in :class:`Video`.
        colours: what the file leaves open.

    Raises:
        ClipError: as :class:`VideoFrames`.
    """
    with opened(path, source) as file:
        animated = is_animation(file)
        if animated:
            check_container(path, file)
    if animated:
        return Animation(path, source, span, colours)
    return VideoFrames(path, source, span, track, colours)


class VideoFrames(Frames):
    """An open video.

    Args:
        path: for messages.
        source: makes what PyAV opens: an address of a file, or a file object.
        span: the part that counts; None: all.
        track: as in :class:`Video`.
        colours: what the file leaves open.

    Raises:
        ClipError: no video, damaged, cut short, or a span that reaches past its end.
    """

    def __init__(
        self,
        path: Path,
        source: Callable[[], str | BinaryIO],
        span: Span | None = None,
        track: int | None = None,
        colours: Colours = DEFAULT,
    ):
        self.path, self.source, self.track, self.colours = path, source, track, colours
        self.structure = self._check_container()
        self.container = self._open()
        self.decoders: dict[int, RunDecoder] = {}
        try:
            self._index(span)
        except BaseException:
            self.close()
            raise

    def _check_container(self) -> Structure:
        with opened(self.path, self.source) as file:
            return check_container(self.path, file)

    def _open(self, threads: int = 0, strict: bool = True) -> Any:
        return open_container(self.path, self.source(), threads, self.structure.described, self.track, strict)

    def _stream(self) -> Any:
        return video_stream(self.path, self.container, self.track)

    def _index(self, span: Span | None) -> None:
        if span is not None:
            check_holds(self.path, span)
        stream = self._stream()
        self.codec = stream.codec_context.name
        check_size(self.path, stream.codec_context.width, stream.codec_context.height)
        self.rate = float(stream.average_rate) if stream.average_rate else None
        self.packets: Packets | None = None
        if self.structure.edited:
            # ffmpeg begins each part with its keyframe: what lies between may be there twice, where no span finds it.
            self._stamps(self._reopen())
            self._reopen()
        if self.codec not in _COUNTED:
            with suppress(UnindexedError):
                self.packets = read_packets(self.path, self.container, self._reopen, span, self.structure, self.track)
        self.ends_early = self.structure.cut or (self.structure.joined if self.packets is None else self.packets.joint)
        if self.ends_early and (self.packets is None or span is None):
            raise self._cut()
        if self.packets is not None and len(self.packets.early):
            begins = span is None or span.unit == "frames" or span.start < self.packets.times[0]
            # The stream of a container that was closed meanwhile has none.
            self._try_early(float(self._stream().time_base), begins)
        self._times = self._decoded_times() if self.packets is None else self.packets.times
        if self.codec == "gif":
            self._times = self.colours.gif_times(self._times)
        if not len(self._times):
            raise ClipError(self.path, "it has no frames")
        self.positions = self._positions(span)
        self.times = times = self._times[self.positions.start : self.positions.stop]
        moving = len(times) > 1 and times[-1] > times[0]
        self.fps = (len(times) - 1) / float(times[-1] - times[0]) if moving else self.rate

    def _try_early(self, seconds_per_stamp: float, warn: bool) -> None:
        """Keep frames that stand before the first keyframe where they can be decoded all the same."""
        assert self.packets is not None
        count = len(self.packets.early)
        every = self.packets.with_early(seconds_per_stamp)
        decoder = self._run_decoder(every)
        try:
            if decoder.decodes_all(range(count)):
                self.packets = every
                return
        finally:
            decoder.close()
        if warn:
            warn_once(
                "begins between two keyframes",
                f"{self.path} begins between two keyframes: its first {count} frames cannot be decoded and are left "
                "out; other clips may be like it.",
            )

    def _positions(self, span: Span | None) -> range:
        """Places of the span's frames among ``times``."""
        count = len(self._times)
        if span is None:
            return range(count)
        if span.unit == "frames":
            start, stop = int(span.start), int(span.stop)
            if self.ends_early and stop > count:
                raise self._cut()
            check_span(self.path, span, count, start, stop, None)
            return range(start, stop)
        step = float(np.median(np.diff(self._times))) if count > 1 else 1 / (self.rate or 25)
        # Half a microsecond of grace for a frame, one frame for the end.
        start, stop = (int(np.searchsorted(self._times, edge - GRACE_SECONDS)) for edge in (span.start, span.stop))
        seconds = float(self._times[-1]) + step
        past = (self.packets is None or self.packets.to_end) and span.stop > seconds + step
        if self.ends_early and span.stop > self._times[-1] + GRACE_SECONDS:
            # Whether more frames belong there, nobody knows.
            raise self._cut()
        counted = self.packets is None or self.packets.complete
        check_span(self.path, span, count, start, count + 1 if past else stop, seconds, counted)
        return range(start, stop)

    def _cut(self) -> ClipError:
        """The error of a stream that has no length and ends within a packet, or is followed by another, for whoever
        wants it to its end."""
        reason, remedy = "it is cut short: it ends within a packet", "fetch it again, leave it out"
        if self.structure.joined:
            reason, remedy = "it is several recordings, one after the other: its clock begins anew", _ENCODE_ANEW
        if self.packets is None or not len(self.packets.times):
            return ClipError(self.path, reason, remedy=remedy)
        last = float(self.packets.times[-1])
        stop = math.floor(last * 1000) / 1000
        return ClipError(self.path, reason, last, f"{remedy}, or name a start and a stop of at most {stop:.3f} s")

    def __len__(self) -> int:
        return len(self.positions)

    def read(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        return self.each(indices, lambda frame, stream, time: picture_of(self.path, frame, stream, time, self.colours))

    def each(self, indices: Sequence[int], look: Look[Seen]) -> Iterator[Seen]:
        """What ``look`` makes of the decoded frames at ``indices``, which rise.

        Raises:
            ClipError: one of them cannot be decoded.
        """
        wanted = [self.positions[index] for index in indices]
        if self.packets is None:
            yield from self._count_to(wanted, look)
            return
        runs = runs_of(wanted, self.packets)
        workers = min(len(runs), usable_cores())
        if workers < 2:
            for run in runs:
                yield from self._decoder(0).decode(run, look)
            return
        yield from self._read_at_once(runs, workers, look)

    def verify(self) -> None:
        if self.packets is None:
            # They were decoded when they were counted.
            return
        self._decoder(0).verify(self.positions)

    def until(self, index: int, span: Span | None) -> Span:
        if span is None or span.unit == "frames":
            return super().until(index, span)
        place = self.positions[index]
        following = self._times[place + 1] if place + 1 < len(self._times) else self._times[place] + 2e-3
        return Span(span.start, float(self._times[place] + following) / 2)

    def close(self) -> None:
        for decoder in self.decoders.values():
            decoder.close()
        self.container.close()

    def _read_at_once(self, runs: list[list[int]], workers: int, look: Look[Seen]) -> Iterator[Seen]:
        """Several runs at a time, each by a decoder of its own; ffmpeg's own threads would wait at every seek."""
        free: SimpleQueue[int] = SimpleQueue()
        for number in range(workers):
            free.put(number)

        def decode(run: list[int]) -> list[Seen]:
            number = free.get()
            try:
                # Opened here: the first worker need not wait for it.
                return list(self._decoder(number, threads=1).decode(run, look))
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
            self.decoders[number] = self._run_decoder(self.packets, threads)
        return self.decoders[number]

    def _run_decoder(self, packets: Packets, threads: int = 0) -> RunDecoder:
        return RunDecoder(self.path, lambda strict: self._open(threads, strict), packets, self.track, self.colours)

    def _count_to(self, wanted: Sequence[int], look: Look[Seen]) -> Iterator[Seen]:
        """Frames by their ordinal numbers, from the beginning."""
        self._reopen()
        stream = self._stream()
        left = list(wanted)
        for place, frame in enumerate(self._decode_all()):
            while left and left[0] == place:
                left.pop(0)
                yield look(frame, stream, float(self._times[place]))
            if not left:
                return
        raise ClipError(self.path, "it has fewer frames than when it was opened")

    def _decoded_times(self) -> np.ndarray:
        """When frames are shown that were counted by decoding all, on the container's clock.

        As many packets as frames: the packets' stamps in their order, whichever packet they stand on. Else the frames'
        own, in their order too. Without times of display: when the decoder gives frames out, the first at 0. Without
        any: even ones.
        """
        self._reopen()
        stream = self._stream()
        base, clock, step = float(stream.time_base), clock_start(self.container), 1 / (self.rate or 25)
        unshown = self.container.format.name in UNSHOWN
        frames = [frame.dts if unshown else frame.pts for frame in self._decode_all()]
        stamps = np.array(self._stamps(self._reopen()), dtype=np.float64) * base
        own = np.array([np.nan if stamp is None else stamp for stamp in frames], dtype=np.float64) * base
        if np.isnan(own).all():
            candidates = [stamps - clock]
        elif unshown:
            # The last ones come when there are no packets any more. The rate is that of a file's slots, of which some
            # may be empty: what lies between two packets is what lies between two pictures.
            shown = filled(own, float(np.median(np.diff(stamps))) if len(stamps) > 1 else step)
            candidates = [shown - shown[0]]
        else:
            candidates = [stamps - clock, filled(own - clock, step)]
        if self.container.format.name == "mpeg" and np.isnan(own).any():
            # Program streams stamp a packet of several pictures once: what it means for each is not said.
            candidates = [np.arange(len(frames), dtype=np.float64) * step]
        candidates = [times for times in candidates if len(times) == len(frames)]
        for times in candidates:
            if (np.diff(times) > 0).all():
                return times
        return self._separated(candidates[0]) if candidates else np.arange(len(frames)) * step

    def _separated(self, times: np.ndarray) -> np.ndarray:
        """Times in their order, of which some are equal, made to rise."""
        rising = separated(times)
        if not np.array_equal(rising, times):
            warn_once(
                "equal time stamps",
                f"{self.path} gives several frames one time stamp: they are taken one right after the other, and all "
                "other times are the file's. Other such clips are not named.",
            )
        return rising

    def _stamps(self, container: Any) -> list[int]:
        """The packets' time stamps in rising order: of display where all have them, or else of decoding."""
        stream = self._stream()
        packets = [times_of(packet) for packet in container.demux(stream) if packet.size]
        shown, decoded = ([stamp for stamp in kind if stamp is not None] for kind in zip(*packets, strict=True))
        back = np.diff(decoded) < 0
        if back.any():
            time = decoded[int(np.argmax(back))] * float(stream.time_base) - clock_start(container)
            raise ClipError(self.path, "its time stamps go back", time, _ENCODE_ANEW)
        return sorted(shown if len(shown) == len(packets) else decoded)

    def _decode_all(self) -> Iterator[av.VideoFrame]:
        time, before = 0.0, None
        try:
            stream = self._stream()
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

    def _reopen(self) -> Any:
        self.container.close()
        self.container = self._open()
        return self.container
