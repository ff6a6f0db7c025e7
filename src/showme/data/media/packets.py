"""The packets of a video: where each frame stands in time and in decoding order, read without decoding."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.codec.codec import Properties

from ...errors import ClipError
from .base import Span, mixed_turns
from .containers import MAX_FRAMES, Structure
from .opening import video_stream, words
from .order import Order, UnorderedError, order_of, shown_order

# Containers round durations; what is missing beyond this was cut off.
_SLACK_SECONDS = 0.5
# Around a span: frames are shown up to so much later than they are stored.
_MARGIN_SECONDS = 1.0
# Annotations and time bases round differently.
GRACE_SECONDS = 5e-7
# Where seeking stops: ffmpeg multiplies time stamps by time bases in 64 bits.
_MAX_STAMP = 2**48
# Their packets are cut out of a stream of bytes: the first one after a seek may carry another's time stamp.
STREAMED = {"mpeg", "mpegts"}

# They say nothing of their length: ffmpeg looks for their last time stamp.
_LENGTHLESS = {*STREAMED, "ogg"}

# They keep no times of display: ffmpeg makes them up.
UNSHOWN = {"avi"}

# Opens the file anew, at its beginning.
Reopen = Callable[[], Any]
# Of a packet, read twice: its time stamps and its size.
Identity = tuple[int | None, int | None, int]


class UnindexedError(Exception):
    """The packets do not say where frames stand."""


class _Row(NamedTuple):
    """A packet. key: of its picture in the order of display; None where its header is damaged.
    turned: how it says that its picture is turned, as H.264's messages do; 0 where it says nothing."""

    identity: Identity
    pts: int | None
    dts: int | None
    is_keyframe: bool
    is_discard: bool
    key: tuple[int, int] | None
    duration: int
    turned: int


class _Part(NamedTuple):
    """Packets in decoding order: whether from the file's beginning, whether to its end."""

    rows: list[_Row]
    from_beginning: bool
    to_end: bool


@dataclass(frozen=True)
class Packets:
    """Frames of a video in the order of time. Packets are numbered in decoding order.

    stamps: int (n,), rising, in the stream's time base. times: float (n,), seconds since the container's start.
    decode_order: int (n,), numbers of packets. key_stamps, key_orders: int (k,), of keyframes in the order of time.
    key_seeks: int (k,), where to seek for them. all_stamps: int (packets,), in decoding order. identities: in decoding
    order, what is known of packets when they are read again. numbers: the first packets of these. to_end: whether the
    file's end was read, or what ends it. complete: and its beginning. key_dangling: bool (k,), whether what follows a
    keyframe may speak of pictures before it. early: the packets of the file's frames that are shown before its first
    keyframe, and not among the others. joint: whether it ends where another recording begins, whose clock begins anew.
    """

    stamps: np.ndarray
    times: np.ndarray
    decode_order: np.ndarray
    key_stamps: np.ndarray
    key_orders: np.ndarray
    key_seeks: np.ndarray
    all_stamps: np.ndarray
    identities: list[Identity]
    numbers: dict[Identity, int]
    to_end: bool
    complete: bool
    key_dangling: np.ndarray
    early: np.ndarray
    joint: bool = False

    def with_early(self, seconds_per_stamp: float) -> Packets:
        """As if the first packet were a keyframe."""
        stamps = np.concatenate([self.all_stamps[self.early], self.stamps])
        return replace(
            self,
            stamps=stamps,
            times=self.times[0] + (stamps - self.stamps[0]) * seconds_per_stamp,
            decode_order=np.concatenate([self.early, self.decode_order]),
            key_stamps=np.concatenate([stamps[:1], self.key_stamps]),
            key_orders=np.concatenate([[0], self.key_orders]),
            key_seeks=np.concatenate([stamps[:1], self.key_seeks]),
            key_dangling=np.concatenate([[False], self.key_dangling]),
            early=self.early[:0],
        )

    def keyframe_before(self, place: int) -> int:
        """Which keyframe a frame is reached from: the last one that is shown no later."""
        return max(int(np.searchsorted(self.key_stamps, self.stamps[place], side="right")) - 1, 0)


def clock_start(container: Any) -> float:
    """Seconds at which a container's clock begins: with the earliest of all its streams, as players count."""
    return (container.start_time or 0) / av.time_base


def identity_of(packet: av.Packet) -> Identity:
    """What distinguishes a packet from the others when it is read again."""
    return packet.pts, packet.dts, packet.size


def times_of(packet: av.Packet) -> tuple[int | None, int | None]:
    """A packet's time stamps of display and of decoding, as the container keeps them."""
    return None if packet.stream.container.format.name in UNSHOWN else packet.pts, packet.dts


def read_packets(
    path: Path, container: Any, reopen: Reopen, span: Span | None, structure: Structure, track: int | None
) -> Packets:
    """Index the packets that a span needs, or all.

    Args:
        path: for messages.
        container: open, at the file's beginning.
        reopen: closes it and opens the file anew.
        span: what is needed; None: all.
        structure: of the container.
        track: which video.

    Raises:
        UnindexedError: packets without time stamps, or with such that do not prove to be those of display.
        ClipError: a file that is cut short or damaged.
    """
    reading = _Reading(path, container, reopen, track, structure.joined)
    part = reading.around(span) if span is not None and span.unit == "seconds" else reading.all()
    if not part.rows:
        raise ClipError(path, "it has no frames there")
    _check_turned(path, part.rows)
    stamps = _proven_stamps(part.rows)
    if part.to_end and not structure.whole and not reading.joint:
        reached = max(stamp + row.duration for stamp, row in zip(stamps.tolist(), part.rows, strict=True))
        _check_end(path, reading.container, reading.stream, reached * reading.base - reading.clock)
    packets = _packets(part, stamps, reading.base, reading.clock, reading.stream.codec_context.name)
    if reading.joint or (part.to_end and structure.cut):
        packets = _before_cut(packets, part.rows[-1])
    return replace(packets, joint=reading.joint)


class _Reading:
    """The packets of a file, in decoding order.

    joined: whether it may be several recordings, of which the first is read. joint: whether that one's end was met.
    """

    def __init__(self, path: Path, container: Any, reopen: Reopen, track: int | None, joined: bool):
        self.path, self.reopen, self.track, self.joined = path, reopen, track, joined
        self.joint = False
        self._use(container)
        self.base, self.clock = float(self.stream.time_base), clock_start(container)

    def _use(self, container: Any) -> None:
        self.container = container
        self.stream = video_stream(self.path, container, self.track)

    def all(self) -> _Part:
        """Every packet."""
        return _Part(list(self._rows()), True, True)

    def around(self, span: Span) -> _Part:
        """Packets from a keyframe that is shown no later than a span begins, to its end.

        Where seeking leads, and where the next keyframe is, is known afterwards: farther back, until one is found.
        """
        start, stop = (self._stamp(edge) for edge in (span.start + GRACE_SECONDS, span.stop + _MARGIN_SECONDS))
        back, moved = _MARGIN_SECONDS, False
        # Where there are several recordings, a time may lead into any of them.
        while span.start > back and not self.joined:
            moved = True
            try:
                self.container.seek(self._stamp(span.start - back), stream=self.stream)
                found = self._between(start, stop, 2 if self.container.format.name in STREAMED else 1)
            except av.FFmpegError:
                # There is no way there.
                found = None
            if found is not None:
                return found
            back *= 4
        if moved:
            self._use(self.reopen())
        found = self._between(start, stop, 0)
        assert found is not None
        return found

    def _between(self, start: int, stop: int, first_key: int) -> _Part | None:
        """Packets from the ``first_key``-th keyframe on (0: from where the file stands); None: it is shown too late."""
        rows: list[_Row] = []
        keys = 0
        for row in self._rows():
            keys += row.is_keyframe
            if keys < first_key:
                continue
            shown = row.dts if row.pts is None else row.pts
            if first_key and not rows and (shown is None or shown > start):
                return None
            rows.append(row)
            if row.is_keyframe and shown is not None and shown > stop:
                return _Part(rows, not first_key, False)
        return _Part(rows, not first_key, True) if rows or not first_key else None

    def _rows(self) -> Iterator[_Row]:
        order, count, last, before = self._order(), 0, None, None
        try:
            for packet in self.container.demux(self.stream):
                if not packet.size:
                    continue
                last = packet.dts if packet.pts is None else packet.pts
                back = before is not None and packet.dts is not None and packet.dts < before
                if self.joined and (packet.is_corrupt or back):
                    self.joint = True
                    return
                before = packet.dts
                if packet.is_corrupt:
                    raise ClipError(self.path, "it is cut short or damaged", self._time(last))
                try:
                    key = order.key(memoryview(packet))
                except UnorderedError as error:
                    raise UnindexedError from error
                except (ValueError, IndexError):
                    # Damaged: its decoder will say so, if it is wanted.
                    key = None
                identity = identity_of(packet)
                pts, dts = times_of(packet)
                turned = getattr(order, "turned", 0)
                yield _Row(identity, pts, dts, packet.is_keyframe, packet.is_discard, key, packet.duration or 0, turned)
                count += 1
                if count > MAX_FRAMES:
                    raise ClipError(self.path, f"it has more than {MAX_FRAMES} frames", remedy="cut it into parts")
        except av.FFmpegError as error:
            raise ClipError(self.path, words(error), self._time(last)) from error

    def _order(self) -> Order:
        context = self.stream.codec_context
        order = order_of(
            context.name, bool(context.codec.properties & Properties.REORDER.value), context.extradata or b""
        )
        if order is None:
            raise UnindexedError
        return order

    def _stamp(self, seconds: float) -> int:
        return int(min((seconds + self.clock) / self.base, _MAX_STAMP))

    def _time(self, stamp: int | None) -> float | None:
        return None if stamp is None else stamp * self.base - self.clock


def _proven_stamps(rows: list[_Row]) -> np.ndarray:
    """When the packets' pictures are shown, int (packets,): their stamps, if these order them as the pictures say.

    Where pictures are shown as they are decoded, the stamps of decoding serve as well.
    """
    known = np.flatnonzero([row.key is not None for row in rows])
    order = known[shown_order([row.key for row in rows if row.key is not None])]
    stamps = [row.pts for row in rows]
    if None in stamps and (order == known).all():
        stamps = [row.dts for row in rows]
    # What is shown before the first keyframe cannot be decoded where it is cut off there: writers give it any stamps.
    first = next((number for number, row in enumerate(rows) if row.is_keyframe), 0)
    key = stamps[first]
    if key is None or first not in known:
        raise UnindexedError
    begun = int(np.flatnonzero(order == first)[0])
    for before, number in enumerate(order[:begun]):
        stamp = stamps[number]
        stamps[number] = key - begun + before if stamp is None else stamp
    if None in stamps:
        raise UnindexedError
    found = np.array(stamps, dtype=np.int64)
    early = (found[order[:begun]] >= key).any()
    if early or (np.diff(found[order[begun:]]) <= 0).any():
        raise UnindexedError
    return found


def _check_turned(path: Path, rows: list[_Row]) -> None:
    """Refuse a stream of which some pictures alone say how they are turned: players disagree on the others."""
    if len({row.turned for row in rows}) > 1:
        raise mixed_turns(path)


def _packets(part: _Part, stamps: np.ndarray, base: float, clock: float, codec: str) -> Packets:
    rows = part.rows
    order = np.argsort(stamps, kind="stable")
    keys = np.flatnonzero([row.is_keyframe for row in rows])
    if not len(keys):
        keys = np.array([0])
    keys = keys[np.argsort(stamps[keys], kind="stable")]
    hidden = np.array([row.is_discard for row in rows])
    shown = order[~hidden[order]]
    # Before the first keyframe nothing can be decoded.
    begun = stamps[shown] >= stamps[keys[0]]
    identities = [row.identity for row in rows]
    seeks = np.array([stamp if row.dts is None else row.dts for stamp, row in zip(stamps, rows, strict=True)])
    return Packets(
        stamps=stamps[shown[begun]],
        times=stamps[shown[begun]] * base - clock,
        decode_order=shown[begun],
        key_stamps=stamps[keys],
        key_orders=keys,
        key_seeks=seeks[keys],
        all_stamps=stamps,
        identities=identities,
        numbers={identity: number for number, identity in reversed(list(enumerate(identities)))},
        to_end=part.to_end,
        complete=part.from_beginning and part.to_end,
        key_dangling=np.array([codec == "h264" and not _is_fresh(rows, int(key)) for key in keys]),
        early=shown[~begun] if part.from_beginning else shown[:0],
    )


def _before_cut(packets: Packets, last: _Row) -> Packets:
    """The frames of a file that was cut within or behind its ``last`` packet that are shown before any other can be.

    No picture is shown before it is decoded, and those that were cut off are decoded after that packet.
    """
    number = len(packets.all_stamps) - 1
    edge = packets.all_stamps[number] if last.dts is None else last.dts
    kept = (packets.stamps <= edge) & (packets.decode_order != number)
    return replace(
        packets,
        stamps=packets.stamps[kept],
        times=packets.times[kept],
        decode_order=packets.decode_order[kept],
        complete=False,
    )


def _is_fresh(rows: list[_Row], number: int) -> bool:
    """Whether a coded sequence of its own begins with a packet's picture, as with H.264's IDR."""
    key, before = rows[number].key, rows[number - 1].key if number else (0, 0)
    return key is not None and before is not None and key[0] > before[0]


def _check_end(path: Path, container: Any, stream: Any, reached: float) -> None:
    """Refuse a file that holds less than its header, or the time stamps at its end, say."""
    stated = _stated_seconds(container, stream)
    step = 1 / float(stream.average_rate) if stream.average_rate else 0.0
    if stated is not None and stated - reached > max(_SLACK_SECONDS, 3 * step):
        says = "last time stamp" if container.format.name in _LENGTHLESS else "header"
        raise ClipError(path, f"it is cut short: its {says} says {stated:.3f} s", reached)


def _stated_seconds(container: Any, stream: Any) -> float | None:
    """When the header says that the video ends, on the container's clock; None where it says nothing of the video."""
    tag = stream.metadata.get("DURATION", "")
    start = float((stream.start_time or 0) * stream.time_base) - clock_start(container)
    if re.fullmatch(r"\d+:\d+:\d+(\.\d+)?", tag):
        hours, minutes, seconds = tag.split(":")
        # Matroska's clock may have run before the first frame.
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - clock_start(container)
    if stream.duration is not None:
        return start + float(stream.duration * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return None
