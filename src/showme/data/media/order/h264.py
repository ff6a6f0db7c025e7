"""The order in which H.264's pictures are shown, from their slices' headers (ITU-T H.264, sections 7.3 and 8.2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from .bits import Bits, UnorderedError, payload
from .units import split_start_codes, split_units

_SLICE, _IDR, _SEI, _SPS, _PPS = 1, 5, 6, 7, 8
# Of a supplemental message: display orientation, annex D.1.27.
_ORIENTATION = 47
# Profiles whose parameter sets say how colours are sampled.
_HIGH = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
# Parameter sets and messages, whatever their nal_ref_idc says.
_WHOLE = {ref << 5 | kind for ref in range(4) for kind in (_SEI, _SPS, _PPS)}


@dataclass(frozen=True)
class _Sequence:
    """What a sequence's parameters say of its slices' headers."""

    colour_planes: bool
    frame_num_bits: int
    order_type: int
    order_bits: int
    frames_only: bool


class H264Order:
    """Reads packets in decoding order.

    Args:
        extradata: of the stream: an avcC box, or units behind start codes.

    Attributes:
        turned: how the last packet says that its picture is turned and mirrored to be shown, as the bits of its
            message; 0 where it says nothing.
    """

    def __init__(self, extradata: bytes):
        self.sequences: dict[int, _Sequence] = {}
        self.pictures: dict[int, int] = {}
        self.length_size = 0
        # Coded video sequences so far, and the picture order count of the last reference picture.
        self.sequence, self.high, self.low = 0, 0, 0
        self.count, self.turned = 0, 0
        if extradata[:1] == b"\x01":
            self.length_size = (extradata[4] & 3) + 1
            self._read_configuration(extradata)
        else:
            for unit in split_start_codes(memoryview(extradata), _WHOLE):
                self._read_set(unit)

    def key(self, packet: memoryview) -> tuple[int, int]:
        """Of the packet's picture, as :class:`~showme.data.media.order.Order`: coded sequence, picture order count."""
        self.turned = 0
        for unit in split_units(packet, self.length_size, _WHOLE):
            if unit[0] & 31 in (_SLICE, _IDR):
                return self._slice_key(unit)
            if unit[0] & 31 == _SEI:
                self.turned = _read_turning(payload(unit[1:])) or self.turned
            self._read_set(unit)
        raise ValueError("a packet without a picture")

    def _read_configuration(self, data: bytes) -> None:
        place = 5
        for mask in (31, 255):
            count, place = data[place] & mask, place + 1
            for _ in range(count):
                length = int.from_bytes(data[place : place + 2], "big")
                self._read_set(data[place + 2 : place + 2 + length])
                place += 2 + length

    def _read_set(self, unit: bytes) -> None:
        if unit[0] & 31 == _SPS:
            number, sequence = _read_sequence(Bits(payload(unit[1:])), unit[1])
            self.sequences[number] = sequence
        elif unit[0] & 31 == _PPS:
            bits = Bits(payload(unit[1:]))
            self.pictures[bits.golomb()] = bits.golomb()

    def _slice_key(self, unit: bytes) -> tuple[int, int]:
        bits = Bits(payload(unit[1:]))
        # first_mb_in_slice, slice_type.
        bits.skip_golomb(2)
        found = self.sequences.get(self.pictures.get(bits.golomb(), -1))
        if found is None:
            raise ValueError("its parameters are missing")
        if found.order_type == 1:
            raise UnorderedError
        self.count += 1
        idr = unit[0] & 31 == _IDR
        if found.order_type == 2:
            # Shown as they are decoded.
            return 0, self.count
        bits.skip(2 if found.colour_planes else 0, found.frame_num_bits)
        if not found.frames_only and bits.read(1):
            bits.skip(1)
        if idr:
            bits.golomb()
            self.sequence, self.high, self.low = self.sequence + 1, 0, 0
        low, wrap = bits.read(found.order_bits), 1 << found.order_bits
        high = self.high
        if low < self.low and self.low - low >= wrap // 2:
            high += wrap
        elif low > self.low and low - self.low > wrap // 2:
            high -= wrap
        if unit[0] >> 5:
            self.high, self.low = high, low
        return self.sequence, high + low


def _read_sequence(bits: Bits, profile: int) -> tuple[int, _Sequence]:
    # profile_idc, constraints, level_idc.
    bits.skip(24)
    number = bits.golomb()
    planes = False
    if profile in _HIGH:
        chroma = bits.golomb()
        planes = chroma == 3 and bool(bits.read(1))
        # Depths of luma and chroma, qpprime_y_zero_transform_bypass_flag.
        bits.skip_golomb(2)
        bits.skip(1)
        if bits.read(1):
            _skip_scaling(bits, 12 if chroma == 3 else 8)
    frame_num_bits = bits.golomb() + 4
    order_type = bits.golomb()
    order_bits = bits.golomb() + 4 if order_type == 0 else 0
    if order_type == 1:
        return number, _Sequence(planes, frame_num_bits, order_type, 0, True)
    # max_num_ref_frames, gaps_in_frame_num_value_allowed_flag, width and height.
    bits.golomb()
    bits.skip(1)
    bits.skip_golomb(2)
    return number, _Sequence(planes, frame_num_bits, order_type, order_bits, bool(bits.read(1)))


def _read_turning(messages: bytes) -> int:
    """How a display orientation among supplemental messages (section 7.3.2.3) turns and mirrors; 0: not."""
    place = 0
    while place + 2 < len(messages):
        fields = []
        for _ in range(2):
            value = 0
            while messages[place] == 255:
                value, place = value + 255, place + 1
            fields.append(value + messages[place])
            place += 1
        kind, length = fields
        if kind == _ORIENTATION:
            bits = Bits(messages[place : place + length])
            # hor_flip, ver_flip and anticlockwise_rotation, unless it cancels what was said before.
            return 0 if bits.read(1) else bits.read(18)
        place += length
    return 0


def _skip_scaling(bits: Bits, lists: int) -> None:
    """Scaling matrices, section 7.3.2.1.1.1: a list ends where its next value becomes 0."""
    for number in range(lists):
        if not bits.read(1):
            continue
        value = 8
        for _ in range(16 if number < 6 else 64):
            code = bits.golomb()
            value = (value + (code + 1 >> 1 if code % 2 else -(code >> 1))) % 256
            if not value:
                break
