"""Fréchet inception distance over all frames of all clips (Heusel et al., arXiv 1706.08500)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..networks.inception import RESIZINGS, Resizing
from .frechet import Covariance, FeatureNetwork, FrechetDistance

# Frames that are resized and looked at together: bounds the memory.
_TOGETHER = 16


class FrechetInceptionDistance(FrechetDistance):
    """FID, in float64; every frame is a sample.

    Args:
        network: :func:`..networks.inception.load_inception`'s, or another that takes (N, 3, 299, 299) in [-1, 1].
        resizing: whose way of bringing frames to 299x299: ``torchmetrics`` (from 1.8 on), ``torch-fidelity`` (also
            TensorFlow's first FID, and torchmetrics before 1.8), ``clean`` (clean-fid) or ``pytorch-fid``.
        covariance: ``unbiased`` in all four.
    """

    def __init__(self, network: FeatureNetwork, resizing: Resizing, covariance: Covariance = "unbiased", **kwargs: Any):
        super().__init__(network, covariance, **kwargs)
        if resizing not in RESIZINGS:
            raise ValueError(f"resizing is one of {', '.join(RESIZINGS)}, not {resizing!r}.")
        self.resizing = resizing

    @torch.no_grad()
    def features(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W), RGB in [0, 1] -> features (B, T, D).

        Values are rounded to 8 bits first, which files hold and the references read.

        Raises:
            ValueError: another shape, or whole numbers.
        """
        if clips.ndim != 5 or clips.shape[2] != 3 or 0 in clips.shape or not clips.is_floating_point():
            raise ValueError(f"clips are floating-point (B, T, 3, H, W), not {clips.dtype} {tuple(clips.shape)}.")
        resize = RESIZINGS[self.resizing]
        parts = clips.flatten(0, 1).split(_TOGETHER)
        features = [self.network(resize((part * 255).round().clamp(0, 255))) for part in parts]
        return torch.cat(features).unflatten(0, clips.shape[:2])

    @property
    def fingerprint(self) -> dict[str, Any]:
        """As in :class:`.base.SetMetric`."""
        return {
            "network": self.network.fingerprint,
            "resizing": self.resizing,
            "covariance": self.covariance,
            "dtype": "float64",
        }
