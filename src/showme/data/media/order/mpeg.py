"""The order in which pictures of MPEG-1, MPEG-2 and MPEG-4 (part 2) are shown: B pictures at once, others one later.

ISO/IEC 11172-2 and 13818-2, sections 6.1.1.11 and 6.2.3; ISO/IEC 14496-2, sections 6.2.3 and 6.2.5.
"""

from __future__ import annotations

from .bits import Bits, UnorderedError

_PICTURE, _VOP, _LAYERS = b"\x00\x00\x01\x00", b"\x00\x00\x01\xb6", range(0x20, 0x30)
_B = {_PICTURE: 3, _VOP: 2}
# Of a header: what is read of it is shorter.
_HEAD = 64


class MpegOrder:
    """Reads packets in decoding order.

    Args:
        extradata: of the stream: its headers.
        visual: MPEG-4; otherwise MPEG-1 or 2.
    """

    def __init__(self, extradata: bytes, visual: bool):
        self.visual = visual
        self.start = _VOP if visual else _PICTURE
        self.references = 0
        self.time_bits: int | None = None
        if visual:
            self._read_layer(extradata)

    def key(self, packet: memoryview) -> tuple[int, int]:
        """Of the packet's picture, as :class:`~showme.data.media.order.Order`: references so far, 1 for such a one.

        Packets of several pictures, and pictures that are not coded, are not recognised.
        """
        data = bytes(packet)
        place = data.find(self.start)
        if place < 0:
            raise ValueError("a packet without a picture")
        head = data[place + 4 : place + 4 + _HEAD]
        if self.visual:
            self._read_layer(data[:place])
            if data.find(self.start, place + 4) >= 0:
                raise UnorderedError
            kind = self._coded_kind(Bits(head))
        else:
            bits = Bits(head)
            bits.skip(10)
            kind = bits.read(3)
        if kind == _B[self.start]:
            return self.references, 0
        self.references += 1
        return self.references, 1

    def _coded_kind(self, bits: Bits) -> int:
        kind = bits.read(2)
        if self.time_bits is None:
            raise ValueError("its parameters are missing")
        while bits.read(1):
            pass
        bits.skip(1, self.time_bits, 1)
        if not bits.read(1):
            raise UnorderedError
        return kind

    def _read_layer(self, data: bytes) -> None:
        """The video object layer's header: how many bits a time has."""
        place = data.find(b"\x00\x00\x01")
        while place >= 0 and place + 4 < len(data):
            if data[place + 3] in _LAYERS:
                self.time_bits = _time_bits(Bits(data[place + 4 : place + 4 + _HEAD]))
                return
            place = data.find(b"\x00\x00\x01", place + 3)


def _time_bits(bits: Bits) -> int:
    # Random access, type.
    bits.skip(9)
    version = 1
    if bits.read(1):
        version = bits.read(4)
        bits.skip(3)
    if bits.read(4) == 15:
        bits.skip(16)
    if bits.read(1):
        bits.skip(3)
        # Parameters of the decoder's buffer.
        bits.skip(79 if bits.read(1) else 0)
    if bits.read(2) == 3 and version != 1:
        bits.skip(4)
    bits.skip(1)
    return max((bits.read(16) - 1).bit_length(), 1)
