"""How well ViCLIP (InternVid, arXiv 2307.06942) finds clips to match the instruction."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..networks.viclip import ViCLIP
from .base import ClipMetric, Pairs, TextReader


class ViClipToText(ClipMetric):
    """Cosine of the generated clip, of which 8 frames are taken evenly, with the instruction, -1 to 1.

    An instruction that is longer than ViCLIP reads is an ``InputError``, unless the encoder's ``truncate`` is set.

    Args:
        encoder: ViCLIP; ShowMe reports L/14 on SSv2.
    """

    better = "higher"

    def __init__(self, encoder: ViCLIP, **kwargs: Any):
        super().__init__(**kwargs)
        self.encoder = encoder

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"viclip": self.encoder.fingerprint}

    @property
    def text_reader(self) -> TextReader:
        return self.encoder

    def score(self, pairs: Pairs) -> Tensor:
        texts = self.encoder.texts(pairs.instructions).double()
        return (self.encoder.videos(pairs.generated).double() * texts).sum(-1)
