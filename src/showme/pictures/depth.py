"""Grey pictures of 16 bits a pixel that hold fewer, as scanners, microscopes and depth cameras write them."""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np
from PIL import Image

# Of TIFF 6.0: bits of a sample, the largest one in the file, and the largest one that may be.
_BITS, _LARGEST, _WHITE = 258, 281, 341
_FULL = 65535
_INFO = "showme_white"


def note_depth(image: Image.Image) -> None:
    """Keep in a picture's ``info`` what its file says of its depth; to be called before its pixels are read."""
    if image.mode.startswith("I;16"):
        if image.format == "TIFF":
            image.info[_INFO] = _tiff_white(image)
        elif image.format == "PNG" and (bits := _png_bits(image)):
            image.info[_INFO] = -bits


def white_of(image: Image.Image, values: np.ndarray) -> int:
    """Which of 16-bit ``values`` is white: what the file says, or else 65535.

    Writers of PNG are to scale the significant bits to all 16 (PNG, third edition, 11.3.2.7), and many do not: values
    that all fit into those bits were not.
    """
    white = image.info.get(_INFO, _FULL)
    if white > 0:
        return white
    return 2**-white - 1 if values.max() < 2**-white else _FULL


def _tiff_white(image: Image.Image) -> int:
    tags = image.tag_v2  # type: ignore[attr-defined]
    stated = [tags.get(_WHITE), tags.get(_LARGEST)]
    for value in stated:
        white = value[0] if isinstance(value, tuple) else value
        if isinstance(white, int | float) and 0 < white < _FULL:
            return int(white)
    bits = tags.get(_BITS, (16,))[0]
    return 2**bits - 1 if 8 < bits < 16 else _FULL


def _png_bits(image: Image.Image) -> int | None:
    """The significant bits of a grey PNG that says so, fewer than 16."""
    file: BinaryIO = image.fp  # type: ignore[attr-defined]
    place = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
            length = int.from_bytes(head[:4], "big")
            if head[4:] == b"sBIT":
                bits = file.read(1)[0]
                return bits if 8 < bits < 16 else None
            file.seek(length + 4, io.SEEK_CUR)
        return None
    finally:
        file.seek(place)
