"""The order in which HEVC's pictures are shown, from their slices' headers (ITU-T H.265, sections 7.3 and 8.3.1)."""

from __future__ import annotations

from dataclasses import dataclass

from .bits import Bits, UnorderedError, payload
from .units import split_start_codes, split_units

_SPS, _PPS = 33, 34
_LAST_SLICE = 31
# Random access points: BLA, IDR, CRA. Before RSV_IRAP_VCL23 all have one flag more.
_BLA, _IDR, _CRA, _LAST_ACCESS = (16, 17, 18), (19, 20), 21, 23
# Leading pictures; among the others below 16, the even ones are no references.
_LEADING = (6, 7, 8, 9)
_WHOLE = {kind << 1 | layer for kind in (_SPS, _PPS) for layer in (0, 1)}
_VERSION = (b"\x00", b"\x01")


@dataclass(frozen=True)
class _Picture:
    """What a picture's parameters say of its slices' headers."""

    sequence: int
    output_flag: bool
    extra_bits: int


class HevcOrder:
    """Reads packets in decoding order.

    Args:
        extradata: of the stream: an hvcC box, or units behind start codes.
    """

    def __init__(self, extradata: bytes):
        # Of a sequence: whether its colours are coded apart, and the bits of its order.
        self.sequences: dict[int, tuple[bool, int]] = {}
        self.pictures: dict[int, _Picture] = {}
        self.length_size = 0
        self.sequence, self.high, self.low = 0, 0, 0
        if len(extradata) > 22 and extradata[:3] not in (b"\x00\x00\x00", b"\x00\x00\x01"):
            self.length_size = (extradata[21] & 3) + 1
            self._read_configuration(extradata)
        else:
            for unit in split_start_codes(memoryview(extradata), _WHOLE):
                self._read_set(unit)

    def key(self, packet: memoryview) -> tuple[int, int]:
        """Of the packet's picture, as :class:`~showme.data.media.order.Order`: coded sequence, picture order count."""
        for unit in split_units(packet, self.length_size, _WHOLE):
            if unit[0] >> 1 <= _LAST_SLICE:
                return self._slice_key(unit)
            self._read_set(unit)
        raise ValueError("a packet without a picture")

    def _read_configuration(self, data: bytes) -> None:
        place = 23
        for _ in range(data[22]):
            count, place = int.from_bytes(data[place + 1 : place + 3], "big"), place + 3
            for _ in range(count):
                length = int.from_bytes(data[place : place + 2], "big")
                self._read_set(data[place + 2 : place + 2 + length])
                place += 2 + length

    def _read_set(self, unit: bytes) -> None:
        kind = unit[0] >> 1
        if kind == _SPS:
            number, sequence = _read_sequence(Bits(payload(unit[2:])))
            self.sequences[number] = sequence
        elif kind == _PPS:
            bits = Bits(payload(unit[2:]))
            number, sequence_number = bits.golomb(), bits.golomb()
            bits.skip(1)
            self.pictures[number] = _Picture(sequence_number, bool(bits.read(1)), bits.read(3))

    def _slice_key(self, unit: bytes) -> tuple[int, int]:
        kind, layer = unit[0] >> 1, (unit[1] & 7) - 1
        bits = Bits(payload(unit[2:]))
        if not bits.read(1):
            raise ValueError("its first slice is missing")
        bits.skip(1 if _BLA[0] <= kind <= _LAST_ACCESS else 0)
        picture = self.pictures.get(bits.golomb())
        if picture is None or picture.sequence not in self.sequences:
            raise ValueError("its parameters are missing")
        planes, order_bits = self.sequences[picture.sequence]
        bits.skip(picture.extra_bits)
        bits.golomb()
        if picture.output_flag and not bits.read(1):
            raise UnorderedError
        bits.skip(2 if planes else 0)
        low = 0 if kind in _IDR else bits.read(order_bits)
        if kind in _IDR or kind in _BLA or (kind == _CRA and not self.sequence):
            self.sequence, high = self.sequence + 1, 0
        else:
            high = self._high(low, 1 << order_bits)
        if layer == 0 and kind not in _LEADING and (kind > 15 or kind % 2):
            self.high, self.low = high, low
        return self.sequence, high + low

    def _high(self, low: int, wrap: int) -> int:
        if low < self.low and self.low - low >= wrap // 2:
            return self.high + wrap
        if low > self.low and low - self.low > wrap // 2:
            return self.high - wrap
        return self.high


def _read_sequence(bits: Bits) -> tuple[int, tuple[bool, int]]:
    bits.skip(4)
    layers = bits.read(3)
    # Temporal nesting; the general profile, tier and level.
    bits.skip(1, 96)
    present = [(bits.read(1), bits.read(1)) for _ in range(layers)]
    bits.skip(2 * (8 - layers) if layers else 0)
    for profile, level in present:
        bits.skip(88 * profile, 8 * level)
    number = bits.golomb()
    planes = bits.golomb() == 3 and bool(bits.read(1))
    # Width and height, then the window that is shown of them, then depths of luma and chroma.
    bits.skip_golomb(2)
    if bits.read(1):
        bits.skip_golomb(4)
    bits.skip_golomb(2)
    return number, (planes, bits.golomb() + 4)
