"""The denoising objective that all three methods share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def noise_prediction_loss(prediction: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
    """Mean squared error in fp32: ``E || target - prediction ||^2`` (ShowMe, section 3).

    Args:
        prediction, target: (B, C, T', h, w).
        where: (B, 1, T', 1, 1) in {0, 1}, of what counts; None: all does.
    """
    if where is None:
        return F.mse_loss(prediction.float(), target.float())
    error = (prediction.float() - target.float()).square() * where
    return error.sum() / where.expand_as(error).sum()
