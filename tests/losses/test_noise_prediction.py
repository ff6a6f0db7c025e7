"""The denoising objective against its definition."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler

from showme.losses.noise_prediction import noise_prediction_loss, prediction_target


def test_targets():
    z0, noise, t = torch.randn(2, 3), torch.randn(2, 3), torch.tensor([5, 700])
    eps = DDIMScheduler(prediction_type="epsilon")
    assert torch.equal(prediction_target(eps, z0, noise, t), noise)
    v = DDIMScheduler(prediction_type="v_prediction")
    abar = v.alphas_cumprod[t][:, None]
    torch.testing.assert_close(prediction_target(v, z0, noise, t), abar.sqrt() * noise - (1 - abar).sqrt() * z0)
    with pytest.raises(ValueError, match="sample"):
        prediction_target(DDIMScheduler(prediction_type="sample"), z0, noise, t)


def test_loss_is_a_mean_in_fp32():
    loss = noise_prediction_loss(torch.tensor([1.0, 3.0]).bfloat16(), torch.tensor([0.0, 0.0]).bfloat16())
    assert loss.dtype == torch.float32
    assert float(loss) == 5.0
