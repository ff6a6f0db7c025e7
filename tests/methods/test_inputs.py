"""Pictures as arrays: read for what they are, or refused with the sentence that mends them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from showme.errors import InputError
from showme.methods.inputs import as_pixels
from tests.conftest import make_tiny_pipeline

BYTES = np.random.default_rng(0).integers(0, 256, (32, 24, 3), dtype=np.uint8)
TENSOR = torch.from_numpy(BYTES).permute(2, 0, 1)


@pytest.mark.parametrize(
    "given",
    [TENSOR, TENSOR[None], TENSOR / 255, (TENSOR / 255).double()[None], BYTES, BYTES[None], BYTES / 255],
    ids=["bytes", "batch", "floats", "doubles", "array", "array batch", "float array"],
)
def test_bytes_are_0_to_255_and_floats_0_to_1(given):
    pixels = as_pixels(given, "image")
    assert pixels.shape == (1, 3, 32, 24)
    assert torch.allclose(pixels.float(), TENSOR[None] / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (TENSOR.float(), r"goal holds floats up to 255: divide by 255"),
        (TENSOR / 127.5 - 1, r"goal holds floats down to -1: give floats of 0 to 1, as goal / 2 \+ 0.5 is"),
        (torch.full((1, 3, 8, 8), float("nan")), "goal holds NaN"),
        (torch.full((3, 8, 8), float("inf")), "goal holds NaN or infinite"),
        (TENSOR.permute(1, 2, 0), r"its channels are last, give goal.permute\(2, 0, 1\)"),
        (TENSOR.permute(1, 2, 0)[None], r"give goal.permute\(0, 3, 1, 2\)"),
        (BYTES.transpose(2, 0, 1), r"its channels are first, give goal.transpose\(1, 2, 0\)"),
        (torch.zeros(2, 3, 8, 8), r"shape \(2, 3, 8, 8\), which is no picture \(1, 3, H, W\): give one of"),
        (torch.zeros(1, 4, 8, 8), "give one of"),
        (torch.zeros(3, 0, 8), "give one of"),
        (TENSOR.long(), "goal is of dtype int64: give uint8 of 0 to 255"),
        ((BYTES / 255).astype(">f4"), r"goal is of dtype >f4, which torch has not: give goal.astype\('f4'\)"),
        (BYTES.astype(np.longdouble) / 255, r"which torch has not: give goal.astype\('f4'\)"),
        (torch.zeros(3, 3, 3), "goal is 3x3 pixels: give a picture of at least 16"),
        (np.zeros((40, 8, 3), np.uint8), "goal is 8x40 pixels: give a picture of at least 16"),
        (TENSOR / 255 * 1.1 - 0.05, r"floats of -0.05 to 1.05, a little outside of 0 to 1: give goal.clip\(0, 1\)"),
        (BYTES / 255 * 1.04, r"a little outside of 0 to 1: give goal.clip\(0, 1\)"),
        (TENSOR / 255 * 4.7 - 2.1, r"floats of -2.1 to 2.6: give floats of 0 to 1\."),
        ("photo.png", "goal is a str: give a PIL image"),
    ],
)
def test_what_would_be_garbled_is_refused(given, sentence):
    with pytest.raises(InputError, match=sentence):
        as_pixels(given, "goal")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_what_rounding_left_outside_is_cut_off_and_nothing_else_is_touched(dtype):
    floats = (TENSOR / 255).to(dtype)
    floats[:, :4], floats[:, 4:8] = -0.0005, 1.0005
    pixels = as_pixels(floats, "image")
    assert pixels.min() == 0
    assert pixels.max() == 1
    assert torch.equal(pixels[0, :, 8:], floats[:, 8:])
    assert float(floats.min()) < 0


def test_a_tiny_negative_is_no_picture_of_minus_1_to_1():
    pipeline = make_tiny_pipeline()
    picture = np.tile(BYTES[:16].astype(np.float32) / 255, (2, 2, 1))[:, :32]
    lower = picture.copy()
    lower[0, 0], picture[0, 0] = -1e-7, 0
    call = {"instruction": "push", "task": "image", "seed": 0, "output_type": "np", "num_inference_steps": 2}
    assert np.array_equal(pipeline(lower, **call).image, pipeline(picture, **call).image)


def test_the_remedies_are_right():
    channels_last = TENSOR.permute(1, 2, 0)[None]
    assert torch.equal(as_pixels(channels_last.permute(0, 3, 1, 2), "image"), as_pixels(TENSOR, "image"))
    signed = TENSOR / 127.5 - 1
    assert torch.allclose(as_pixels(signed / 2 + 0.5, "image"), as_pixels(TENSOR, "image"), atol=1e-6)


def test_the_pipeline_takes_bytes_as_the_picture_that_they_are():
    pipeline = make_tiny_pipeline()
    pipeline.register_to_config(goal_conditioning=True)
    square = BYTES[:24].repeat(2, 0)[:32].repeat(2, 1)[:, :32]
    tensor = torch.from_numpy(square.copy()).permute(2, 0, 1)
    call = {"instruction": "push", "task": "video", "seed": 0, "num_frames": 2, "output_type": "np"}
    truth = pipeline(Image.fromarray(square), goal=Image.fromarray(square), **call).frames
    assert np.allclose(pipeline(tensor, goal=tensor, **call).frames, truth, atol=1e-5)
    with pytest.raises(InputError, match="goal holds floats up to 254: divide"):
        pipeline(tensor, goal=tensor.float(), **call)
