"""The denoising objective that all three methods share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def noise_prediction_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error in fp32 over everything: ``E || target - prediction ||^2`` (ShowMe, section 3)."""
    return F.mse_loss(prediction.float(), target.float())
