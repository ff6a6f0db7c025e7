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
from .blip import vocabulary_digest


class VideoText(nn.Module, ABC):
    """A network for inference, whose features of clips and of sentences lie in one space.

    Args:
        network: both towers.
        tokenizer: of transformers.
        frames: that are looked at.
        truncate: cut sentences that are longer than the network reads, instead of refusing them.

    Attributes:
        name: of the network.
        together: frames, and sentences, that go through the network at once, which bounds the memory. A clip is never
            divided.
    """

    name: ClassVar[str]
    together: ClassVar[int]

    def __init__(self, network: Any, tokenizer: Any, frames: int, truncate: bool):
        super().__init__()
        self.network, self.tokenizer, self.frames, self.truncate = network, tokenizer, frames, truncate
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
        return F.normalize(torch.cat([self._texts(list(part)) for part in parts]), dim=-1)

    @cached_property
    def made_of(self) -> dict[str, Any]:
        """All that decides the features, as JSON; where the files lie does not."""
        from ...data.cache import weights_digest

        return {
            "network": self.name,
            "weights": weights_digest(self.network),
            "frames": self.frames,
            **self._made_of(),
            "tokenizer": type(self.tokenizer).__name__,
            "vocabulary": vocabulary_digest([self.tokenizer]),
            "truncate": self.truncate,
        }

    @abstractmethod
    def _videos(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W) in [0, 1], of all the frames that are looked at -> (B, F)."""

    @abstractmethod
    def _texts(self, sentences: list[str]) -> Tensor:
        """-> (M, F)."""

    @abstractmethod
    def _made_of(self) -> dict[str, Any]:
        """What decides the features of this network alone."""

    def _cut(self, longest: int) -> dict[str, Any]:
        """What the tokenizer must be told, so that sentences fit where they may be cut."""
        return {"truncation": True, "max_length": longest} if self.truncate else {}

    def _check_lengths(self, sentences: Sequence[str], lengths: Sequence[int], longest: int) -> None:
        """Refuse sentences of more tokens than the network reads.

        Raises:
            InputError: the first of them.
        """
        for sentence, length in zip(sentences, lengths, strict=True):
            if length > longest:
                raise InputError(
                    f"The instruction {sentence[:60]!r}... has {length} tokens and {self.name} reads {longest}: "
                    "shorten it, or let long ones be cut (truncate)."
                )
