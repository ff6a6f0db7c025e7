"""Pictures of 16 bits a channel that hold fewer, as scanners, microscopes and depth cameras write them."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import av
import numpy as np
from PIL import Image

# Of TIFF 6.0: bits of a sample, the largest one in the file, and the largest one that may be.
_BITS, _LARGEST, _WHITE = 258, 281, 341
_FULL = 65535
_INFO = "showme_white"
_DECODERS = {"PNG": "png", "TIFF": "tiff"}


def at_depth(image: Image.Image) -> Image.Image:
    """A picture that was opened and not read yet, so that its values can be taken from those of all 16 bits.

    Greys stay as they are, with a note for :func:`white_of` in their ``info``. Of colours Pillow drops the lower 8
    bits: where a file says that they matter, it is decoded by ffmpeg, and a picture of 8 bits comes back.

    Raises:
        ValueError: ffmpeg cannot decode it.
    """
    white = _stated(image)
    if white is None:
        return image
    if image.mode.startswith("I;16"):
        image.info[_INFO] = white
        return image
    pixels = _decoded(image)
    top = _white(white, int(pixels[..., :3].max()))
    deep = Image.fromarray(np.rint((pixels / top).clip(max=1) * 255).astype(np.uint8))
    deep.info = {**image.info, "exif": image.getexif().tobytes()}
    return deep


def sixteen_bits(image: Image.Image) -> np.ndarray | None:
    """uint16 (H, W, 3 or 4) of a PNG's first picture that was opened and not read yet, where it has colours of 16 bits.

    Raises:
        ValueError: ffmpeg cannot decode it.
    """
    deep = image.format == "PNG" and image.mode in ("RGB", "RGBA") and ";16" in _layout(image) and image.tell() == 0
    return _decoded(image) if deep else None


def white_of(image: Image.Image, largest: float) -> int:
    """Which 16-bit value is white in a grey picture of :func:`at_depth` whose largest one is given."""
    return _white(image.info.get(_INFO, _FULL), largest)


def _white(stated: int, largest: float) -> int:
    """Writers of PNG are to scale the significant bits, here below zero, to all 16 (PNG, third edition, 11.3.2.7), and
    many do not: values that all fit into those bits were not."""
    if stated > 0:
        return stated
    return 2**-stated - 1 if largest < 2**-stated else _FULL


def _stated(image: Image.Image) -> int | None:
    """What a file of 16 bits a channel says of its white; below zero its significant bits; None: nothing, or all 16."""
    layout = _layout(image)
    if ";16" not in layout and ";12" not in layout and not image.mode.startswith("I;16"):
        return None
    if image.format == "TIFF":
        return _tiff_white(image)
    bits = _png_bits(image) if image.format == "PNG" else None
    return None if bits is None else -bits


def _layout(image: Image.Image) -> str:
    """How a picture that was opened and not read yet is laid out in its file, as Pillow's decoders call it."""
    tiles = getattr(image, "tile", None)
    return str(tiles[0][3]) if tiles else ""


def _tiff_white(image: Image.Image) -> int | None:
    tags = image.tag_v2  # type: ignore[attr-defined]
    for tag in (_WHITE, _LARGEST):
        value = tags.get(tag)
        white = max(value) if isinstance(value, tuple) else value
        if isinstance(white, int | float) and 0 < white < _FULL:
            return int(white)
    bits = tags.get(_BITS, (16,))[0]
    return 2**bits - 1 if 8 < bits < 16 else None


def _png_bits(image: Image.Image) -> int | None:
    """The most significant bits of a channel of a PNG that says so; None where they are 16 or 8."""
    file: BinaryIO = image.fp  # type: ignore[attr-defined]
    place = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
            length = int.from_bytes(head[:4], "big")
            if head[4:] == b"sBIT":
                bits = max(file.read(min(length, 4)), default=16)
                return bits if 8 < bits < 16 else None
            file.seek(length + 4, io.SEEK_CUR)
        return None
    finally:
        file.seek(place)


def _decoded(image: Image.Image) -> np.ndarray:
    """uint16 (H, W, 3 or 4) of a file of colours."""
    file: BinaryIO = image.fp  # type: ignore[attr-defined]
    file.seek(0)
    decoder: Any = av.CodecContext.create(_DECODERS[str(image.format)], "r")
    try:
        frames = [*decoder.decode(av.Packet(file.read())), *decoder.decode(None)]
    except av.FFmpegError as error:
        raise ValueError(str(error)) from error
    if not frames:
        raise ValueError("it holds no picture")
    layout = "rgba64le" if image.mode in ("RGBA", "LA") else "rgb48le"
    return frames[0].to_ndarray(format=layout)
