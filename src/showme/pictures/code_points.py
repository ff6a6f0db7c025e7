"""What a PNG or an AVIF says of its colours in the code points of ITU-T H.273 (PNG's cICP, AVIF's nclx), as sRGB.

Pillow reads neither, and the picture would be taken for sRGB.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
import numpy as np
from PIL import Image

from .depth import sixteen_bits
from .light import (
    BT709,
    BT2020,
    DEFAULT_PEAK,
    GAMMA_22,
    GAMMA_28,
    HDR_CURVES,
    LINEAR,
    P3,
    PEAK_UNIT,
    to_sdr_srgb,
    tone_map,
)
from .profile import HDR_MAPPED, PROFILE_UNUSED

# Of BT.601 and its kin, unspecified, and sRGB's own: as of videos, these code values are taken for sRGB.
_LIKE_SRGB = (1, 2, 6, 7, 13, 14, 15)
_LIKE_BT709 = (BT709, 2, 5, 6, 7, 22)
_CURVES = (*_LIKE_SRGB, LINEAR, GAMMA_22, GAMMA_28, *HDR_CURVES)
_PRIMARIES = (*_LIKE_BT709, BT2020, P3)
# cLLI and mDCV count light in units of 0.0001 cd/m2.
_UNITS = 10_000
# What is between a PNG's signature and its pixels.
_CHUNKS = 1_000
_LARGEST = 64


@dataclass(frozen=True)
class CodePoints:
    """primaries, curve: as H.273 numbers them. full_range: whether black is 0 and white the largest value. peak: the
    brightest light of HDR, as a multiple of 100 cd/m2."""

    primaries: int
    curve: int
    full_range: bool = True
    peak: float = DEFAULT_PEAK

    @property
    def is_srgb(self) -> bool:
        """Whether the code values are sRGB's already."""
        return self.primaries in _LIKE_BT709 and self.curve in _LIKE_SRGB and self.full_range

    @property
    def unread(self) -> str | None:
        """Why the colours cannot be converted; None where they can."""
        if not self.full_range:
            return "it is coded in limited range"
        if self.curve not in _CURVES:
            return f"its transfer characteristics are number {self.curve} of ITU-T H.273"
        if self.primaries not in _PRIMARIES:
            return f"its primaries are number {self.primaries} of ITU-T H.273"
        return None


def code_points_of(image: Image.Image) -> CodePoints | None:
    """What the file of a picture that was opened and not read yet says; None where it says nothing, or something that
    counts more does: in AVIF a colour profile."""
    file = getattr(image, "fp", None)
    if file is None or not getattr(image, "tile", None) or image.format not in ("PNG", "AVIF"):
        return None
    place = file.tell()
    try:
        if image.format == "PNG":
            return _png_points(file)
        return None if image.info.get("icc_profile") else _avif_points(file)
    finally:
        file.seek(place)


def by_code_points(image: Image.Image, notes: list[str]) -> Image.Image:
    """A picture that was opened and not read yet, in sRGB where its code points say that it is not: RGB or RGBA then,
    with its EXIF data. ``notes`` says what was done.

    Raises:
        ValueError: ffmpeg cannot decode it.
    """
    points = code_points_of(image)
    if points is None or points.is_srgb:
        return image
    if points.unread is not None:
        notes.append(f"{PROFILE_UNUSED} ({points.unread}): its colours were taken for sRGB.")
        return image
    codes, alpha = _codes(image)
    if points.curve in HDR_CURVES:
        pixels = tone_map(codes, points.curve, points.primaries, points.peak)
        notes.append(f"{HDR_MAPPED} ({HDR_CURVES[points.curve]}): its colours were mapped to SDR by the Mobius curve.")
    else:
        pixels = to_sdr_srgb(codes, points.curve, points.primaries)
        notes.append("Its colours were converted to sRGB, as its colour tags say.")
    converted = Image.fromarray(pixels)
    if alpha is not None:
        converted.putalpha(alpha)
    converted.info = {"exif": image.getexif().tobytes()}
    return converted


def _codes(image: Image.Image) -> tuple[np.ndarray, Image.Image | None]:
    """Code values, uint16 (H, W, 3) of full range, and the alpha channel where there is one. Of a PNG's first picture
    all 16 bits are read: HDR needs them."""
    deep = sixteen_bits(image)
    if deep is not None:
        alpha = Image.fromarray((deep[..., 3] >> 8).astype(np.uint8)) if deep.shape[-1] == 4 else None
        return deep[..., :3], alpha
    if image.mode.startswith("I"):
        return np.repeat(np.asarray(image).astype(np.uint16)[..., None], 3, axis=-1), None
    layers = image.convert("RGBA") if image.has_transparency_data else image.convert("RGB")
    alpha = layers.getchannel("A") if layers.mode == "RGBA" else None
    return np.asarray(layers)[..., :3] * np.uint16(257), alpha


def _png_points(file: BinaryIO) -> CodePoints | None:
    """PNG, third edition, 11.3.2.6 to 11.3.2.8."""
    found = {kind: data for kind, data in _chunks(file) if kind in (b"cICP", b"cLLI", b"mDCV")}
    if len(tags := found.get(b"cICP", b"")) != 4:
        return None
    level, mastering = found.get(b"cLLI", b"")[:4], found.get(b"mDCV", b"")[16:20]
    brightest = int.from_bytes(level, "big") or int.from_bytes(mastering, "big")
    peak = brightest / _UNITS / PEAK_UNIT if brightest else DEFAULT_PEAK
    # The third is the matrix, which PNG has none of.
    return CodePoints(tags[0], tags[1], bool(tags[3]), peak)


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of the small chunks before a PNG's pixels."""
    file.seek(8)
    for _ in range(_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return
        length = int.from_bytes(head[:4], "big")
        if length <= _LARGEST:
            yield head[4:], file.read(length)
            file.seek(4, io.SEEK_CUR)
        else:
            file.seek(length + 4, io.SEEK_CUR)


def _avif_points(file: BinaryIO) -> CodePoints | None:
    """From the file's colour box, or the first picture's header, by ffmpeg. Limited range was widened by Pillow."""
    file.seek(0)
    try:
        with av.open(io.BytesIO(file.read())) as container:
            context = container.streams.video[0].codec_context
            return CodePoints(int(context.color_primaries), int(context.color_trc))
    except (av.FFmpegError, IndexError):
        # Pillow will say what is wrong with it.
        return None
