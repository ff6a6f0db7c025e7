"""A photo of any shape as a picture of the model's size, and in words what that did to its borders."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .window import Window

_BLUR_FACTOR = 1.5


@dataclass(frozen=True)
class Fit:
    """How a photo was brought to size.

    mode: crop or pad. source, size: (width, height) before and after. lost: share of the photo cut off, 0 to 1.
    added: share of the picture that is border, 0 to 1. scale: pixels after per pixel before. words: all that, said.
    """

    mode: str
    source: tuple[int, int]
    size: tuple[int, int]
    lost: float
    added: float
    scale: float
    words: str

    @property
    def changed(self) -> bool:
        """Whether there is anything that a user should know."""
        return self.lost > 1e-6 or self.added > 0 or self.scale >= _BLUR_FACTOR


def fit_photo(image: Image.Image, height: int, width: int, fit: str = "crop") -> tuple[Image.Image, Fit]:
    """Bring a photo to ``height`` x ``width`` without bending it.

    Args:
        image: RGB.
        height, width: pixels of the model's pictures.
        fit: ``crop`` scales the short side and cuts the centre out, as the training data were prepared; ``pad`` keeps
            everything and adds bars in the mean colour of the sides that they touch.

    Returns:
        The picture, RGB, and what happened.
    """
    return (_crop if fit == "crop" else _pad)(image, height, width)


def _crop(image: Image.Image, height: int, width: int) -> tuple[Image.Image, Fit]:
    window = Window.crop(image.height, image.width, height, width)
    kept_width, kept_height = window.right - window.left, window.bottom - window.top
    lost = 1 - (kept_width * kept_height) / (image.width * image.height)
    sides = "left and right" if window.left > window.top else "top and bottom"
    words = "The photo has the model's shape: nothing was cut off."
    if lost > 1e-6:
        words = f"{_percent(lost)} of the photo was cut off at the {sides}."
        if lost >= 0.2:
            words += " Use --fit pad to keep all of it."
    scale = max(window.scale)
    return window.picture(image), Fit("crop", image.size, (width, height), lost, 0.0, scale, words + _blur(scale))


def inside_bars(size: tuple[int, int], height: int, width: int) -> tuple[int, int, int, int]:
    """Where a photo of ``size`` (width, height) lies between the bars of ``pad``: left, top, right, bottom."""
    scale = min(width / size[0], height / size[1])
    inner = max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    return left, top, left + inner[0], top + inner[1]


def _pad(image: Image.Image, height: int, width: int) -> tuple[Image.Image, Fit]:
    scale = min(width / image.width, height / image.height)
    left, top, right, bottom = inside_bars(image.size, height, width)
    inner = right - left, bottom - top
    small = image.resize(inner, Image.Resampling.LANCZOS)
    beside = inner[0] < width
    pixels = np.asarray(small, dtype=np.float64)
    edges = pixels[:, [0, -1]] if beside else pixels[[0, -1]]
    colour = tuple(int(value) for value in np.rint(edges.reshape(-1, 3).mean(0)))
    fitted = Image.new("RGB", (width, height), colour)
    fitted.paste(small, (left, top))
    added = 1 - (inner[0] * inner[1]) / (width * height)
    words = "The photo has the model's shape: no border was added."
    if added > 0:
        sides = "left and right" if beside else "top and bottom"
        words = f"All of the photo was kept; bars at the {sides} fill {_percent(added)} of the picture."
    return fitted, Fit("pad", image.size, (width, height), 0.0, added, scale, words + _blur(scale))


def _blur(scale: float) -> str:
    return f" It was enlarged {scale:.1f} times, so it looks soft." if scale >= _BLUR_FACTOR else ""


def _percent(share: float) -> str:
    """A share in whole percent that never reads 0% or 100% unless it is."""
    percent = share * 100
    if percent < 1:
        return "less than 1%"
    return "more than 99%" if percent > 99 else f"{math.floor(percent + 0.5)}%"
