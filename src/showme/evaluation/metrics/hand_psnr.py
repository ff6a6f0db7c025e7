"""How right the pixels are where the true hands are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...perception.region_of_motion import hull_per_hand
from .base import ClipMetric, Pairs
from .estimators import HandEstimator, bytes_of, estimator_record
from .psnr import BOUND_DB


class HandPsnr(ClipMetric):
    """PSNR in dB of the pixels in the hulls of the true hands' joints, 8-bit values, the mean over frames with hands.

    IVG (arXiv 2412.04189) judges hands by their joints; a smear in their place can please a network, and costs here.
    A frame counts at most 100 dB. NaN for clips without a true hand in the picture.

    Args:
        hands: finds those of true clips: uint8 (T, H, W, 3) -> each frame's hands.
        name: the estimator's, for the record.

    Raises:
        InputError: OpenCV is not installed.
    """

    better = "higher"
    unit = "dB"

    def __init__(self, hands: HandEstimator, name: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.hands, self.name = hands, name

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"hands": estimator_record(self.name, self.hands), "bound": BOUND_DB}

    def score(self, pairs: Pairs) -> Tensor:
        values = [self._of_clip(*clips) for clips in zip(pairs.generated, pairs.reference, strict=True)]
        return torch.tensor(values, dtype=torch.float64)

    def _of_clip(self, generated: Tensor, true: Tensor) -> float:
        frames = bytes_of(true)
        joints: list[Sequence[np.ndarray]] = [[hand.joints for hand in frame] for frame in self.hands(frames)]
        inside = hull_per_hand(joints, *frames.shape[1:3])
        errors = np.square((bytes_of(generated).astype(np.float64) - frames) / 255).mean(-1)
        ratios = [
            min(-10 * np.log10(max(error[mask].mean(), 1e-30)), BOUND_DB)
            for error, mask in zip(errors, inside, strict=True)
            if mask.any()
        ]
        return float(np.mean(ratios)) if ratios else float("nan")
