"""Display matrices: how the pictures of a video are turned and mirrored to be shown."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import av
import numpy as np

# Nine fixed-point numbers, of which the four of the turning are looked at: x' = a x + c y, y' = b x + d y.
_MATRIX = struct.Struct("=9i")


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to lay a picture. transposed: rows become columns, before anything is mirrored.
    left_right, top_bottom: mirrored that way."""

    transposed: bool = False
    left_right: bool = False
    top_bottom: bool = False

    def lay(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, ...) as stored -> contiguous (H, W, ...) or (W, H, ...) as shown."""
        if self == UPRIGHT:
            return pixels
        pixels = pixels.swapaxes(0, 1) if self.transposed else pixels
        pixels = pixels[:, ::-1] if self.left_right else pixels
        return np.ascontiguousarray(pixels[::-1] if self.top_bottom else pixels)


UPRIGHT = Orientation()


# By quarter turns counter-clockwise.
_TURNS = (UPRIGHT, Orientation(True, False, True), Orientation(False, True, True), Orientation(True, True, False))
# Their frames come with a profile that has a name, and PyAV 18 frees that twice: the process would end.
_UNSAFE = ("png", "apng")


def orientation_of(frame: av.VideoFrame, codec: str) -> Orientation:
    """What the display matrix of a frame that ``codec`` decoded asks for, to the nearest quarter turn; upright where it
    has none. Of PNG in a video only turns are known."""
    if codec in _UNSAFE:
        return _TURNS[round(frame.rotation / 90) % 4]
    stored = side_data(frame, codec, "DISPLAYMATRIX")
    if stored is None:
        return UPRIGHT
    a, b, _, c, d, *_ = _MATRIX.unpack_from(stored)
    # A matrix of zeros asks for nothing.
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, left_right=c < 0, top_bottom=b < 0)
    return Orientation(False, left_right=a < 0, top_bottom=d < 0)


def side_data(frame: av.VideoFrame, codec: str, name: str) -> bytes | None:
    """What comes beside a frame that ``codec`` decoded, by ffmpeg's names of side data; None where nothing does."""
    found: Any = None if codec in _UNSAFE else frame.side_data.get(name)
    return None if found is None else bytes(found)
