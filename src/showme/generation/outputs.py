"""Pictures, the video and the film strip, as files whose bytes depend on nothing but the frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

VIEW_SIDE = 384
_STRIP_CELLS = 6
_STRIP_HEIGHT = 192
_GAP, _LABEL = 8, 26
_PAPER, _INK = (250, 250, 249), (60, 60, 67)
# Without a tree of macroblocks as many bits as 14 with one, and within 0.15 dB of it.
_CRF = "18"
_BT709 = 1


def view_factor(width: int, height: int, side: int = VIEW_SIDE) -> int:
    """The whole number by which a picture is enlarged so that its short side reaches ``side`` pixels; 1 at least."""
    return max(math.ceil(side / min(width, height)), 1)


def write_png(image: Image.Image, path: Path) -> None:
    """Write a picture without any metadata."""
    image.convert("RGB").save(path, format="PNG", optimize=False, compress_level=6)


def write_video(frames: Iterable[Image.Image], path: Path, fps: float) -> int:
    """Write H.264 in MP4 (yuv420p, BT.709, index first: browsers and QuickTime play it), the same bytes every time.

    Small clips are enlarged (bicubic) by a whole number so that they can be watched.

    Args:
        frames: pictures of one size, each asked for when the one before is written.
        path: the file.
        fps: frames per second.

    Returns:
        The factor by which the frames were enlarged.
    """
    # Imported here: a picture alone needs no ffmpeg.
    import av
    from av.codec.context import Flags
    from av.video.reformatter import ColorRange, Colorspace

    waiting = iter(frames)
    first = next(waiting)
    width, height = first.size
    factor = view_factor(width, height)
    # H.264's 4:2:0 needs even sides.
    size = (width * factor + width * factor % 2, height * factor + height * factor % 2)
    container_options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=container_options) as container:
        # One thread: with more, x264 may cut a frame into other slices. No tree of macroblocks: where their number in a
        # row is no multiple of eight, x264 looks beyond the row, at whatever lies in memory.
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"crf": _CRF, "preset": "slow", "threads": "1", "g": "8", "mbtree": "0"}
        context = stream.codec_context
        context.flags |= Flags.bitexact
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = ColorRange.MPEG
        for image in chain([first], waiting):
            large = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
            frame = av.VideoFrame.from_ndarray(np.asarray(large), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return factor


def make_strip(
    first: Image.Image, result: Image.Image | None, frames: Sequence[Image.Image] | None, fps: float
) -> Image.Image:
    """The photo, evenly spaced frames of the video and the picture of the result, side by side with labels."""
    cells = [("photo", first)]
    if frames:
        cells += [(_second(index, fps), frames[index]) for index in spaced(len(frames), _STRIP_CELLS)]
    if result is not None:
        cells.append(("result", result))
    return _laid_out(cells)


def make_long_strip(
    first: Image.Image, result: Image.Image | None, shown: Sequence[tuple[int, Image.Image]], fps: float
) -> Image.Image:
    """The same of a video of which these numbered frames were kept."""
    cells = [("photo", first), *((_second(index, fps), frame) for index, frame in shown)]
    return _laid_out(cells if result is None else [*cells, ("result", result)])


def _second(index: int, fps: float) -> str:
    return f"{index / fps:.2f} s"


def _laid_out(cells: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    first = cells[0][1]
    width = round(first.width * _STRIP_HEIGHT / first.height)
    strip = Image.new("RGB", (_GAP + len(cells) * (width + _GAP), _STRIP_HEIGHT + _LABEL + _GAP), _PAPER)
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(15)
    for index, (label, image) in enumerate(cells):
        left = _GAP + index * (width + _GAP)
        strip.paste(image.convert("RGB").resize((width, _STRIP_HEIGHT), Image.Resampling.BICUBIC), (left, _GAP))
        draw.text((left + width / 2, _STRIP_HEIGHT + _GAP + _LABEL / 2), label, _INK, font, anchor="mm")
    return strip


def spaced(count: int, wanted: int) -> list[int]:
    """Up to ``wanted`` evenly spaced indices of ``count`` frames, the last among them.

    The first is left out where there are others: it repeats the photo, which stands beside them.
    """
    if count == 1:
        return [0]
    wanted = min(count - 1, wanted)
    return [round((index + 1) * (count - 1) / wanted) for index in range(wanted)]
