"""What metrics share about the estimators that they are given: how one is recorded, and that it looks once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from ...fingerprint import weights_digest
from ...perception.hands import Hand

# uint8 frames (T, H, W, 3), RGB -> the hands of each frame, as `showme.perception.hand_estimator` gives it.
HandEstimator = Callable[[np.ndarray], Sequence[Sequence[Hand]]]


class SharedHandEstimator(nn.Module):
    """A hand estimator that remembers the clips it saw last, so that several metrics share one look at each.

    Args:
        estimator: looks at what is not remembered.
        clips: how many are remembered: those of a batch, generated and true. Hands are kept, pixels are not.
    """

    def __init__(self, estimator: HandEstimator, clips: int = 128):
        super().__init__()
        self.estimator, self.clips = estimator, clips
        self._seen: OrderedDict[bytes, Sequence[Sequence[Hand]]] = OrderedDict()

    def forward(self, frames: np.ndarray) -> Sequence[Sequence[Hand]]:
        """uint8 (T, H, W, 3) -> each frame's hands, which nobody may change."""
        key = hashlib.sha256(repr(frames.shape).encode() + np.ascontiguousarray(frames).tobytes()).digest()
        if key not in self._seen:
            self._seen[key] = self.estimator(frames)
        self._seen.move_to_end(key)
        while len(self._seen) > self.clips:
            self._seen.popitem(last=False)
        return self._seen[key]


def estimator_record(name: str, estimator: Any) -> dict[str, Any]:
    """What a ``fingerprint`` says of an estimator: its name, and the digest of its weights where it has any."""
    weights = isinstance(estimator, nn.Module) and estimator.state_dict()
    return {"name": name, "weights": weights_digest(estimator)} if weights else {"name": name}


def bytes_of(clip: Tensor) -> np.ndarray:
    """A clip or a picture (..., 3, H, W) in [0, 1] -> uint8 (..., H, W, 3), rounded."""
    return (clip.detach().clamp(0, 1) * 255).round().byte().movedim(-3, -1).cpu().numpy()
