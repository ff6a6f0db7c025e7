"""Small videos of every kind, written by PyAV, whose frames can be told apart by their pixels."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT = 64, 48
# Of swscale: bilinear, with all of the chroma, rounded.
ROUNDED = 0x2 | 0x2000 | 0x40000


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A frame that says its number: bright columns for its binary digits, over a drifting gradient."""
    row = (np.arange(width) * 2 + number * 3) % 100
    frame = np.repeat(np.broadcast_to(row, (height, width))[..., None], 3, axis=2).astype(np.uint8)
    bar = max(width // 16, 2)
    for bit in range(12):
        if number >> bit & 1:
            frame[height // 3 :, bit * bar : bit * bar + bar - 1] = 255
    return frame


def write_clip(
    path: Path,
    frames: int = 40,
    codec: str = "libx264",
    fps: int = 20,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    times: list[int] | None = None,
    rotation: int = 0,
    gop: int = 12,
    container: str | None = None,
    movflags: str = "",
    pixel_aspect: int = 1,
) -> Path:
    """A video. times: time stamps in frames, for a variable rate; options: of the encoder; movflags: of MP4."""
    flags = {"movflags": movflags} if movflags else {}
    with av.open(str(path), "w", format=container, options=flags) as output:
        stream = output.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.gop_size = gop
        if pixel_aspect != 1:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        stream.codec_context.time_base = Fraction(1, fps)
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24").reformat(format=pixels)
            frame.pts = times[number] if times else number
            frame.time_base = Fraction(1, fps)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def decode_all(path: Path) -> list[np.ndarray]:
    """All frames, by plain decoding and swscale's own packed and rounded RGB: the oracle."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24", interpolation=ROUNDED) for frame in container.decode(video=0)]
