"""Training samples of any method: everything random about a sample is drawn from its position alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..backbones.paths import NoisePath
from ..backbones.placing import in_slots
from ..data.stream import generator_at, shuffled
from .dropout import DropoutConfig


class Clips(Protocol):
    """What samples are made of: row -> ``latents`` (T, C, h, w) scaled, ``image`` (F, N, D) encoder tokens of the first
    F frames, ``text`` (L, D), ``null_image`` (N, D), ``null_text`` (L, D), and what a method asks for beside.
    ``scalar`` () where clips differ in it; no ``image`` without an image encoder."""

    ids: list[str]

    def __getitem__(self, row: int) -> Mapping[str, Tensor]: ...


@dataclass(frozen=True)
class Draw:
    """How samples are drawn.

    Attributes:
        seed: of all of them.
        path: whose levels are drawn.
        dropout: of conditions.
        timestep_power: the level of u^power, u uniform: t = 1000 u^power on a path of timesteps.
        gate: the least and the most log-SNR that are drawn; None: all are.
        goal_share: of video samples, how many know their end.
    """

    seed: int
    path: NoisePath
    dropout: DropoutConfig = field(default_factory=DropoutConfig)
    timestep_power: float = 1.0
    gate: tuple[float, float] | None = None
    goal_share: float = 0.0

    def level(self, generator: torch.Generator) -> Tensor:
        """A level () of the path."""
        u = torch.tensor(float(torch.rand((), generator=generator)), dtype=torch.float64)
        if self.gate is not None:
            return self.path.within(u, *self.gate)
        return self.path.draw(u**self.timestep_power)


class ShuffledClips(Dataset, ABC):
    """Position -> sample, every epoch in another order."""

    def __init__(self, clips: Clips, draw: Draw):
        self.clips, self.draw = clips, draw

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        clip = self.clips[self._row(position)]
        return self.sample(clip, generator_at(self.draw.seed, position, 1))

    @abstractmethod
    def sample(self, clip: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """One sample of ``clip``; everything random comes from ``generator``."""

    def describe(self, positions: Sequence[int]) -> str:
        """The ids of the clips at these positions."""
        return "clips " + ", ".join(self.clips.ids[self._row(position)] for position in positions)

    def _row(self, position: int) -> int:
        return shuffled(position, len(self.clips.ids), self.draw.seed)


def conditions(
    clip: Mapping[str, Tensor], start: int, dropout: DropoutConfig, generator: torch.Generator
) -> dict[str, Tensor]:
    """Text and image tokens, dropped at times, and the frame stride if clips have one.

    Args:
        clip: of :class:`Clips`.
        start: the frame whose image tokens are meant.
        dropout: probabilities.
        generator: of the sample.
    """
    no_text, no_image = dropped(dropout, generator)
    return chosen_conditions(clip, start, no_text, no_image)


def dropped(dropout: DropoutConfig, generator: torch.Generator) -> tuple[bool, bool]:
    """Whether a sample loses its text, and its picture."""
    u = float(torch.rand((), generator=generator))
    no_text = u < dropout.text or dropout.text + dropout.image <= u < dropout.text + dropout.image + dropout.both
    return no_text, dropout.text <= u < dropout.text + dropout.image + dropout.both


def chosen_conditions(clip: Mapping[str, Tensor], start: int, no_text: bool, no_image: bool) -> dict[str, Tensor]:
    """Text and image tokens, or those of none, and the frame stride if clips have one."""
    chosen = {"text": clip["null_text"] if no_text else clip["text"]}
    if "image" in clip:
        chosen["image"] = clip["null_image"] if no_image else clip["image"][start]
    return {name: value.float() for name, value in chosen.items()} | {k: clip[k] for k in ("scalar",) if k in clip}


def noised(
    latents: Tensor, pictures: Tensor, slots: Sequence[int], draw: Draw, generator: torch.Generator
) -> dict[str, Tensor]:
    """Latents (C, T', h, w), their noise and level, and ``pictures`` (C, K, h, w) that are known in K slots."""
    level = draw.level(generator)
    known = in_slots(pictures[None], slots, latents.shape[1])
    return {
        "latents": latents,
        "known": known.latents[0],
        "where": known.where[0],
        "noise": torch.randn(latents.shape, generator=generator),
        "level": level,
    }
