"""Uncompressed YCbCr TIFFs, whose three bytes a pixel Pillow before 13 takes for four."""

from __future__ import annotations

from typing import Any

from PIL import Image

# Of TIFF 6.0: the photometric interpretation, and its value for luma and chroma.
_PHOTOMETRIC, _YCBCR = 262, 6


def with_chroma(image: Image.Image) -> Image.Image:
    """A picture that was opened and not read yet; one whose bytes Pillow would miscount comes back as YCbCr.

    Raises:
        OSError: the file is cut short.
    """
    tiles: list[Any] = getattr(image, "tile", [])
    raw = all(tile[0] == "raw" and tile[3][0] == "RGBX" for tile in tiles)
    if not (tiles and raw and image.format == "TIFF" and image.mode == "RGB" and _photometric(image) == _YCBCR):
        return image
    # Read as three plain bytes, then told what they are.
    image.tile = [(*tile[:3], ("RGB", *tile[3][1:])) for tile in tiles]  # type: ignore[attr-defined]
    whole = Image.merge("YCbCr", image.split())
    whole.info = {**image.info, "exif": image.getexif().tobytes()}
    return whole


def _photometric(image: Image.Image) -> int | None:
    return image.tag_v2.get(_PHOTOMETRIC)  # type: ignore[attr-defined]
