"""How well ViCLIP (InternVid, arXiv 2307.06942) finds clips to match the instruction."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..networks.viclip import ViCLIP
from .base import ClipMetric, Pairs, TextReader


class ViClipToText(ClipMetric):
    """Cosine of the generated clip, of which 8 frames are taken evenly, with the instruction, -1 to 1.

    An instruction that is longer than ViCLIP reads is an ``InputError``, unless the eye's ``truncate`` is set.

    Args:
        eye: ViCLIP; ShowMe reports L/14 on SSv2.
    """

    better = "higher"

    def __init__(self, eye: ViCLIP, **kwargs: Any):
        super().__init__(**kwargs)
        self.eye = eye

    @property
    def made_of(self) -> dict[str, Any]:
        return {"viclip": self.eye.made_of}

    @property
    def text_reader(self) -> TextReader:
        return self.eye

    def score(self, pairs: Pairs) -> Tensor:
        texts = self.eye.texts(pairs.instructions).double()
        return (self.eye.videos(pairs.generated).double() * texts).sum(-1)
