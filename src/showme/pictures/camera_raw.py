"""Camera raw files, which are TIFF inside and whose first picture is a thumbnail: known by their content."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from ..errors import InputError, first_line

# Tags of TIFF 6.0, TIFF/EP and DNG 1.6 that speak of a sensor's mosaic.
_PHOTOMETRIC, _SUB_DIRECTORIES, _DNG_VERSION = 262, 330, 50706
_MOSAICS = (32803, 34892)
# Where marks stand of formats that are TIFF with a sign of their own (CR2), or none (CR3, Fuji, Olympus, Panasonic).
_MARKS = {8: b"CR\x02", 4: b"ftypcrx "}
_OTHERS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 13: 4}
_MAX_ENTRIES, _MAX_DIRECTORIES = 4096, 32
INSTALL = 'pip install "showme[raw]"'


def raw_kind(file: BinaryIO) -> str | None:
    """Which kind of camera raw a file is, ``DNG`` or ``camera raw``; None of any other file.

    Args:
        file: open; where it stands is kept.
    """
    place = file.tell()
    try:
        return _kind(file)
    except (struct.error, OSError, OverflowError):
        return None
    finally:
        file.seek(place)


def open_dng(path: Path, max_pixels: int) -> Image.Image:
    """A DNG's picture, developed with the camera's white balance: RGB, 8 bits, sRGB, upright.

    Raises:
        InputError: rawpy is not installed or cannot read it, or it has more than ``max_pixels``.
    """
    try:
        import rawpy
    except ImportError as error:
        raise InputError(
            f"{path} is a camera raw file (DNG), which needs the package rawpy: {INSTALL}, or export it as JPEG or PNG."
        ) from error
    try:
        with rawpy.imread(str(path)) as raw:
            if raw.sizes.width * raw.sizes.height > max_pixels:
                raise InputError(f"{path} has {raw.sizes.width}x{raw.sizes.height} pixels: export a smaller photo.")
            pixels: np.ndarray = raw.postprocess(use_camera_wb=True, output_bps=8)
    except rawpy.LibRawError as error:
        raise InputError(f"{path} is damaged ({first_line(error)}): export the photo as JPEG or PNG.") from error
    return Image.fromarray(pixels)


def _kind(file: BinaryIO) -> str | None:
    file.seek(0)
    head = file.read(16)
    if head.startswith(_OTHERS) or any(head[at:].startswith(mark) for at, mark in _MARKS.items()):
        return "camera raw"
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None:
        return None
    waiting, seen = [struct.unpack(f"{order}I", head[4:8])[0]], set[int]()
    mosaic = False
    while waiting and len(seen) < _MAX_DIRECTORIES:
        start = waiting.pop()
        if start in seen:
            continue
        seen.add(start)
        tags, following = _directory(file, order, start)
        if _DNG_VERSION in tags:
            return "DNG"
        mosaic = mosaic or any(value in _MOSAICS for value in tags.get(_PHOTOMETRIC, ()))
        waiting += [*tags.get(_SUB_DIRECTORIES, ()), *([following] if following else [])]
    return "camera raw" if mosaic else None


def _directory(file: BinaryIO, order: str, start: int) -> tuple[dict[int, tuple[int, ...]], int]:
    """The tags of a directory that matter, and where the next one is; 0 where there is none."""
    file.seek(start)
    count = struct.unpack(f"{order}H", file.read(2))[0]
    if count > _MAX_ENTRIES:
        return {}, 0
    entries = file.read(12 * count)
    end = file.read(4)
    following = struct.unpack(f"{order}I", end)[0] if len(end) == 4 else 0
    tags: dict[int, tuple[int, ...]] = {}
    for tag, kind, values, place in struct.iter_unpack(f"{order}HHII", entries[: 12 * count]):
        if tag not in (_PHOTOMETRIC, _SUB_DIRECTORIES, _DNG_VERSION) or kind not in _SIZES or not 0 < values <= 64:
            continue
        size = _SIZES[kind] * values
        raw = struct.pack(f"{order}I", place)
        if size > 4:
            file.seek(place)
            raw = file.read(size)
        letter = {1: "B", 2: "B", 3: "H", 4: "I", 13: "I"}[kind]
        tags[tag] = struct.unpack(f"{order}{values}{letter}", raw[:size])
    return tags, following
