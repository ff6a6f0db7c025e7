"""Whether the picture of the result and the video of the action end alike."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import ClipMetric, Pairs
from .psnr import BOUND_DB


class PictureVideoAgreement(ClipMetric):
    """PSNR of the video's last frame against the picture of the result that was generated beside it, 100 dB at most.

    10 log10(255^2 / mean squared error) over pixels and channels in the 256 levels that files hold, in
    float64. It says whether a model's two answers are consistent, not whether either is right. NaN for all clips where
    no pictures were generated.
    """

    better = "higher"
    unit = "dB"

    def score(self, pairs: Pairs) -> Tensor:
        if pairs.pictures is None:
            return torch.full((len(pairs.generated),), float("nan"), dtype=torch.float64)
        if pairs.pictures.shape != pairs.generated[:, -1].shape:
            raise ValueError(
                f"pictures {tuple(pairs.pictures.shape)} beside frames {tuple(pairs.generated[:, -1].shape)}"
            )
        frames, pictures = ((255 * each.double()).round() for each in (pairs.generated[:, -1], pairs.pictures))
        error = (frames - pictures).square().flatten(1).mean(1)
        return (10 * (255**2 / error).log10()).clamp(max=BOUND_DB)
