"""How alike EgoVLP (arXiv 2206.01670) finds clips, and clips and instructions.

Values are cosines, -1 to 1; LEGO's tables (arXiv 2312.03849) show them times 100.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...errors import InputError
from ..networks.egovlp import EgoVLP
from .base import ClipMetric, Pairs, TextReader


class _EgoVlpCosine(ClipMetric):
    """A cosine of EgoVLP's features.

    Args:
        encoder: EgoVLP, of 4 frames for Ego4D and 16 for EPIC-KITCHENS-100. It takes its frames evenly spaced.
    """

    better = "higher"

    def __init__(self, encoder: EgoVLP, **kwargs: Any):
        super().__init__(**kwargs)
        self.encoder = encoder

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"egovlp": self.encoder.fingerprint}

    def _cosines(self, generated: Tensor, reference: Tensor) -> Tensor:
        """(B,) float64, of clips (B, T, 3, H, W)."""
        return (self.encoder.videos(generated).double() * self.encoder.videos(reference).double()).sum(-1)


class EgoVlpToTruth(_EgoVlpCosine):
    """Cosine of the generated clip with the true one ("EgoVLP"). A single picture is repeated (LEGO)."""

    def score(self, pairs: Pairs) -> Tensor:
        return self._cosines(pairs.generated, pairs.reference)


class EgoVlpPlus(_EgoVlpCosine):
    """EgoVLP with the start beside the result ("EgoVLP+", LEGO).

    Both clips begin with the true first frame, for half of the frames; for the other half stands what is compared, the
    last frame of each: 2 + 2 frames for Ego4D, 8 + 8 for EPIC-KITCHENS-100. Values are higher than EgoVLP's, as half
    of what is compared is the same.
    """

    def score(self, pairs: Pairs) -> Tensor:
        """(B,).

        Raises:
            InputError: the true first frames are not known.
        """
        first = pairs.first
        if first is None:
            raise InputError(
                f"EgoVLP+ needs the first frame of the true clip {pairs.ids[0]!r}, which is not among what is "
                "compared: leave it out, or give clips with their first frames."
            )
        half = self.encoder.frames // 2
        sides = [
            torch.cat([_repeated(first, half), _repeated(clips[:, -1], self.encoder.frames - half)], dim=1)
            for clips in (pairs.generated, pairs.reference)
        ]
        return self._cosines(*sides)


class EgoVlpToText(_EgoVlpCosine):
    """Cosine of the generated clip with the instruction (ShowMe).

    An instruction that is longer than EgoVLP reads is an ``InputError``, unless the encoder's ``truncate`` is set.
    """

    @property
    def text_reader(self) -> TextReader:
        return self.encoder

    def score(self, pairs: Pairs) -> Tensor:
        texts = self.encoder.texts(pairs.instructions).double()
        return (self.encoder.videos(pairs.generated).double() * texts).sum(-1)


def _repeated(pictures: Tensor, count: int) -> Tensor:
    """(B, 3, H, W) -> (B, count, 3, H, W)."""
    return pictures[:, None].expand(-1, count, -1, -1, -1)
