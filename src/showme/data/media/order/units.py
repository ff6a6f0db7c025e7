"""NAL units of H.264 and HEVC: behind their lengths, as in MP4 and Matroska, or behind start codes."""

from __future__ import annotations

from collections.abc import Iterator

_START = b"\x00\x00\x01"
# Of a unit: all that the header of a slice takes.
_HEAD = 64


def split_units(data: memoryview, size: int, whole: set[int]) -> Iterator[bytes]:
    """The beginnings of units behind their lengths of ``size`` bytes, or, where that is 0, behind start codes."""
    return split_lengths(data, size, whole) if size else split_start_codes(data, whole)


def split_lengths(data: memoryview, size: int, whole: set[int]) -> Iterator[bytes]:
    """The beginnings of units that each stand behind their length of ``size`` bytes.

    Args:
        data: of a packet.
        size: of the field that holds a unit's length.
        whole: first bytes of units that are wanted whole.
    """
    place, stop = 0, len(data)
    while place + size < stop:
        length = int.from_bytes(data[place : place + size], "big")
        place += size
        if length:
            yield bytes(data[place : place + (length if data[place] in whole else min(length, _HEAD))])
        place += length


def split_start_codes(data: memoryview, whole: set[int]) -> Iterator[bytes]:
    """The beginnings of units that each stand behind a start code; the arguments as above."""
    raw = bytes(data)
    place = raw.find(_START) + 3
    while 3 <= place < len(raw):
        if raw[place] in whole:
            following = raw.find(_START, place)
            yield raw[place : following if following >= 0 else len(raw)]
        else:
            yield raw[place : place + _HEAD]
        place = raw.find(_START, place) + 3
