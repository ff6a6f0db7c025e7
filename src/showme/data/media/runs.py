"""Decoding runs of frames: from the keyframe before the first to the last, and little of what lies between."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from ...errors import ClipError
from .base import check_same_size
from .colours import DEFAULT, Colours
from .decoders import decoder_of
from .packets import Packets, video_stream, words
from .rgb import check_frame, picture_of

# Frames that nothing refers to can be left out without a change to the others. HEVC's marks are weaker.
_DISPOSABLE = {"h264", "vp9", "mpeg4", "mpeg2video", "mpeg1video"}
# Fewer packets than this between two runs are decoded rather than sought over.
_WORTH_SEEKING = 4


def runs_of(wanted: Sequence[int], packets: Packets) -> list[list[int]]:
    """Wanted places in groups that one keyframe serves: a new one wherever seeking saves decoding."""
    runs: list[list[int]] = []
    reached = 0
    for place in wanted:
        if not runs or packets.key_orders[packets.keyframe_before(place)] > reached + _WORTH_SEEKING:
            runs.append([])
            reached = 0
        runs[-1].append(place)
        reached = max(reached, int(packets.decode_order[place]))
    return runs


class RunDecoder:
    """A file with its decoder and the index of its packets.

    Args:
        path: for messages.
        container: open; closed with this.
        packets: of that file.
        colours: what the file leaves open.
    """

    def __init__(self, path: Path, container: Any, packets: Packets, colours: Colours = DEFAULT):
        self.path, self.container, self.packets, self.colours = path, container, packets, colours
        self.stream = video_stream(path, container)
        self.context = decoder_of(self.stream)

    def close(self) -> None:
        """Let go of the file."""
        self.container.close()

    def decode(self, run: Sequence[int]) -> Iterator[np.ndarray]:
        """The frames at places in time, uint8 (H, W, 3), in rising order.

        Raises:
            ClipError: one of them cannot be decoded.
        """
        for place, frame in self._decoded(run):
            yield picture_of(self.path, frame, self.stream, float(self.packets.times[place]), self.colours)

    def verify(self, places: range) -> None:
        """Decode all frames at places in time, converting none.

        Raises:
            ClipError: one of them cannot be decoded.
        """
        before: tuple[int, ...] | None = None
        for place, frame in self._decoded(places):
            time = float(self.packets.times[place])
            size = check_frame(self.path, frame, self.stream, time, self.colours)
            check_same_size(self.path, before, size, time)
            before = size

    def _decoded(self, run: Sequence[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        """``(place, frame)`` of places in time, which rise."""
        missing = {int(self.packets.pts[place]): place for place in run}
        key = self.packets.keyframe_before(run[0])
        # Some encoders let frames refer to what lies before their keyframe: then all is decoded, from the beginning.
        for start in (key, 0) if key else (0,):
            try:
                yield from self._decoded_from(start, missing)
                return
            except (av.FFmpegError, ValueError) as error:
                if start == 0:
                    raise self._broken(words(error), min(missing.values(), default=run[-1])) from error

    def _decoded_from(self, key: int, missing: dict[int, int]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Frames whose time stamps are in ``missing``, and are taken out of it, decoded from a keyframe on.

        Raises:
            ValueError: what comes is not what was asked for.
        """
        for frame in self._frames_from(key, missing):
            if frame.is_corrupt:
                raise ValueError("the frame is damaged")
            if frame.pts is None or frame.pts != next(iter(missing), None):
                raise ValueError("its decoder gives no frame there, or gives it too late")
            yield missing.pop(frame.pts), frame
        if missing:
            raise ValueError("its decoder gives no frame there")

    def _frames_from(self, key: int, wanted: Collection[int]) -> Iterator[av.VideoFrame]:
        """Frames whose time stamps are wanted, decoded from a keyframe on."""
        context = self.context
        context.flush_buffers()
        last = max((self.packets.orders[pts] for pts in wanted), default=-1)
        for packet in self._packets_from(key):
            assert packet.pts is not None
            if packet.pts < self.packets.key_pts[key]:
                # Shown before the keyframe that they follow: they refer to frames before it, and none is wanted.
                continue
            if context.name in _DISPOSABLE:
                context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            frames = context.decode(packet)
            done = self.packets.orders[packet.pts] == last
            if done:
                # All that the wanted frames refer to is in the decoder: it need not see more to give them out.
                frames += context.decode(None)
            yield from (frame for frame in frames if frame.pts in wanted)
            if done:
                return

    def _packets_from(self, key: int) -> Iterator[av.Packet]:
        """Packets from a keyframe on. Where seeking brings the file past it, the file is read from its beginning."""
        start, orders = int(self.packets.key_orders[key]), self.packets.orders
        stamp = int(self.packets.key_stamps[key])
        for place, stream in ((stamp, self.stream), (0, None)):
            try:
                self.container.seek(place, stream=stream, backward=True)
            except av.FFmpegError:
                # There is nothing before the first frame, where clocks begin below zero.
                if stream is None:
                    raise
                continue
            begun = False
            for packet in self.container.demux(self.stream):
                order = orders.get(packet.pts) if packet.size and packet.pts is not None else None
                if not begun and order is not None and order > start:
                    break
                begun = begun or order == start
                if begun and order is not None:
                    yield packet
            if begun:
                return

    def _broken(self, reason: str, place: int) -> ClipError:
        return ClipError(self.path, reason, float(self.packets.times[place]))
