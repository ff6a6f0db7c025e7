"""From a decoded frame to pixels: sRGB, on white where it is transparent, square pixels, upright."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

from ...errors import ClipError, warn_once
from ...pictures.light import tone_map
from ...pictures.profile import to_srgb
from .base import check_size
from .colours import DEFAULT, Colours, check_colours, hdr_curve, matrix_of
from .hdr import peak_of
from .opening import words
from .orientation import orientation_of, side_data

# SWS_BILINEAR, SWS_FULL_CHR_H_INT and SWS_ACCURATE_RND, by numbers that PyAV takes in all its versions. Without the
# last two every channel is cut off instead of rounded, up to three times.
_EXACT = 0x2 | 0x2000 | 0x40000
_LIMITED = 1


def picture_of(path: Path, frame: av.VideoFrame, stream: Any, time: float, colours: Colours = DEFAULT) -> np.ndarray:
    """A decoded frame as uint8 (H, W, 3).

    Raises:
        ClipError: it is too large, cannot be converted, or is of a kind that ``colours`` refuses.
    """
    check_frame(path, frame, stream, time, colours)
    codec = stream.codec_context.name
    try:
        if curve := hdr_curve(stream):
            light = (curve, int(stream.codec_context.color_primaries), peak_of(frame, codec))
            pixels = hdr_to_rgb(frame, pixel_aspect(stream), *light)
        else:
            pixels = to_rgb(frame, pixel_aspect(stream), colours)
            profile = side_data(frame, codec, "ICC_PROFILE")
            pixels = pixels if profile is None else to_srgb(pixels, profile)
        return orientation_of(frame, codec).lay(pixels)
    except (av.FFmpegError, ValueError) as error:
        raise ClipError(path, words(error), time) from error


def check_frame(
    path: Path, frame: av.VideoFrame, stream: Any, time: float, colours: Colours = DEFAULT
) -> tuple[int, ...]:
    """Height and width of a decoded frame, refused where it is too large or ``colours`` refuses it, and how it lies."""
    width, height = shown_size(frame, pixel_aspect(stream))
    check_size(path, width, height, time)
    check_colours(path, frame, stream, colours, time)
    if frame.interlaced_frame:
        warn_once(
            "interlaced video",
            f"{path} is interlaced: its frames are read as they are stored, with two moments in one; deinterlace it "
            "first, for example with ffmpeg's filter bwdif. Other such clips are not named.",
        )
    lies = orientation_of(frame, stream.codec_context.name)
    return (height, width, lies.transposed, lies.left_right, lies.top_bottom)


def pixel_aspect(stream: Any) -> Fraction | None:
    """Width over height of a pixel: as the container says, or else the frames that were decoded."""
    return stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio


def shown_size(frame: av.VideoFrame, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Width and height of a frame whose pixels have become square, before it is turned."""
    if pixel_aspect is None or pixel_aspect <= 0:
        return frame.width, frame.height
    return max(round(frame.width * pixel_aspect), 1), frame.height


def to_rgb(frame: av.VideoFrame, pixel_aspect: Fraction | None, colours: Colours = DEFAULT) -> np.ndarray:
    """A decoded frame of SDR as uint8 (H, W, 3): RGB to 1 level, square pixels, as it is stored."""
    size = shown_size(frame, pixel_aspect)
    frame.colorspace = matrix_of(frame, colours)
    if any(component.is_alpha for component in frame.format.components) or frame.format.has_palette:
        opaque = av.VideoFrame.from_ndarray(_on_white(_converted(frame, "gbrap", "rgba")))
        pixels = _converted(opaque, "gbrp", "rgb24", size)
    elif _is_inexact_grey(frame):
        pixels = _grey(frame, size)
    else:
        pixels = _converted(frame, "gbrp", "rgb24", size)
    return pixels


def hdr_to_rgb(
    frame: av.VideoFrame, pixel_aspect: Fraction | None, curve: int, primaries: int, peak: float
) -> np.ndarray:
    """A decoded frame of HDR as uint8 (H, W, 3): sRGB, square pixels, as it is stored. curve, primaries, peak: of
    :func:`tone_map`."""
    width, height = shown_size(frame, pixel_aspect)
    codes = frame.reformat(width, height, "gbrp16le", interpolation=_EXACT).to_ndarray()
    return tone_map(codes, curve, primaries, peak)


def _converted(frame: av.VideoFrame, planar: str, packed: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """A frame in a packed format of 8-bit RGB, rounded. planar: the same in planes, for which swscale's exact
    arithmetic is vectorised and five times as fast."""
    width, height = size or (frame.width, frame.height)
    if not frame.format.is_rgb and len(frame.format.components) > 1:
        frame = frame.reformat(width, height, planar, interpolation=_EXACT)
    return frame.to_ndarray(format=packed, width=width, height=height, interpolation=_EXACT)


def _on_white(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 4), alpha last and not multiplied in -> uint8 (H, W, 3)."""
    alpha = pixels[..., 3:].astype(np.uint16)
    if alpha.min() == 255:
        return np.ascontiguousarray(pixels[..., :3])
    return ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _is_inexact_grey(frame: av.VideoFrame) -> bool:
    """Whether a frame is of greys that swscale takes for full range though they are not, or does not round."""
    bits = frame.format.components[0].bits
    return len(frame.format.components) == 1 and (8 < bits <= 16 or (bits == 8 and frame.color_range == _LIMITED))


def _grey(frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    codes = frame.reformat(*size, "gray16le", interpolation=_EXACT).to_ndarray()
    levels = _levels(frame.format.components[0].bits, frame.color_range == _LIMITED)
    return np.repeat(levels[codes][..., None], 3, axis=2)


@cache
def _levels(bits: int, limited: bool) -> np.ndarray:
    """Grey, 0 to 255, of code values of so many bits that were brought to 16: uint8 (65536,)."""
    codes = np.arange(65536) / 65535
    if limited:
        codes = (codes * (2**bits - 1) / 2 ** (bits - 8) - 16) / 219
    return np.rint(np.clip(codes, 0, 1) * 255).astype(np.uint8)
