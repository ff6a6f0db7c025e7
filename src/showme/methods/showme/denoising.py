"""One denoising step of training: what went in, what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...losses.noise_prediction import noise_prediction_loss, prediction_target
from ...models import split_image_tokens


@dataclass(frozen=True)
class Denoised:
    """One denoising step: what went in, what came out.

    noisy, prediction, target: (B, C, T, h, w), target being the noise or v; timesteps (B,).
    """

    noisy: Tensor
    prediction: Tensor
    target: Tensor
    timesteps: Tensor

    @property
    def loss(self) -> Tensor:
        """L_diff = E || target - prediction ||^2."""
        return noise_prediction_loss(self.prediction, self.target)


def denoise(unet, projector, scheduler, batch: Mapping[str, Tensor], temporal: bool) -> Denoised:
    """Noise the batch's latents and let the network take the noise off.

    Args:
        unet, projector, scheduler: the model's.
        batch: collated samples: latents, concat, noise (B, C, T, h, w), timestep (B,), text (B, L, D), image
            (B, N, D), scalar (B,) or absent.
        temporal: whether the temporal half runs: stage 2.
    """
    latents, timesteps = batch["latents"], batch["timestep"]
    noisy = scheduler.add_noise(latents, batch["noise"], timesteps)
    tokens = split_image_tokens(projector(batch["image"]), latents.shape[2])
    sample = torch.cat([noisy, batch["concat"]], dim=1)
    prediction = unet(sample, timesteps, batch["text"], tokens, batch.get("scalar"), temporal=temporal)
    return Denoised(noisy, prediction, prediction_target(scheduler, latents, batch["noise"], timesteps), timesteps)
