"""From a decoded frame to pixels: RGB, square pixels, upright."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from ...errors import ClipError, tell_once
from .base import check_size
from .opening import words


def picture_of(path: Path, frame: av.VideoFrame, stream: Any, time: float) -> np.ndarray:
    """A decoded frame as uint8 (H, W, 3).

    Raises:
        ClipError: it is too large, or cannot be converted.
    """
    check_frame(path, frame, stream, time)
    try:
        return to_rgb(frame, pixel_aspect(stream))
    except (av.FFmpegError, ValueError) as error:
        raise ClipError(path, words(error), time) from error


def check_frame(path: Path, frame: av.VideoFrame, stream: Any, time: float) -> tuple[int, ...]:
    """Height and width of a decoded frame, refused where it is too large, and how it is turned."""
    width, height = shown_size(frame, pixel_aspect(stream))
    check_size(path, width, height, time)
    if frame.interlaced_frame:
        tell_once(
            "interlaced video",
            f"{path} is interlaced: its frames are read as they are stored, with two moments in one; deinterlace it "
            "first, for example with ffmpeg's filter bwdif.",
        )
    return (height, width, round(frame.rotation))


def pixel_aspect(stream: Any) -> Fraction | None:
    """Width over height of a pixel: as the container says, or else the frames that were decoded."""
    return stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio


def shown_size(frame: av.VideoFrame, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Width and height of a frame whose pixels have become square, before it is turned."""
    if pixel_aspect is None or pixel_aspect <= 0:
        return frame.width, frame.height
    return max(round(frame.width * pixel_aspect), 1), frame.height


def to_rgb(frame: av.VideoFrame, pixel_aspect: Fraction | None) -> np.ndarray:
    """A decoded frame as uint8 (H, W, 3): RGB, square pixels, upright."""
    width, height = shown_size(frame, pixel_aspect)
    pixels = frame.to_ndarray(format="rgb24", width=width, height=height)
    # The display matrix turns counter-clockwise, as numpy does; one of zeros gives no angle at all.
    turned = frame.rotation if abs(frame.rotation) <= 360 else 0
    return np.ascontiguousarray(np.rot90(pixels, round(turned / 90))) if turned else pixels
