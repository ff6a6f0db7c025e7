"""Bits of a video stream's headers."""

from __future__ import annotations

import re

_ESCAPED = re.compile(rb"\x00\x00\x03")


class UnorderedError(Exception):
    """Pictures whose headers do not say when they are shown, or whether."""


class Bits:
    """Reads unsigned numbers from the first bit on; past the end it raises ValueError."""

    def __init__(self, data: bytes):
        self.left = len(data) * 8
        self.value = int.from_bytes(data, "big")

    def read(self, count: int) -> int:
        """The next ``count`` bits, the most significant first."""
        self.left -= count
        if self.left < 0:
            raise ValueError("the header ends too early")
        return (self.value >> self.left) & ((1 << count) - 1)

    def skip(self, *counts: int) -> None:
        """Pass over fields of these lengths."""
        self.read(sum(counts))

    def golomb(self) -> int:
        """An unsigned Exp-Golomb code, ue(v) of ITU-T H.264, section 9.1; a signed one has the same length."""
        rest = self.value & ((1 << self.left) - 1)
        zeros = self.left - rest.bit_length()
        self.skip(zeros)
        return self.read(zeros + 1) - 1

    def skip_golomb(self, count: int) -> None:
        """Pass over Exp-Golomb codes."""
        for _ in range(count):
            self.golomb()


def payload(data: bytes) -> bytes:
    """A NAL unit without the bytes that keep start codes out of it, H.264 section 7.4.1."""
    return _ESCAPED.sub(b"\x00\x00", data)
