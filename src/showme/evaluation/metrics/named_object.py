"""Whether it is the named object of the tabletop world that a generated end moved, and none of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...worlds.tabletop import Scene
from ...worlds.tabletop.camera import camera_of
from ...worlds.tabletop.objects import EXTENTS, resting
from ...worlds.tabletop.vocabulary import PROPS
from .base import ClipMetric, Pairs
from .tabletop_object import ends_of

# A thing of which the hand leaves fewer pixels to see than this is not asked.
_LEAST_PIXELS = 9


class NamedObject(ClipMetric):
    """1 where, of the things on the table, the named one's place changed most between first and last frame, else 0.

    A thing's place is the box in the first frame that it was drawn in; what the hand covers in the true last frame is
    left out. Knife and cloth are tools, which no instruction names, and are not asked.

    Args:
        scenes: of each clip, by its id.
        hands: the hand in the true last frame, bool (128, 128), by the clip's id.

    Raises:
        InputError: an id without a scene or a hand, or frames that are not 128x128.
    """

    better = "higher"

    def __init__(self, scenes: Mapping[str, Scene], hands: Mapping[str, np.ndarray], **kwargs: Any):
        super().__init__(**kwargs)
        self.scenes, self.hands = scenes, hands

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"least_pixels": _LEAST_PIXELS}

    def score(self, pairs: Pairs) -> Tensor:
        values = []
        for name, first, last in ends_of(pairs, self.scenes, self.hands):
            scene = self.scenes[name]
            values.append(most_changed(first, last, scene, self.hands[name]) == scene.target)
        return torch.tensor(values, dtype=torch.float64)


def most_changed(first: np.ndarray, last: np.ndarray, scene: Scene, hand: np.ndarray) -> int | None:
    """The object of a scene whose place changed most; None where the hand hides them all.

    Args:
        first, last: uint8 (128, 128, 3).
        scene: whose objects are asked.
        hand: bool (128, 128), what is left out.
    """
    change = np.abs(last.astype(float) - first.astype(float)).mean(axis=-1)
    means: dict[int, float] = {}
    for index, spec in enumerate(scene.objects):
        box = _box(scene, index)
        seen = change[box][~hand[box]]
        if spec.shape not in PROPS and seen.size >= _LEAST_PIXELS:
            means[index] = float(seen.mean())
    return max(means, key=lambda index: means[index]) if means else None


def _box(scene: Scene, index: int) -> tuple[slice, slice]:
    """Rows and columns that an object was drawn in, in the first frame."""
    spec = scene.objects[index]
    half_x, half_y, height = EXTENTS[spec.shape]
    corners = [[a * half_x, b * half_y, c * height] for a in (-1, 1) for b in (-1, 1) for c in (0, 1)]
    pixels = camera_of(scene.look).project(resting(spec).pose.apply(np.array(corners)))
    low, high = pixels.min(axis=0).astype(int).clip(0), pixels.max(axis=0).astype(int) + 1
    return slice(low[1], high[1]), slice(low[0], high[0])
