"""Noise schedules and samplers of the published models, as diffusers schedulers.

DynamiCrafter-256 is reproduced by :class:`diffusers.DDIMScheduler` as it is. The 512 and 1024 models scale the clean
latent by a factor that falls with the timestep ("dynamic rescale"), which diffusers does not know:
:class:`DynamicRescaleDDIMScheduler` adds that one factor.
"""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_ddim import DDIMSchedulerOutput
from torch import Tensor

_RAMP_STEPS = 400


class DynamicRescaleDDIMScheduler(DDIMScheduler, SchedulerMixin):
    """DDIM over latents whose clean part is scaled: z_t = sqrt(abar_t) s_t z_0 + sqrt(1 - abar_t) eps.

    s_t falls linearly from 1 to ``rescale_base`` over the first 400 timesteps and stays there (DynamiCrafter: 0.7 at
    512, 0.3 at 1024). A sampling step therefore multiplies the predicted s_t z_0 by s_prev / s_t.

    Args:
        rescale_base: value of s_t from timestep 400 on, in (0, 1].
        kwargs: as for :class:`diffusers.DDIMScheduler`.
    """

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        beta_schedule: str = "scaled_linear",
        trained_betas=None,
        clip_sample: bool = False,
        set_alpha_to_one: bool = False,
        steps_offset: int = 1,
        prediction_type: str = "v_prediction",
        thresholding: bool = False,
        dynamic_thresholding_ratio: float = 0.995,
        clip_sample_range: float = 1.0,
        sample_max_value: float = 1.0,
        timestep_spacing: str = "trailing",
        rescale_betas_zero_snr: bool = True,
        rescale_base: float = 0.7,
    ):
        settings = {k: v for k, v in self.config.items() if k != "rescale_base" and not k.startswith("_")}
        super().__init__(**settings)
        ramp = torch.linspace(1.0, rescale_base, _RAMP_STEPS)
        flat = torch.full((max(num_train_timesteps - _RAMP_STEPS, 0),), rescale_base)
        self.rescale = torch.cat([ramp, flat])[:num_train_timesteps]

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """z_t for clean latents (B, ...), noise like them and timesteps (B,)."""
        return super().add_noise(self._scaled(original_samples, timesteps), noise, timesteps)

    def get_velocity(self, sample: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """v = sqrt(abar_t) eps - sqrt(1 - abar_t) s_t z_0."""
        return super().get_velocity(self._scaled(sample, timesteps), noise, timesteps)

    def _scaled(self, sample: Tensor, timesteps: Tensor) -> Tensor:
        scale = self.rescale.to(sample.device, sample.dtype)[timesteps]
        return sample * scale.reshape(-1, *[1] * (sample.ndim - 1))

    def step(
        self,
        model_output: Tensor,
        timestep: int,
        sample: Tensor,
        eta: float = 0.0,
        use_clipped_model_output: bool = False,
        generator=None,
        variance_noise: Tensor | None = None,
        return_dict: bool = True,
    ):
        """One step of DDIM (arXiv 2010.02502, equation 12) with the clean part moved from s_t to s_prev."""
        stepped = super().step(
            model_output, timestep, sample, eta, use_clipped_model_output, generator, variance_noise, return_dict=True
        )
        previous = int(timestep) - self.config.num_train_timesteps // self.num_inference_steps
        abar = self.alphas_cumprod[previous] if previous >= 0 else self.final_alpha_cumprod
        # The last step has no predecessor in the schedule: its factor is kept.
        factor = self.rescale[max(previous, int(self.timesteps.min()))] / self.rescale[int(timestep)]
        x0 = stepped.pred_original_sample
        x_prev = stepped.prev_sample + abar.sqrt() * (factor - 1) * x0
        if not return_dict:
            return x_prev, x0 * factor
        return DDIMSchedulerOutput(prev_sample=x_prev, pred_original_sample=x0 * factor)
