"""Training samples of the base: pictures of results, ordinary frames, and clips. All is drawn from a position alone."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from showme.data.sampling import evenly_spaced
from showme.data.stream import generator_at, mixed_seed, shuffled
from showme.methods.showme.config import DropoutConfig
from showme.methods.showme.pipeline import condition_clip
from showme.methods.showme.samples import Draw, conditions

from .cache import EncodedClips
from .pair_cache import EncodedPairs
from .settings import Settings

_TIMESTEPS = 1000
_DRAW = Draw(0, DropoutConfig())

Sample = dict[str, Tensor]


class PairSamples(Dataset):
    """Position -> ``frames``: a pair's end (C, 1, h, w) to be foretold from its first frame."""

    def __init__(self, pairs: EncodedPairs, settings: Settings):
        self.pairs, self.settings = pairs, settings
        self.seed = mixed_seed(settings.seed, 7)

    def __getitem__(self, position: int) -> dict[str, Sample]:
        pair = self.pairs[shuffled(position, len(self.pairs), self.seed)]
        generator = generator_at(self.seed, position, 3)
        clip = {**pair, "image": pair["image"][None]}
        latents, concat = pair["end"].float()[:, None], pair["first"].float()[:, None]
        return {"frames": _sample(clip, latents, concat, self.settings.first_step_share, generator)}


class FrameSamples(Dataset):
    """Position -> ``frames``: any frame of a clip beside its first, at ordinary timesteps."""

    def __init__(self, clips: EncodedClips, settings: Settings):
        self.clips = clips
        self.seed = mixed_seed(settings.seed, 1)

    def __getitem__(self, position: int) -> dict[str, Sample]:
        clip = self.clips[shuffled(position, len(self.clips.ids), self.seed)]
        generator = generator_at(self.seed, position, 2)
        latents = clip["latents"].float().transpose(0, 1)
        frame = int(torch.randint(latents.shape[1], (), generator=generator))
        return {"frames": _sample(clip, latents[:, frame : frame + 1], latents[:, :1], 0.0, generator)}


class ClipSamples(Dataset):
    """Position -> ``clip``: some frames of one, and ``frames``: several pictures beside it.

    The condition beside the noisy latents is z0 on every frame or ``[z0; zeros]``, half of the clips each, and a share
    of the clips knows its end.

    Args:
        clips: what is cached of the clips.
        pictures: positions -> ``frames``.
        settings: the shares, and how many pictures come with a clip.
        count: frames of a clip, evenly spaced.
    """

    def __init__(self, clips: EncodedClips, pictures: Dataset, settings: Settings, count: int):
        self.clips, self.pictures, self.settings, self.count = clips, pictures, settings, count
        self.seed = mixed_seed(settings.seed, 2, count)

    def __getitem__(self, position: int) -> dict[str, Sample]:
        single = self.settings.frames_per_clip
        frames = [self.pictures[place]["frames"] for place in range(position * single, (position + 1) * single)]
        return {"frames": default_collate(frames), "clip": self._clip(position)}

    def _clip(self, position: int) -> Sample:
        generator = generator_at(self.seed, position, 1)
        clip = self.clips[shuffled(position, len(self.clips.ids), self.seed)]
        latents = clip["latents"].float().transpose(0, 1)
        repeat, known = torch.rand(2, generator=generator).tolist()
        goal = latents[None, :, -1:] if known < self.settings.base_goal_share else None
        concat = condition_clip(latents[None, :, :1], self.count, repeat < 0.5, goal)[0]
        chosen = latents[:, evenly_spaced(latents.shape[1], self.count)]
        return _sample(clip, chosen, concat, self.settings.clip_first_step_share, generator)


def few_step_timestep(first_share: float, generator: torch.Generator) -> Tensor:
    """The last timestep, where sampling begins, for a share of the draws; else t = 1000 sqrt(u), which leans to it."""
    first, u = torch.rand(2, generator=generator).tolist()
    return torch.tensor(_TIMESTEPS - 1 if first < first_share else int(_TIMESTEPS * u**0.5))


def _sample(clip: dict, latents: Tensor, concat: Tensor, first_share: float, generator: torch.Generator) -> Sample:
    """Latents (C, T, h, w) to be foretold; text is dropped by its ids, which stand where tokens would."""
    given = conditions({**clip, "text": clip["ids"], "null_text": clip["null_ids"]}, 0, _DRAW, generator)
    return {
        "ids": given["text"].long(),
        "image": given["image"],
        "latents": latents,
        "concat": concat,
        "noise": torch.randn(latents.shape, generator=generator),
        "timestep": few_step_timestep(first_share, generator),
    }
