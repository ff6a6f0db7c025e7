"""Decoding runs of frames: from the keyframe before the first to the last, and little of what lies between."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import av

from ...errors import ClipError
from .base import check_same_size
from .colours import DEFAULT, Colours
from .decoders import decoder_of
from .opening import video_stream, words
from .packets import STREAMED, Packets, identity_of
from .rgb import check_frame

# Frames that nothing refers to can be left out without a change to the others. HEVC's marks are weaker.
_DISPOSABLE = {"h264", "vp9", "mpeg4", "mpeg2video", "mpeg1video"}
# Fewer packets than this between two runs are decoded rather than sought over.
_WORTH_SEEKING = 4

# Opens the file anew, with a decoder that takes every fault for damage, or not.
Opener = Callable[[bool], Any]
Seen = TypeVar("Seen")
# What is made of a decoded frame, given its stream and its time in seconds.
Look = Callable[[av.VideoFrame, Any, float], Seen]


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
        opener: of the file.
        packets: of that file.
        track: which video.
        colours: what the file leaves open.
    """

    def __init__(
        self, path: Path, opener: Opener, packets: Packets, track: int | None = None, colours: Colours = DEFAULT
    ):
        self.path, self.opener, self.packets, self.track, self.colours = path, opener, packets, track, colours
        self._open(strict=True)

    def _open(self, strict: bool) -> None:
        self.strict, self.container = strict, self.opener(strict)
        self.stream = video_stream(self.path, self.container, self.track)
        self.context = decoder_of(self.stream)

    def close(self) -> None:
        """Let go of the file."""
        self.container.close()

    def decode(self, run: Sequence[int], look: Look[Seen]) -> Iterator[Seen]:
        """What ``look`` makes of the frames at places in time, in rising order.

        Raises:
            ClipError: one of them cannot be decoded.
        """
        for place, frame in self._decoded(run):
            yield look(frame, self.stream, float(self.packets.times[place]))

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

    def decodes_all(self, places: range) -> bool:
        """Whether every frame at places in time can be decoded."""
        try:
            return sum(1 for _ in self._decoded(places)) == len(places)
        except ClipError:
            return False

    def _decoded(self, run: Sequence[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        """``(place, frame)`` of places in time, which rise."""
        missing = {int(self.packets.decode_order[place]): place for place in run}
        while missing:
            key = self.packets.keyframe_before(next(iter(missing.values())))
            # Some encoders let frames refer to what lies before their keyframe: then all is decoded, from the first.
            attempts = [(key, True), (0, True)] if key else [(0, True)]
            try:
                yield from self._attempted(missing, attempts)
            except ClipError:
                key = self.packets.keyframe_before(next(iter(missing.values())))
                if not self.packets.key_dangling[key]:
                    raise
                # Its frames say that others be forgotten, which are not there without the groups before: no damage.
                group = {n: place for n, place in missing.items() if self.packets.keyframe_before(place) == key}
                yield from self._attempted(group, [(key, False)])
                missing = {n: place for n, place in missing.items() if self.packets.keyframe_before(place) != key}

    def _attempted(
        self, missing: dict[int, int], attempts: list[tuple[int, bool]]
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """Frames of packets in ``missing``, with their places, decoded from one of the keyframes, strictly or not."""
        last = next(reversed(missing.values()))
        for start, strict in attempts:
            if strict != self.strict:
                self.container.close()
                self._open(strict)
            try:
                yield from self._decoded_from(start, missing)
                return
            except (av.FFmpegError, ValueError) as error:
                if (start, strict) == attempts[-1]:
                    raise self._broken(words(error), min(missing.values(), default=last)) from error

    def _decoded_from(self, key: int, missing: dict[int, int]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Frames of packets that are in ``missing``, and are taken out of it, decoded from a keyframe on.

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
        """Frames of the packets that are wanted, with their numbers as time stamps, decoded from a keyframe on."""
        last = max(wanted, default=-1)
        begun = False
        for number, packet in self._packets_from(key):
            context = self.context
            if not begun:
                context.flush_buffers()
                begun = True
            if self.packets.all_stamps[number] < self.packets.key_stamps[key]:
                # Shown before the keyframe that they follow: they refer to frames before it, and none is wanted.
                continue
            if context.name in _DISPOSABLE:
                context.skip_frame = "DEFAULT" if number in wanted else "NONREF"
            # Decoders hand it on to the frame; the file's own stamps may be missing.
            packet.pts = number
            frames = context.decode(packet)
            if number == last:
                # All that the wanted frames refer to is in the decoder: it need not see more to give them out.
                frames += context.decode(None)
            yield from (frame for frame in frames if frame.pts in wanted)
            if number == last:
                return

    def _packets_from(self, key: int) -> Iterator[tuple[int, av.Packet]]:
        """Numbered packets from a keyframe on. Where seeking does not lead there, the file is read from its beginning.

        Raises:
            ValueError: other packets come than when the file was indexed.
        """
        # In a stream of bytes the first packet after a seek may not be recognised.
        early = key - 1 if self.container.format.name in STREAMED else key
        for seek in (early, None):
            if seek is None or seek < 0:
                self.container.close()
                self._open(self.strict)
            else:
                try:
                    self.container.seek(int(self.packets.key_seeks[seek]), stream=self.stream)
                except av.FFmpegError:
                    # There is nothing before the first frame, where clocks begin below zero.
                    continue
            begun = False
            for number, packet in self._numbered(int(self.packets.key_orders[key])):
                begun = True
                yield number, packet
            if begun:
                return
        raise ValueError("its keyframe is not found again")

    def _numbered(self, start: int) -> Iterator[tuple[int, av.Packet]]:
        """Packets with their numbers from ``start`` on; nothing where the file stands behind it."""
        number: int | None = None
        for packet in self.container.demux(self.stream):
            if not packet.size:
                continue
            identity = identity_of(packet)
            if number is None:
                number = self.packets.numbers.get(identity)
                if number is not None and number > start:
                    return
                if number != start:
                    number = None
                    continue
            else:
                number += 1
                if number == len(self.packets.identities):
                    return
                if self.packets.identities[number] != identity:
                    raise ValueError("other packets come than when it was indexed")
            yield number, packet

    def _broken(self, reason: str, place: int) -> ClipError:
        return ClipError(self.path, reason, float(self.packets.times[place]))
