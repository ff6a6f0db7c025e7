"""What a container's headers say, judged before a demuxer believes them: where it ends, and how many samples it has.

A file that was cut short often decodes without a word, as a shorter one. And a few bytes that speak of a milliard
samples make a demuxer set aside memory for each. Read here are the lengths of boxes (ISO/IEC 14496-12), of the segment
(RFC 9559, section 5.1), of RIFF chunks, and of GIF89a's blocks. Of an MPEG transport stream (ISO/IEC 13818-1, 2.4.3)
nothing but the length of its packets is known: one that ends between two of them may go on or not.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from io import SEEK_END
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from ...errors import ClipError

# 11 hours at 50 frames per second; more would take gigabytes to index.
MAX_FRAMES = 2**21
# Of a GIF, which must be decoded whole: 16,000 frames of full HD.
_MAX_PIXELS = 2**35
_MAX_BLOCKS = 2**23
# Of all tracks, but for uncompressed sound, which needs no index.
_MAX_SAMPLES = 2**22
_MAX_BOXES = 2**21
_TOP = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"pnot", b"uuid")
_NESTING = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf", b"udta", b"edts", b"dinf", b"tref",
            b"sinf", b"schi", b"wave"}  # fmt: skip
_COUNTS = (b"stsz", b"stz2", b"trun")
# Of one list that are looked at; cameras write two at most.
_MAX_EDITS = 2**16
# Where in its track a part begins that shows nothing.
_NOTHING = -1
_DEPTH = 12
# Of a box's length and name.
_BOX = 8
# Of a transport stream; each begins with a G.
_PACKET = 188
# In which a clock is looked for, and in how many parts of a file that is longer.
_CLOCK_PACKETS, _CLOCK_PARTS = 2**18, 32


class Structure(NamedTuple):
    """What a container's structure says of the file.

    described: its header says all that a decoder must know: MP4 with the sizes, times and order of all its frames.
    whole: nothing was cut off. cut: it ends within a packet of a stream that has no length: its last frame, and others
    after it, may have been cut off. joined: a clock in it goes back, as where recordings were put one after the other.
    edited: its edit lists show several parts of a track, one after the other.
    """

    described: bool = False
    whole: bool = False
    cut: bool = False
    joined: bool = False
    edited: bool = False


def check_container(path: Path, file: BinaryIO) -> Structure:
    """Refuse a file that ends before its headers say, or that cannot hold what they say.

    Args:
        path: for messages.
        file: open.

    Raises:
        ClipError: also for one that cannot be read.
    """
    try:
        file.seek(0)
        head = file.read(12)
        size = file.seek(0, SEEK_END)
        judge = _judge(head)
        return judge(path, file, size) if judge else Structure()
    except (OSError, struct.error, IndexError) as error:
        raise ClipError(path, "its header is damaged or cut short") from error


def _judge(head: bytes) -> Callable[[Path, BinaryIO, int], Structure] | None:
    if head[4:8] in _TOP:
        return _check_boxes
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _check_segment
    if head[:4] == b"RIFF" and head[8:] == b"AVI ":
        return _check_riff
    if head[:4] == b"GIF8":
        return _check_gif
    if head[:1] == b"G":
        return _check_packets
    return None


def _check_boxes(path: Path, file: BinaryIO, size: int) -> Structure:
    samples, names, reached, edited = 0, set(), 0, False
    for number, (name, start, stop, top) in enumerate(_boxes(file, 0, size, 0)):
        if top and stop > size:
            raise _cut(path, size, stop)
        names.add(name)
        reached = max(reached, stop)
        if name == b"cmov":
            raise ClipError(path, "its header is compressed", remedy="copy it to MP4 once")
        if name in _COUNTS:
            count, equal = _samples(file, name, start)
            samples += 0 if equal else count
            if count > size or samples > _MAX_SAMPLES:
                raise ClipError(path, f"its header lists {max(count, samples)} samples in {size} bytes")
        edited |= name == b"elst" and _shown_parts(file, start, min(stop, size)) > 1
        if number > _MAX_BOXES:
            raise ClipError(path, f"it has more than {_MAX_BOXES} boxes")
    fragments = b"moof" in names
    if fragments and 0 < size - reached < _BOX:
        raise _cut(path, size, reached + _BOX)
    # Fragments have headers of their own, which opening does not read.
    return Structure(described=b"stbl" in names and not fragments, whole=not fragments, edited=edited)


def _samples(file: BinaryIO, name: bytes, start: int) -> tuple[int, bool]:
    """How many samples a box lists, and whether they are of one size."""
    file.seek(start + 4)
    first, second = struct.unpack(">II", file.read(8))
    return (first, False) if name == b"trun" else (second, name == b"stsz" and first > 0)


def _shown_parts(file: BinaryIO, start: int, stop: int) -> int:
    """Of how many parts of its track an edit list (ISO/IEC 14496-12, 8.6.6) says that they are shown."""
    file.seek(start)
    version, count = struct.unpack(">B3xI", file.read(8))
    edit = struct.Struct(">8xq4x" if version == 1 else ">4xi4x")
    listed = min(count, max(stop - start - 8, 0) // edit.size, _MAX_EDITS)
    return sum(first != _NOTHING for (first,) in edit.iter_unpack(file.read(listed * edit.size)))


def _boxes(file: BinaryIO, start: int, stop: int, depth: int) -> Iterator[tuple[bytes, int, int, bool]]:
    """``(name, start and stop of the content, whether it is no other's)`` of boxes, and of those inside them."""
    while start + _BOX <= stop:
        file.seek(start)
        length, name = struct.unpack(">I4s", file.read(8))
        content = start + _BOX
        if length == 1:
            length, content = struct.unpack(">Q", file.read(8))[0], content + 8
        end = stop if length == 0 else start + length
        # What follows the last box of some cameras' files is none.
        if end < content or (depth == 0 and not name.isalnum()):
            return
        yield name, content, end, depth == 0
        if name in _NESTING and depth < _DEPTH:
            yield from _boxes(file, content, min(end, stop), depth + 1)
        start = end


def _check_segment(path: Path, file: BinaryIO, size: int) -> Structure:
    file.seek(4)
    file.seek(_element_size(file) or 0, 1)
    if file.read(4) != b"\x18\x53\x80\x67":
        return Structure()
    length = _element_size(file)
    if length is not None and file.tell() + length > size:
        raise _cut(path, size, file.tell() + length)
    return Structure(whole=length is not None)


def _element_size(file: BinaryIO) -> int | None:
    """The length of an EBML element; None where its writer did not know it."""
    first = file.read(1)[0]
    extra = 8 - first.bit_length()
    value = int.from_bytes(bytes([first & (0x7F >> extra)]) + file.read(extra), "big")
    return None if value == 2 ** (7 * (extra + 1)) - 1 else value


def _check_riff(path: Path, file: BinaryIO, size: int) -> Structure:
    # Longer files are chains of RIFF chunks; 0 and all ones stand for recordings that were not closed.
    start = 0
    while start + 8 <= size:
        file.seek(start)
        name, length = struct.unpack("<4sI", file.read(8))
        if name != b"RIFF" or length in (0, 2**32 - 1):
            break
        if start + 8 + length > size:
            raise _cut(path, size, start + 8 + length)
        start += 8 + length + length % 2
    return Structure(whole=start >= size)


def _check_gif(path: Path, file: BinaryIO, size: int) -> Structure:
    file.seek(6)
    width, height, flags = struct.unpack("<HHB2x", file.read(7))
    file.seek(_palette(flags), 1)
    pixels = blocks = 0
    while (kind := file.read(1)) != b";":
        if kind == b",":
            flags = file.read(9)[8]
            # And the smallest code's length.
            file.seek(_palette(flags) + 1, 1)
            pixels += width * height
        elif kind == b"!":
            file.seek(1, 1)
        else:
            raise ClipError(path, "it is cut short or damaged: its last block is not GIF's")
        while length := file.read(1)[0]:
            file.seek(length, 1)
            blocks += 1
        if pixels > _MAX_PIXELS or blocks > _MAX_BLOCKS:
            raise ClipError(path, f"it has more than {_MAX_PIXELS} pixels or {_MAX_BLOCKS} blocks")
    return Structure(whole=True)


def _check_packets(path: Path, file: BinaryIO, size: int) -> Structure:
    file.seek(_PACKET)
    if file.read(1) != b"G":
        return Structure()
    return Structure(cut=size % _PACKET > 0, joined=_clock_goes_back(file, size // _PACKET))


def _clock_goes_back(file: BinaryIO, packets: int) -> bool:
    """Whether a program's clock reference (ISO/IEC 13818-1, 2.4.3.5) goes back; of long files parts are looked at."""
    share = min(packets, _CLOCK_PACKETS // _CLOCK_PARTS)
    starts = (
        [0] if packets <= _CLOCK_PACKETS else np.linspace(0, packets - share, _CLOCK_PARTS, dtype=np.int64).tolist()
    )
    length = (packets if packets <= _CLOCK_PACKETS else share) * _PACKET
    reached: dict[int, int] = {}
    for start in starts:
        file.seek(start * _PACKET)
        for stream, clock in _clocks(file.read(length)):
            # Where all its 33 bits were used up it begins again with 0: the shorter way between the two is taken.
            if (clock - reached.get(stream, clock)) % 2**33 > 2**32:
                return True
            reached[stream] = clock
    return False


def _clocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Of packets of a transport stream: which stream each clock reference is of, and its units of 1/90000 s."""
    heads = np.frombuffer(data, np.uint8, len(data) // _PACKET * _PACKET).reshape(-1, _PACKET)[:, :11]
    # With an adaptation field that is long enough, and says that it has a clock.
    has_clock = (heads[:, 0] == 0x47) & (heads[:, 3] & 0x20 > 0) & (heads[:, 4] > 6) & (heads[:, 5] & 0x10 > 0)
    heads = heads[has_clock].astype(np.int64)
    streams = (heads[:, 1] & 0x1F) << 8 | heads[:, 2]
    clocks = heads[:, 6] << 25 | heads[:, 7] << 17 | heads[:, 8] << 9 | heads[:, 9] << 1 | heads[:, 10] >> 7
    return zip(streams.tolist(), clocks.tolist(), strict=True)


def _palette(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _cut(path: Path, size: int, stated: int) -> ClipError:
    return ClipError(path, f"it is cut short: it has {size} bytes, and its header says {stated}")
