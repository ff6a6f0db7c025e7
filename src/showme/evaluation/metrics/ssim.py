"""Structural similarity."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .base import ClipMetric, Pairs, check_side
from .psnr import mean_over_frames

_SETTINGS: dict[str, Any] = {"sigma": 1.5, "kernel_size": 11, "k1": 0.01, "k2": 0.03, "data_range": 1.0}
# Mirrored borders are half a window wide, and a picture must be larger.
_SMALLEST = 6


class StructuralSimilarity(ClipMetric):
    """SSIM (Wang et al., IEEE TIP 13(4), 2004, equation 13), -1 to 1, in float64.

    A Gaussian window of 11x11 pixels and sigma 1.5, K1 0.01, K2 0.03, values in [0, 1], borders mirrored; each colour
    channel for itself. The mean over channels and all pixels is a frame's value, the mean over frames the clip's.
    """

    better = "higher"

    @property
    def fingerprint(self) -> dict[str, Any]:
        return _SETTINGS | {"borders": "mirrored"}

    def score(self, pairs: Pairs) -> Tensor:
        """(B,), 1 for equal clips.

        Raises:
            InputError: frames under 6 pixels.
            ValueError: clips of two shapes, or values outside [0, 1].
        """
        check_side(pairs, _SMALLEST, "SSIM")
        return mean_over_frames(pairs, _frames)


def _frames(generated: Tensor, reference: Tensor) -> Tensor:
    # In float32 the variances of even areas, differences of nearly equal numbers, are lost.
    a, b = generated.double(), reference.double()
    mean_a, mean_b, square_a, square_b, product = _blurred(torch.stack([a, b, a * a, b * b, a * b]))
    variance_a, variance_b = (square_a - mean_a**2).clamp(min=0), (square_b - mean_b**2).clamp(min=0)
    covariance = product - mean_a * mean_b
    c1, c2 = _SETTINGS["k1"] ** 2, _SETTINGS["k2"] ** 2
    similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    similarity /= (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    return similarity.flatten(1).mean(1)


def _blurred(pictures: Tensor) -> Tensor:
    """(..., H, W) through the window, borders mirrored: down and across one after the other, a shifted sum each.

    On CPUs a convolution in float64 with the whole window takes twenty times as long.
    """
    half = _SETTINGS["kernel_size"] // 2
    steps = torch.arange(-half, half + 1, dtype=pictures.dtype, device=pictures.device)
    window = torch.exp(-(steps**2) / (2 * _SETTINGS["sigma"] ** 2))
    weights = (window / window.sum()).tolist()
    for axis in (-2, -1):
        size = pictures.shape[axis]
        padded = pictures.index_select(axis, _mirrored(size, half).to(pictures.device))
        total = weights[0] * padded.narrow(axis, 0, size)
        for place, weight in enumerate(weights[1:], 1):
            total.add_(padded.narrow(axis, place, size), alpha=weight)
        pictures = total
    return pictures


def _mirrored(size: int, half: int) -> Tensor:
    """Places of a row of ``size`` with ``half`` more on each side, mirrored at its first and last place."""
    return (size - 1) - ((size - 1) - torch.arange(-half, size + half).abs()).abs()
