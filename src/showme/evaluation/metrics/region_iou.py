"""Whether the hands of a generated clip move where the true ones do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...perception.region_of_motion import hull_per_hand, region_of_motion
from .base import ClipMetric, Pairs
from .estimators import HandEstimator, bytes_of, estimator_record


class RegionOfMotionIou(ClipMetric):
    """Intersection over union of the regions of motion of the generated and the true clip.

    The region is IVG's (arXiv 2412.04189, section 3.1.1): the hulls of every hand's joints, united over all hands and
    frames. NaN where both are empty, 0 where one is.

    Args:
        hands: the estimator, as ``showme.perception.hand_estimator``: uint8 (T, H, W, 3) -> each frame's hands.
        name: the estimator's, for the record.

    Raises:
        InputError: OpenCV is not installed.
    """

    better = "higher"

    def __init__(self, hands: HandEstimator, name: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.hands, self.name = hands, name

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"hands": estimator_record(self.name, self.hands)}

    def score(self, pairs: Pairs) -> Tensor:
        regions = (
            (region_of_hands(clip, self.hands) for clip in clips) for clips in (pairs.generated, pairs.reference)
        )
        return torch.tensor([iou(ours, theirs) for ours, theirs in zip(*regions, strict=True)], dtype=torch.float64)


def region_of_hands(clip: Tensor, hands: HandEstimator) -> np.ndarray:
    """The region of motion, bool (H, W), of a clip (T, 3, H, W) in [0, 1].

    Raises:
        InputError: OpenCV is not installed.
    """
    joints: list[Sequence[np.ndarray]] = [[hand.joints for hand in frame] for frame in hands(bytes_of(clip))]
    height, width = clip.shape[-2:]
    return region_of_motion(hull_per_hand(joints, height, width))


def iou(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two bool masks; NaN where both are empty."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else float("nan")
