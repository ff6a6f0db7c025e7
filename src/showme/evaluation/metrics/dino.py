"""How alike DINOv2 (arXiv 2304.07193) finds frames."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...perception.similarity import DinoSimilarity
from .base import ClipMetric, Pairs
from .estimators import bytes_of


class DinoToTruth(ClipMetric):
    """Cosine of DINOv2's class tokens of each generated frame and the true frame of the same time ("DINO-I"), -1 to 1.

    A clip's value is the mean over its frames. Frames are rounded to 8 bits before the network's own processor resizes
    and crops them.

    Args:
        encoder: DINOv2; ShowMe reports ViT-S/14.
    """

    better = "higher"

    def __init__(self, encoder: DinoSimilarity, **kwargs: Any):
        super().__init__(**kwargs)
        self.encoder = encoder

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"dino": self.encoder.fingerprint}

    def score(self, pairs: Pairs) -> Tensor:
        clips = zip(pairs.generated, pairs.reference, strict=True)
        return torch.stack([(self._features(a) * self._features(b)).sum(-1).mean() for a, b in clips])

    def _features(self, clip: Tensor) -> Tensor:
        return F.normalize(self.encoder.pictures(bytes_of(clip)).double(), dim=-1)
