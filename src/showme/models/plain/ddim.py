"""DDIM (arXiv 2010.02502) over evenly spaced timesteps that end at the last one, as diffusers' class of that name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


class DDIMScheduler:
    """Steps from noise to a clean latent.

    Args:
        config: what diffusers writes for a ``DDIMScheduler`` with ``trailing`` timesteps, a ``scaled_linear`` schedule,
            prediction of v or of the noise, and nothing clipped.
    """

    init_noise_sigma = 1.0

    def __init__(self, config: Mapping[str, Any]):
        self.count, self.predicts = config["num_train_timesteps"], config["prediction_type"]
        start, end = config["beta_start"] ** 0.5, config["beta_end"] ** 0.5
        betas = torch.linspace(start, end, self.count, dtype=torch.float32) ** 2
        if config["rescale_betas_zero_snr"]:
            betas = _zero_terminal_snr(betas)
        self.abar = torch.cumprod(1.0 - betas, dim=0)
        self.final_abar = torch.tensor(1.0) if config["set_alpha_to_one"] else self.abar[0]
        self.stride = 1
        self.timesteps = torch.arange(self.count).flip(0)

    def set_timesteps(self, steps: int, device: torch.device) -> None:
        """Choose ``steps`` timesteps from the last one down, on ``device``.

        Raises:
            ValueError: more steps than the model has timesteps.
        """
        if steps > self.count:
            raise ValueError(f"num_inference_steps {steps}: the model has {self.count} timesteps.")
        self.stride = self.count // steps
        spaced = np.round(np.arange(self.count, 0, -(self.count / steps))).astype(np.int64) - 1
        self.timesteps = torch.from_numpy(spaced).to(device)

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        """DDIM shows the network its latents as they are."""
        return sample

    def step(
        self, prediction: Tensor, timestep: Tensor, sample: Tensor, eta: float = 0.0, generator=None
    ) -> tuple[Tensor]:
        """x_t (B, ...) and the network's answer to it -> x of the timestep before (equation 12).

        Args:
            prediction: v or the noise, like ``sample``.
            timestep: t, of those chosen.
            sample: x_t.
            eta: share of DDPM's noise, 0 to 1.
            generator: that noise is drawn from; None: the global one.
        """
        previous = timestep - self.stride
        abar = self.abar[timestep]
        abar_before = self.abar[previous] if previous >= 0 else self.final_abar
        b = 1 - abar
        if self.predicts == "v_prediction":
            clean = (abar**0.5) * sample - (b**0.5) * prediction
            noise = (abar**0.5) * prediction + (b**0.5) * sample
        else:
            clean, noise = (sample - b**0.5 * prediction) / abar**0.5, prediction
        sigma = eta * ((1 - abar_before) / b * (1 - abar / abar_before)) ** 0.5
        before = abar_before**0.5 * clean + (1 - abar_before - sigma**2) ** 0.5 * noise
        if eta > 0:
            drawn = torch.randn(prediction.shape, generator=generator, dtype=prediction.dtype)
            before = before + sigma * drawn.to(prediction.device)
        return (before,)


def _zero_terminal_snr(betas: Tensor) -> Tensor:
    """The schedule whose last timestep holds noise alone (arXiv 2305.08891, algorithm 1)."""
    root = torch.cumprod(1.0 - betas, dim=0).sqrt()
    first, last = root[0].clone(), root[-1].clone()
    abar = ((root - last) * (first / (first - last))) ** 2
    return 1 - torch.cat([abar[:1], abar[1:] / abar[:-1]])
