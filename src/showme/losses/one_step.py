"""The clean latent that one denoising step foretells: what the rewards look at."""

from __future__ import annotations

from torch import Tensor


def one_step_denoised(scheduler, noisy: Tensor, prediction: Tensor, timesteps: Tensor) -> Tensor:
    """z0_hat = (z_t - sqrt(1 - abar_t) eps) / sqrt(abar_t), or sqrt(abar_t) z_t - sqrt(1 - abar_t) v (ShowMe, 3.1).

    Args:
        scheduler: a diffusers scheduler with ``prediction_type`` ``epsilon`` or ``v_prediction``; the clean part of a
            :class:`showme.models.schedulers.DynamicRescaleDDIMScheduler` is divided by its factor s_t.
        noisy: z_t, (B, ...).
        prediction: the network's, like ``noisy``.
        timesteps: (B,), whole numbers.

    Raises:
        ValueError: another prediction type.
    """
    shape = (-1, *[1] * (noisy.ndim - 1))
    abar = scheduler.alphas_cumprod.to(noisy.device, noisy.dtype)[timesteps].reshape(shape)
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        clean = (noisy - (1 - abar).sqrt() * prediction) / abar.sqrt()
    elif kind == "v_prediction":
        clean = abar.sqrt() * noisy - (1 - abar).sqrt() * prediction
    else:
        raise ValueError(f"prediction_type {kind!r}: epsilon or v_prediction are supported.")
    factor = getattr(scheduler, "rescale", None)
    return clean if factor is None else clean / factor.to(noisy.device, noisy.dtype)[timesteps].reshape(shape)
