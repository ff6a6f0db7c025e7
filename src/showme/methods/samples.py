"""Training samples of any method: everything random about a sample is drawn from its position alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..backbones.paths import NoisePath
from ..backbones.placing import in_slots
from ..data.stream import generator_at, shuffled
from .dropout import DropoutConfig

# Of the interval that a boundary is sought in: to the last bit of a double.
_HALVINGS = 53


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
        boundary: of two experts; None: there is one network for all levels.
        batch: samples of a step, which then lie on one side of it.
    """

    seed: int
    path: NoisePath
    dropout: DropoutConfig = field(default_factory=DropoutConfig)
    timestep_power: float = 1.0
    gate: tuple[float, float] | None = None
    goal_share: float = 0.0
    boundary: float | None = None
    batch: int = 1

    def level(self, generator: torch.Generator) -> Tensor:
        """A level () of the path."""
        return self._at(_uniform(generator))

    def one_sided(self, position: int) -> Tensor:
        """A level () for a position, on the side of the boundary that its step is on: one pass asks one expert. Either
        side is drawn as often as levels lie on it."""
        below = _uniform(generator_at(self.seed, position // self.batch, 3)) < self._below
        low, high = (0.0, self._below) if below else (self._below, 1.0)
        return self._at(low + (high - low) * _uniform(generator_at(self.seed, position, 2)))

    @cached_property
    def _below(self) -> float:
        """The number that draws the boundary, and so the share below it: by bisection, for levels rise with it."""
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if float(self._at(middle)) < (self.boundary or 0.0) else (low, middle)
        return high

    def _at(self, u: float) -> Tensor:
        """The level () that a number in [0, 1) draws."""
        number = torch.tensor(u, dtype=torch.float64)
        if self.gate is not None:
            return self.path.within(number, *self.gate)
        return self.path.draw(number**self.timestep_power)


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))


class ShuffledClips(Dataset, ABC):
    """Position -> sample, every epoch in another order."""

    def __init__(self, clips: Clips, draw: Draw):
        self.clips, self.draw = clips, draw

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        clip = self.clips[self.row(position)]
        sample = self.sample(clip, generator_at(self.draw.seed, position, 1))
        return sample if self.draw.boundary is None else sample | {"level": self.draw.one_sided(position)}

    @abstractmethod
    def sample(self, clip: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """One sample of ``clip``; everything random comes from ``generator``."""

    def describe(self, positions: Sequence[int]) -> str:
        """The ids of the clips at these positions."""
        return "clips " + ", ".join(self.clips.ids[self.row(position)] for position in positions)

    def row(self, position: int) -> int:
        """The clip that a position is of."""
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
