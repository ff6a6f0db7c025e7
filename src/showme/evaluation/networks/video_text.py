"""What networks for videos and sentences have in common: features of both, which compare by their cosine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.sampling import evenly_spaced
from ...errors import InputError
from ...long_text import TruncationNotice
from .blip import vocabulary_digest


class VideoText(nn.Module, ABC):
    """A network for inference, whose features of clips and of sentences lie in one space.

    Args:
        network: both towers.
        tokenizer: of transformers.
        frames: that are looked at.
        longest: tokens that it reads.
        truncate: cut sentences that are longer, with one warning, instead of refusing them.

    Attributes:
        name: of the network.
        together: frames, and sentences, that go through the network at once, which bounds the memory. A clip is never
            divided.
        padding: whether the tokenizer brings sentences to one length.
    """

    name: ClassVar[str]
    together: ClassVar[int]
    padding: ClassVar[bool]

    def __init__(self, network: Any, tokenizer: Any, frames: int, longest: int, truncate: bool):
        super().__init__()
        self.network, self.tokenizer, self.frames, self.truncate = network, tokenizer, frames, truncate
        self._cuts = TruncationNotice(self.name, longest)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Nothing: a metric's mode does not turn dropout on."""
        return super().train(False)

    @torch.no_grad()
    def videos(self, clips: Tensor) -> Tensor:
        """Clips -> features (B, F) of length 1.

        Args:
            clips: (B, T, 3, H, W), RGB in [0, 1]. ``frames`` of the T are looked at, evenly spaced, first and last
                included; of fewer, some are repeated.

        Raises:
            ValueError: another shape, or whole numbers.
        """
        if clips.ndim != 5 or clips.shape[2] != 3 or 0 in clips.shape or not clips.is_floating_point():
            raise ValueError(f"clips are floating-point (B, T, 3, H, W), not {clips.dtype} {tuple(clips.shape)}.")
        chosen = clips[:, evenly_spaced(clips.shape[1], self.frames)]
        parts = chosen.split(max(1, self.together // self.frames))
        return F.normalize(torch.cat([self._videos(part) for part in parts]), dim=-1)

    @torch.no_grad()
    def texts(self, sentences: Sequence[str]) -> Tensor:
        """M sentences, at least one -> features (M, F) of length 1.

        Raises:
            InputError: a sentence is longer than the network reads, and ``truncate`` is not set.
        """
        parts = [sentences[start : start + self.together] for start in range(0, len(sentences), self.together)]
        return F.normalize(torch.cat([self._part(part) for part in parts]), dim=-1)

    def cuts(self, sentences: Sequence[str]) -> str | None:
        """What should be known of sentences that are cut, which :meth:`texts` then says no more; None: all are read.

        Raises:
            InputError: as :meth:`texts`.
        """
        return self._cuts.sentence(sentences, self._encoded(sentences).encodings)

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """All that decides the features, as JSON; where the files lie does not."""
        from ...fingerprint import weights_digest

        return {
            "network": self.name,
            "weights": weights_digest(self.network),
            "frames": self.frames,
            **self._fingerprint(),
            "tokenizer": type(self.tokenizer).__name__,
            "vocabulary": vocabulary_digest([self.tokenizer]),
            "truncate": self.truncate,
        }

    @abstractmethod
    def _videos(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W) in [0, 1], of all the frames that are looked at -> (B, F)."""

    @abstractmethod
    def _texts(self, tokens: Any) -> Tensor:
        """``input_ids`` and ``attention_mask`` of M sentences, as the tokenizer gives them -> (M, F)."""

    @abstractmethod
    def _fingerprint(self) -> dict[str, Any]:
        """What decides the features of this network alone."""

    def _part(self, sentences: Sequence[str]) -> Tensor:
        tokens = self._encoded(sentences)
        self._cuts.warn(sentences, tokens.encodings)
        return self._texts(tokens)

    def _encoded(self, sentences: Sequence[str]) -> Any:
        """``input_ids`` and ``attention_mask`` as the tokenizer gives them, none longer than the network reads.

        Raises:
            InputError: a sentence is too long, and may not be cut.
        """
        longest = self._cuts.longest
        cut = {"truncation": True, "max_length": longest} if self.truncate else {}
        tokens = self.tokenizer(list(sentences), padding=self.padding, return_attention_mask=True, **cut)
        for sentence, mask in zip(sentences, tokens["attention_mask"], strict=True):
            if sum(mask) > longest:
                raise InputError(
                    f"The instruction {sentence[:60]!r}... has {sum(mask)} tokens and {self.name} reads {longest}: "
                    "shorten it, or let long ones be cut (truncate)."
                )
        return tokens
