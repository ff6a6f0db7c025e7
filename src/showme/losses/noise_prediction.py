"""The denoising objective that all three methods share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def prediction_target(scheduler, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """What the network should predict: eps, or v = sqrt(abar_t) eps - sqrt(1 - abar_t) z_0 (arXiv 2202.00512).

    Args:
        scheduler: a diffusers scheduler with ``prediction_type`` ``epsilon`` or ``v_prediction``.
        latents, noise: (B, ...), z_0 and eps.
        timesteps: (B,), whole numbers.

    Raises:
        ValueError: another prediction type.
    """
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        return scheduler.get_velocity(latents, noise, timesteps)
    raise ValueError(f"prediction_type {kind!r}: epsilon or v_prediction are supported.")


def noise_prediction_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error in fp32 over everything: ``E || target - prediction ||^2`` (ShowMe, section 3)."""
    return F.mse_loss(prediction.float(), target.float())
