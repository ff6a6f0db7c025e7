"""The denoising objective against its definition."""

from __future__ import annotations

import torch

from showme.losses.noise_prediction import noise_prediction_loss


def test_loss_is_a_mean_in_fp32():
    loss = noise_prediction_loss(torch.tensor([1.0, 3.0]).bfloat16(), torch.tensor([0.0, 0.0]).bfloat16())
    assert loss.dtype == torch.float32
    assert float(loss) == 5.0
