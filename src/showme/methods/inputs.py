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
        _check_range(pixels, field)
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
    width, height = picture.size
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
