"""H.263 (ITU-T H.263, section 5.1): baseline streams show pictures as they decode them."""

from __future__ import annotations

from .bits import Bits, UnorderedError

_START, _EXTENDED = 0b1_00000, 7


class H263Order:
    """Reads packets in decoding order."""

    def key(self, packet: memoryview) -> tuple[int, int]:
        """The same for all.

        Raises:
            UnorderedError: one of the extended kinds, among which B pictures may be.
            ValueError: no picture.
        """
        bits = Bits(bytes(packet[:8]))
        if bits.read(22) != _START:
            raise ValueError("a packet without a picture")
        # Temporal reference, two fixed bits, three of display.
        bits.skip(8, 5)
        if bits.read(3) == _EXTENDED:
            raise UnorderedError
        # Coding type and three options, then whether a B picture is folded in.
        bits.skip(4)
        if bits.read(1):
            raise UnorderedError
        return 0, 0
