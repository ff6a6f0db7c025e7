"""Regions of motion of true clips, for models that are judged by what they do with the right one."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from ..data.rows import ClipRows
from ..preparation.config import EstimatorsConfig
from ..preparation.labels import label_parts
from .pairs import ReferenceRows
from .rendered import is_rendered


class TrueRegions:
    """Number of a clip -> where its hands move, as a training with ``region: truth`` sees it.

    Args:
        reference: the true clips; the protocol says who finds the hands of those that were filmed.
    """

    def __init__(self, reference: ReferenceRows):
        protocol = reference.protocol
        hands = "rendered" if is_rendered(reference.records) else protocol.hands
        estimators = EstimatorsConfig(hands=hands, hand_confidence=protocol.hand_confidence)
        (self.part,) = label_parts(ClipRows(reference.records, reference.look), ["region"], estimators)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """All that decides them beside the clips."""
        return self.part.fingerprint

    def __call__(self, number: int) -> Image.Image | str:
        """A mask; ``white`` for a clip without hands, whose region nobody knows."""
        region = self.part.encode([number])["region"][0].numpy()
        return Image.fromarray(region.astype(np.uint8) * 255) if region.any() else "white"
