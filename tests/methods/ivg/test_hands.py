"""The hand structure loss in training: where hands are sought, at which noise, and its gradient to the latents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from PIL import Image, ImageSequence

from showme.backbones.paths import DiscretePath
from showme.errors import InputError
from showme.methods.ivg.config import HandLossConfig
from showme.methods.ivg.hands import HandTerm
from showme.methods.step import Step
from showme.perception import hand_landmarks
from showme.perception.hands import TorchHands


@pytest.fixture(scope="module")
def landmarks(real_data):
    return hand_landmarks(f"torch:{real_data / 'weights' / 'mediapipe' / 'hand_landmarker.task'}")


def _step(latents: torch.Tensor, level: int) -> Step:
    """A step whose prediction is right: what it predicts is ``latents``."""
    path = DiscretePath(DDIMScheduler(beta_schedule="scaled_linear"))
    noise, levels = torch.randn_like(latents), torch.full((len(latents),), level)
    noisy = path.noised(latents, noise, levels)
    return Step(path, noisy, noise, noise, levels)


def _pixels_as_latents(latents: torch.Tensor) -> torch.Tensor:
    """A codec that leaves everything as it is."""
    return latents.transpose(1, 2)


@pytest.fixture(scope="module")
def cook(real_data, landmarks) -> tuple[torch.Tensor, torch.Tensor]:
    """Four frames (1, 3, 4, H, W) of a cook's hands, and their joints (1, 4, 2, 21, 2)."""
    (path,) = (Path(real_data) / "mixkit").glob("*loaf*.gif")
    with Image.open(path) as clip:
        frames = np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(clip)])[:16:4]
    hands = TorchHands.from_file(Path(real_data) / "weights" / "mediapipe" / "hand_landmarker.task")(frames)
    joints = np.full((4, 2, 21, 2), np.nan, np.float32)
    for time, of_frame in enumerate(hands):
        for slot, hand in enumerate(of_frame):
            joints[time, slot] = hand.joints[:, :2]
    return torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 255, torch.from_numpy(joints)[None]


def test_true_frames_cost_little_and_blurred_ones_much(cook, landmarks):
    pixels, joints = cook
    term, slots = HandTerm(landmarks, HandLossConfig(estimator="torch")), torch.arange(4)[None]
    batch = {"hand_slots": slots, "joints": joints}
    true = float(term(_step(pixels, 100), _pixels_as_latents, batch))
    blurred = torch.nn.functional.avg_pool2d(pixels[0].transpose(0, 1), 31, 1, 15).transpose(0, 1)[None]
    moved = pixels.roll(12, -1)
    assert 0 < true < 2e-4
    assert float(term(_step(blurred, 100), _pixels_as_latents, batch)) > 5 * true
    assert float(term(_step(moved, 100), _pixels_as_latents, batch)) > 3 * true
    # alpha
    strong = HandTerm(landmarks, HandLossConfig(estimator="torch", weight=1000))
    assert float(strong(_step(pixels, 100), _pixels_as_latents, batch)) == pytest.approx(1000 * true, rel=1e-3)


def test_at_high_noise_and_without_hands_it_is_nothing(cook, landmarks):
    pixels, joints = cook
    term = HandTerm(landmarks, HandLossConfig(estimator="torch"))
    batch = {"hand_slots": torch.arange(4)[None], "joints": joints}
    assert float(term(_step(pixels, 900), _pixels_as_latents, batch)) == 0
    batch["joints"] = torch.full_like(joints, torch.nan)
    assert float(term(_step(pixels, 100), _pixels_as_latents, batch)) == 0


def test_the_gradient_through_codec_and_hands_agrees_with_finite_differences(cook, landmarks):
    torch.manual_seed(0)
    codec = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1, latent_channels=4,
    ).double()  # fmt: skip
    pixels, joints = cook
    latents = codec.encode(pixels[0, :, :1].transpose(0, 1).double()).latent_dist.mode()[None].transpose(1, 2)
    latents = latents.detach() + 0.3 * torch.randn_like(latents)
    batch = {"hand_slots": torch.zeros(1, 1, dtype=torch.long), "joints": joints[:, :1].double()}

    def decode(z: torch.Tensor) -> torch.Tensor:
        return (codec.decode(z.transpose(1, 2).flatten(0, 1)).sample / 4 + 0.5)[None]

    def loss(z: torch.Tensor) -> torch.Tensor:
        return term(_clean_step(z), decode, batch)

    term = HandTerm(landmarks.double(), HandLossConfig(estimator="torch"))
    try:
        z = latents.clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss(z), z)
        assert slope.abs().sum() > 0
        along = torch.randn(z.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        # In double precision; a larger step crosses kinks of the networks.
        step = 1e-8
        with torch.no_grad():
            numeric = (loss(latents + step * along) - loss(latents - step * along)) / (2 * step)
        assert float((slope * along).sum()) == pytest.approx(float(numeric), rel=1e-3)
    finally:
        landmarks.float()


def _clean_step(latents: torch.Tensor) -> Step:
    class Clean(Step):
        def clean(self, rows: torch.Tensor) -> torch.Tensor:
            return latents[rows]

    step = _step(latents.detach(), 100)
    return Clean(step.path, step.noisy, step.prediction, step.target, step.level)


def test_networks_without_a_gradient_are_refused():
    with pytest.raises(InputError, match=r"hands with a gradient named 'mediapipe:x.task': choose torch"):
        hand_landmarks("mediapipe:x.task")
