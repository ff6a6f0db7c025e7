"""How well BLIP (arXiv 2201.12086) finds frames to match the instruction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.blip import BlipCaptioner, BlipMatching
from .base import ClipMetric, Pairs, TextReader
from .estimators import bytes_of


class TextEncoder(TextReader, Protocol):
    """What turns sentences into features that compare, such as ``ClipSimilarity`` or EgoVLP's text tower."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """All that decides the features, as JSON."""

    def texts(self, sentences: list[str], /) -> Tensor:
        """M sentences -> (M, D) of length 1."""


class BlipImageText(ClipMetric):
    """BLIP's judgement of each generated frame with the instruction; the mean over frames.

    Frames are rounded to 8 bits and resized to the network's square without a crop.

    Args:
        matcher: BLIP.
        kind: ``matching``: the probability that the matching head gives, 0 to 1 ("BLIP-ITM"). ``cosine``: of the two
            unimodal features, -1 to 1 ("BLIP-ITC").
    """

    better = "higher"

    def __init__(self, matcher: BlipMatching, kind: Literal["matching", "cosine"] = "matching", **kwargs: Any):
        super().__init__(**kwargs)
        self.matcher, self.kind = matcher, kind

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"blip": self.matcher.fingerprint, "kind": self.kind}

    @property
    def text_reader(self) -> TextReader:
        return self.matcher

    def score(self, pairs: Pairs) -> Tensor:
        """(B,).

        Raises:
            InputError: an instruction is longer than the matcher takes.
        """
        judge = self.matcher.matching if self.kind == "matching" else self.matcher.cosines
        clips = zip(pairs.generated, pairs.instructions, strict=True)
        return torch.stack([judge(bytes_of(clip), instruction).double().mean() for clip, instruction in clips])


class BlipCaption(ClipMetric):
    """Cosine of BLIP's caption of each generated frame with the instruction, as features of text; the mean over frames.

    LEGO's BLIP-B and BLIP-L: the features are those of EgoVLP's text tower, and what stands in the instruction's place
    is the long description that its language model wrote.

    Args:
        captioner: BLIP, base or large.
        encoder: of texts.
    """

    better = "higher"

    def __init__(self, captioner: BlipCaptioner, encoder: TextEncoder, **kwargs: Any):
        super().__init__(**kwargs)
        self.captioner, self.encoder = captioner, encoder

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"blip": self.captioner.fingerprint, "text": self.encoder.fingerprint}

    @property
    def text_reader(self) -> TextReader:
        return self.encoder

    def score(self, pairs: Pairs) -> Tensor:
        """(B,), -1 to 1.

        Raises:
            InputError: an instruction is longer than the encoder takes.
        """
        clips = zip(pairs.generated, pairs.instructions, strict=True)
        return torch.stack([self._clip(clip, instruction) for clip, instruction in clips])

    def _clip(self, clip: Tensor, instruction: str) -> Tensor:
        captions = self.captioner.captions(bytes_of(clip))
        cosines = self._features(captions) @ self._features([instruction])[0]
        return cosines.mean()

    def _features(self, texts: Sequence[str]) -> Tensor:
        return F.normalize(self.encoder.texts(list(texts)).double(), dim=-1)
