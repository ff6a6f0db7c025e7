"""``--region``: a picture of where the action happens, painted over the photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import InputError
from ..pictures.fit import fit_photo, inside_bars
from ..pictures.photo import open_photo

WHITE = "white"
# Of width over height: what rounding to whole pixels leaves.
_SAME_SHAPE = 0.02
_HALF = 128


def read_region(region: str, photo: Image.Image, size: tuple[int, int], fit: str) -> Image.Image | str:
    """What is asked for with ``--region``, brought to the model's size as the photo is.

    Args:
        region: ``white``, or a picture file whose bright pixels are the region.
        photo: the whole one.
        size: (height, width) of the model's pictures.
        fit: of the photo.

    Raises:
        InputError: no picture, one of another shape than the photo's, or without a bright pixel.
    """
    if region == WHITE:
        return WHITE
    mask = open_photo(Path(region)).image
    ratio = mask.width / mask.height * photo.height / photo.width
    if abs(ratio - 1) > _SAME_SHAPE:
        raise InputError(
            f"--region {region} is {mask.width}x{mask.height}, of another shape than the photo's "
            f"{photo.width}x{photo.height}: paint the region over the photo."
        )
    grey = np.asarray(mask.convert("L"))
    inside = Image.fromarray(np.where(grey >= _HALF, 255, 0).astype(np.uint8)).convert("RGB")
    # At the photo's own size first, so that both are cut at the same places; bars are never part of it.
    inside = inside.resize(photo.size, Image.Resampling.BOX)
    fitted = fit_photo(inside, *size, fit)[0].convert("L")
    if fit == "pad":
        box = inside_bars(photo.size, *size)
        kept = fitted.crop(box)
        fitted = Image.new("L", fitted.size)
        fitted.paste(kept, box[:2])
    if not (np.asarray(fitted) >= _HALF).any():
        where = "black everywhere" if not (grey >= _HALF).any() else "outside of what the model sees of the photo"
        raise InputError(f"--region {region} is empty ({where}): paint white where the action happens.")
    return fitted
