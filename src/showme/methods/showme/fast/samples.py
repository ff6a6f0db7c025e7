"""What is learned of a clip: neighbouring levels within a phase of the sampler, and the phase's end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ....backbones.base import Backbone
from ....data.stream import generator_at
from ...cached import CachedClips
from ...samples import Draw
from ..samples import StateImageSamples, StateVideoSamples


@dataclass(frozen=True)
class Phases:
    """The sampler's steps, and what lies between.

    Attributes:
        edges: levels (N + 1,) at which the sampler stands, from the noisiest; the last, below 0, is none at all.
        substeps: of a phase.
    """

    edges: Tensor
    substeps: int

    def draw(self, backbone: Backbone, generator: torch.Generator) -> dict[str, Tensor]:
        """``level``, ``next``: neighbours within a phase, and ``edge``, its end; () each."""
        phase = int(torch.randint(len(self.edges) - 1, (), generator=generator))
        part = int(torch.randint(self.substeps, (), generator=generator))
        start, end = self.edges[phase, None], self.edges[phase + 1, None]
        shares = torch.tensor([part, part + 1], dtype=torch.float64)[:, None] / self.substeps
        level, following = (backbone.path.between(start, end, share) for share in shares)
        following = end.to(following) if part + 1 == self.substeps else following
        return {"level": level[0], "next": following[0].to(level), "edge": end[0].to(level)}


def phases_of(backbone: Backbone, scheduler: Any, steps: int, substeps: int) -> Phases:
    """The phases between the levels at which a diffusers scheduler stands."""
    scheduler.set_timesteps(steps)
    levels = backbone.path.at(scheduler.timesteps.cpu())
    return Phases(torch.cat([levels, -torch.ones_like(levels[:1])]), substeps)


class FastSamples(Dataset):
    """Position -> a sample of the picture or of the video, whole steps of either in turn, with neighbouring levels."""

    def __init__(self, clips: CachedClips, draw: Draw, backbone: Backbone, phases: Phases, task: str):
        self.image, self.video = StateImageSamples(clips, draw), StateVideoSamples(clips, draw)
        self.clips, self.draw, self.backbone, self.phases, self.task = clips, draw, backbone, phases, task

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        samples = self._samples(position)
        clip = self.clips[samples.row(position)]
        sample = samples.sample(clip, generator_at(self.draw.seed, position, 1))
        empty = {name: clip[name].float() for name in ("null_text", "null_image") if name in clip}
        # Of two experts a pass asks one, so that all of a step stands at one level.
        at = position if self.draw.boundary is None else position // self.draw.batch
        return sample | empty | self.phases.draw(self.backbone, generator_at(self.draw.seed, at, 4))

    def _samples(self, position: int) -> StateImageSamples | StateVideoSamples:
        if self.task == "both":
            return (self.image, self.video)[position // self.draw.batch % 2]
        return self.image if self.task == "image" else self.video

    def describe(self, positions: Sequence[int]) -> str:
        """The ids of the clips at these positions."""
        return self.image.describe(positions)
