"""What a call of the pipeline is given: read for what it is, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..arguments import MAX_SEED, a_kind, check_number, check_whole
from ..errors import InputError
from ..pictures.photo import MIN_SIDE

# Of floats that arithmetic put above 1.
_ROUNDING = 1e-3
# As much as resizing by Lanczos or bicubic leaves beside edges.
_OVERSHOOT = 0.1
# Floats of a picture of 0 to 255, unless it is black.
_SURELY_BYTES = 2


def as_pixels(picture: Tensor | np.ndarray, field: str) -> Tensor:
    """A picture as the pipeline computes with it.

    Args:
        picture: a tensor (3, H, W) or (1, 3, H, W), or an array (H, W, 3) or (1, H, W, 3) as NumPy and OpenCV lay them;
            uint8 of 0 to 255, or floats of 0 to 1.
        field: what messages call it.

    Returns:
        Floats (1, 3, H, W) in [0, 1].

    Raises:
        InputError: another layout, another kind of numbers, NaN, floats outside of 0 to 1, or fewer than 16 pixels on a
            side.
    """
    if isinstance(picture, np.ndarray):
        _check_dtype(picture, field)
        pixels = torch.from_numpy(np.array(_laid_out(picture, field, "an array", channel=-1))).movedim(-1, -3)
    elif isinstance(picture, Tensor):
        pixels = _laid_out(picture, field, "a tensor", channel=-3)
    else:
        raise InputError(f"{field} is {a_kind(picture)}: give a PIL image, a tensor or an array.")
    if pixels.dtype == torch.uint8:
        pixels = pixels.float() / 255
    elif not pixels.is_floating_point():
        raise _wrong_dtype(picture, field)
    else:
        pixels = _in_range(pixels, field)
    _check_side(pixels.shape[-1], pixels.shape[-2], field)
    return pixels if pixels.ndim == 4 else pixels[None]


def check_settings(
    num_frames: Any,
    num_inference_steps: Any,
    guidance_scale: Any,
    guidance_rescale: Any,
    eta: Any,
    scalar: Any,
    seed: Any,
) -> None:
    """Refuse numbers of a call that nothing can come of; None is left to the model.

    Raises:
        InputError: the first one.
    """
    check_whole("num_frames", num_frames, 1)
    check_whole("num_inference_steps", num_inference_steps, 1)
    check_whole("seed", seed, 0, MAX_SEED)
    check_number("guidance_scale", guidance_scale)
    check_number("guidance_rescale", guidance_rescale, 0, 1)
    check_number("eta", eta, 0, 1)
    check_number("scalar", scalar)


def check_objects(generator: Any, callback: Any) -> None:
    """Refuse a generator or a callback of a call that is none.

    Raises:
        InputError: which one.
    """
    if generator is not None and not isinstance(generator, torch.Generator):
        raise InputError(f"generator is {a_kind(generator)}: give a torch.Generator, or a whole number as seed.")
    if callback is not None and not callable(callback):
        raise InputError(f"callback_on_step_end is {a_kind(callback)}: give a function, or leave it out.")


def check_large_enough(picture: Image.Image, field: str) -> None:
    """Refuse a picture that shows nothing, as files of that size are.

    Raises:
        InputError: it is smaller than 16 pixels.
    """
    _check_side(*picture.size, field)


def _check_side(width: int, height: int, field: str) -> None:
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{field} is {width}x{height} pixels: give a picture of at least {MIN_SIDE} on each side.")


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
        turn = f"{field}.permute({axes})" if what == "a tensor" else f"{field}.transpose({axes})"
        remedy = f"{'its channels are last' if channel == -3 else 'its channels are first'}, give {turn}"
    raise InputError(f"{field} is {what} of shape {shape}, which is no picture {layout}: {remedy}.")


def _in_range(pixels: Tensor, field: str) -> Tensor:
    """Floats of 0 to 1, to the last bit: below 0, diffusers takes a whole picture for one of -1 to 1."""
    low, high = (float(edge) for edge in pixels.detach().float().aminmax())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{field} holds NaN or infinite values: give numbers of 0 to 1.")
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise InputError(f"{field} holds {_out_of_range(low, high, field)}.")
    return pixels.clamp(0, 1)


def _out_of_range(low: float, high: float, field: str) -> str:
    """What floats of ``low`` to ``high`` seem to be, and how they become those of 0 to 1."""
    if low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
        return f"floats of {low:g} to {high:g}, a little outside of 0 to 1: give {field}.clip(0, 1)"
    if low >= -1 - _OVERSHOOT and high <= 1 + _OVERSHOOT:
        return f"floats down to {low:g}: give floats of 0 to 1, as {field} / 2 + 0.5 is"
    if high > _SURELY_BYTES and low >= -_OVERSHOOT * high:
        return f"floats up to {high:g}: divide by 255, or give uint8 of 0 to 255"
    return f"floats of {low:g} to {high:g}: give floats of 0 to 1"


def _check_dtype(picture: np.ndarray, field: str) -> None:
    if picture.dtype != np.uint8 and picture.dtype.kind != "f":
        raise _wrong_dtype(picture, field)
    if not picture.dtype.isnative or picture.dtype.itemsize > 8:
        raise InputError(f"{field} is of dtype {picture.dtype.str}, which torch has not: give {field}.astype('f4').")


def _wrong_dtype(picture: Tensor | np.ndarray, field: str) -> InputError:
    name = str(picture.dtype).removeprefix("torch.")
    return InputError(f"{field} is of dtype {name}: give uint8 of 0 to 255, or floats of 0 to 1.")
