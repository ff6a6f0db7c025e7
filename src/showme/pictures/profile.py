"""Colour profiles (ICC) of pictures: their colours as sRGB."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

# How notes begin that say so.
PROFILE_UNUSED = "Its colour profile cannot be used"
HDR_MAPPED = "It is HDR"
# Colours that a profile is tried on; one that moves none of them by more than rounding does is sRGB under another name.
_GRID = 9
_ROUNDING = 1


class ProfileError(ValueError):
    """A colour profile that cannot be used; the message is the reason."""


def apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """A picture's colours as sRGB.

    Args:
        image: mode L, RGB, CMYK or LAB, without transparency.
        profile: ICC.

    Returns:
        RGB, or ``image`` itself where the profile is that of sRGB.

    Raises:
        ProfileError: a damaged profile, or one of other colours than the picture's.
    """
    if image.mode == "L" and profile[16:20] == b"RGB ":
        image = image.convert("RGB")
    transform = _transform(profile, image.mode)
    if transform is None:
        return image
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted


def to_srgb(pixels: np.ndarray, profile: bytes) -> np.ndarray:
    """uint8 (H, W, 3) in a profile's colours -> the same in sRGB; unchanged where the profile cannot be used."""
    try:
        return np.asarray(apply_profile(Image.fromarray(pixels), profile))
    except ProfileError:
        return pixels


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; None where that changes nothing. Frames of a clip share one."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise ProfileError((str(error).strip().splitlines() or ["it is damaged"])[0].rstrip(".")) from error
    if mode != "RGB":
        return transform
    levels = np.linspace(0, 255, _GRID).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(colours), transform), dtype=int)
    return transform if np.abs(moved - colours).max() > _ROUNDING else None
