"""Pictures that a call of the pipeline is given as arrays of numbers: read for what they are, or refused."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError

# Of floats that arithmetic put above 1.
_ROUNDING = 1e-3


def as_pixels(picture: Tensor | np.ndarray, field: str) -> Tensor:
    """A picture as the pipeline computes with it.

    Args:
        picture: a tensor (3, H, W) or (1, 3, H, W), or an array (H, W, 3) or (1, H, W, 3) as NumPy and OpenCV lay them;
            uint8 of 0 to 255, or floats of 0 to 1.
        field: what messages call it.

    Returns:
        Floats (1, 3, H, W) in [0, 1].

    Raises:
        InputError: another layout, another kind of numbers, NaN, or floats outside of 0 to 1.
    """
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 and picture.dtype.kind != "f":
            raise _wrong_dtype(picture, field)
        pixels = torch.from_numpy(np.array(_laid_out(picture, field, "array", channel=-1))).movedim(-1, -3)
    elif isinstance(picture, Tensor):
        pixels = _laid_out(picture, field, "tensor", channel=-3)
    else:
        raise InputError(f"{field} is a {type(picture).__name__}: give a PIL image, a tensor or an array.")
    if pixels.dtype == torch.uint8:
        pixels = pixels.float() / 255
    elif not pixels.is_floating_point():
        raise _wrong_dtype(picture, field)
    else:
        _check_range(pixels, field)
    return pixels if pixels.ndim == 4 else pixels[None]


def _laid_out(picture, field: str, what: str, channel: int):
    """``picture``, whose channels stand where they should."""
    shape = tuple(picture.shape)
    one = picture.ndim == 3 or (picture.ndim == 4 and shape[0] == 1)
    if one and shape[channel] == 3 and min(shape) > 0:
        return picture
    layout = "(1, 3, H, W)" if channel == -3 else "(H, W, 3)"
    other = -1 if channel == -3 else -3
    remedy = f"give one of {layout}"
    if one and shape[other] == 3:
        axes = ", ".join(map(str, (2, 0, 1) if channel == -3 else (1, 2, 0)))
        if picture.ndim == 4:
            axes = "0, 3, 1, 2" if channel == -3 else "0, 2, 3, 1"
        turn = f"{field}.permute({axes})" if what == "tensor" else f"{field}.transpose({axes})"
        remedy = f"{'its channels are last' if channel == -3 else 'its channels are first'}, give {turn}"
    raise InputError(f"{field} is a {what} of shape {shape}, which is no picture {layout}: {remedy}.")


def _check_range(pixels: Tensor, field: str) -> None:
    low, high = (float(edge) for edge in pixels.detach().float().aminmax())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{field} holds NaN or infinite values: give numbers of 0 to 1.")
    if high > 1 + _ROUNDING:
        raise InputError(f"{field} holds floats up to {high:g}: divide by 255, or give uint8 of 0 to 255.")
    if low < -_ROUNDING:
        raise InputError(f"{field} holds floats down to {low:g}: give floats of 0 to 1, as {field} / 2 + 0.5 is.")


def _wrong_dtype(picture: Tensor | np.ndarray, field: str) -> InputError:
    name = str(picture.dtype).removeprefix("torch.")
    return InputError(f"{field} is of dtype {name}: give uint8 of 0 to 255, or floats of 0 to 1.")
