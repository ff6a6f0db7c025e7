"""Preprocessing of FVD against OpenCV's and Pillow's resizing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from showme.evaluation.networks.video_preprocessing import PREPROCESSINGS, video_features

cv2 = pytest.importorskip("cv2", reason="the oracle needs OpenCV")

SHAPES = [(256, 256), (128, 160), (240, 320), (321, 243), (224, 224)]


def frames_of(height: int, width: int) -> Tensor:
    pixels = np.random.default_rng(height).integers(256, size=(3, 3, height, width), dtype=np.uint8)
    return torch.from_numpy(pixels).float() / 255


def bilinear(frame: Tensor, height: int, width: int) -> np.ndarray:
    return cv2.resize(frame.movedim(0, -1).numpy(), (width, height), interpolation=cv2.INTER_LINEAR)


def antialiased(frame: Tensor, height: int, width: int) -> np.ndarray:
    resized = [
        np.asarray(Image.fromarray(channel.numpy()).resize((width, height), Image.Resampling.BILINEAR))
        for channel in frame
    ]
    return np.stack(resized, axis=-1)


def middle(frame: Tensor, side: int, resize) -> np.ndarray:
    _, height, width = frame.shape
    scale = side / min(height, width)
    size = (side, math.ceil(width * scale)) if height < width else (math.ceil(height * scale), side)
    picture = resize(frame, *size)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    return picture[top : top + side, left : left + side]


@pytest.mark.parametrize("shape", SHAPES)
def test_videogpt_is_short_side_and_middle(shape):
    frames = frames_of(*shape)
    expected = np.stack([2 * middle(frame, 224, bilinear) - 1 for frame in frames])
    found = PREPROCESSINGS["videogpt"](frames).movedim(1, -1).numpy()
    assert found.shape == (3, 224, 224, 3)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_stylegan_v_is_the_whole_frame(shape):
    frames = frames_of(*shape)
    expected = np.stack([2 * bilinear(frame, 224, 224) - 1 for frame in frames])
    np.testing.assert_allclose(PREPROCESSINGS["stylegan-v"](frames).movedim(1, -1).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(300, 400), (480, 360)])
def test_cd_fvd_is_a_square_of_8_bits_first(shape):
    frames = frames_of(*shape)
    squares = np.stack([np.floor(255 * middle(frame, 256, antialiased)) / 255 for frame in frames])
    expected = [2 * cv2.resize(square, (224, 224), interpolation=cv2.INTER_LINEAR) - 1 for square in squares]
    found = PREPROCESSINGS["cd-fvd"](frames).movedim(1, -1).numpy()
    # A value that falls on a level's edge may go either way.
    difference = np.abs(found - np.stack(expected))
    assert difference.max() < 2.1 / 255
    assert np.mean(difference > 1e-4) < 0.01


def test_cd_fvd_of_its_own_size_is_stylegan_v():
    frames = frames_of(256, 256)
    torch.testing.assert_close(PREPROCESSINGS["cd-fvd"](frames), PREPROCESSINGS["stylegan-v"](frames), rtol=0, atol=0)


def test_clips_are_looked_at_a_few_at_a_time():
    seen = []

    def network(clips: Tensor) -> Tensor:
        seen.append(tuple(clips.shape[:2]))
        return clips.mean(dim=(2, 3, 4))[:, :2]

    clips = torch.rand(5, 40, 3, 32, 32)
    features = video_features(network, "videogpt", clips)
    assert seen == [(1, 40)] * 5
    torch.testing.assert_close(features[3:4], video_features(network, "videogpt", clips[3:4]))


@pytest.mark.parametrize("clips", [torch.zeros(1, 9, 3, 8, 8, dtype=torch.uint8), torch.zeros(1, 3, 9, 8, 8)])
def test_other_tensors_are_refused(clips):
    with pytest.raises(ValueError, match="clips are floating-point"):
        video_features(lambda pixels: pixels, "videogpt", clips)
