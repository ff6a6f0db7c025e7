"""How still the surroundings of the hands stay."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .base import ClipMetric, Pairs
from .estimators import HandEstimator, estimator_record
from .region_iou import region_of_hands


class BackgroundStability(ClipMetric):
    """Mean absolute difference from the clip's own first frame outside the true hands' region of motion, in levels.

    Over later frames, pixels and channels, in 8-bit levels: 0 for a clip that stands still, and ten times the drift is
    ten times the figure. (PSNR has no value where nothing moves, and its mean is ruled by the stillest clips.) The
    region is that of the true clip's hands (``showme.perception.region_of_motion``) and all that is nearer to it than a
    margin; what hands carry beyond the margin counts as background. The same metric ``of`` the true clips says what
    this, the camera and the codec cost.

    NaN for clips without a true hand, whose region nobody knows, for clips of one frame, and where the region covers
    the picture.

    Args:
        hands: the estimator, as ``showme.perception.hand_estimator``: uint8 (T, H, W, 3) -> each frame's hands.
        name: the estimator's, for the record.
        margin: width of the margin, as a share of the picture's short side.
        of: whose change is measured, ``generated`` or ``reference``.

    Raises:
        InputError: OpenCV is not installed.
    """

    better = "lower"
    unit = "levels"

    def __init__(
        self,
        hands: HandEstimator,
        name: str,
        margin: float = 1 / 16,
        of: Literal["generated", "reference"] = "generated",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.hands, self.name, self.margin, self.of = hands, name, margin, of

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"hands": estimator_record(self.name, self.hands), "margin": self.margin, "of": self.of}

    def score(self, pairs: Pairs) -> Tensor:
        clips = pairs.generated if self.of == "generated" else pairs.reference
        values = [self._of_clip(clip, true) for clip, true in zip(clips, pairs.reference, strict=True)]
        return torch.tensor(values, dtype=torch.float64)

    def _of_clip(self, clip: Tensor, true: Tensor) -> float:
        region = region_of_hands(true, self.hands)
        background = torch.from_numpy(~dilated(region, self.margin * min(region.shape))).to(clip.device)
        if not region.any() or not background.any() or len(clip) < 2:
            return float("nan")
        first = clip[0, :, background].double()
        # A frame at a time: the copies in float64 stay small.
        changes = [float((frame[:, background].double() - first).abs().mean()) for frame in clip[1:]]
        return 255 * float(np.mean(changes))


def dilated(mask: np.ndarray, margin: float) -> np.ndarray:
    """A bool mask (H, W) with all pixels that are at most ``margin`` pixels from one of its own, centre to centre."""
    if not mask.any():
        return mask
    # What made the mask needs OpenCV as well, and says so.
    import cv2

    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away <= margin)
