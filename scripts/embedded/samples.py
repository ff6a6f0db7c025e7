"""Training samples of the base: pictures of results, ordinary frames, and clips. All is drawn from a position alone."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from showme.backbones.base import Known
from showme.backbones.placing import in_slots
from showme.data.sampling import evenly_spaced
from showme.data.stream import generator_at, mixed_seed, shuffled
from showme.methods.dropout import DropoutConfig
from showme.methods.samples import conditions

from .cache import EncodedClips
from .pair_cache import EncodedPairs
from .settings import Settings

_TIMESTEPS = 1000

Sample = dict[str, Tensor]


class PairSamples(Dataset):
    """Position -> ``frames``: a pair's end (C, 1, h, w) to be predicted from its first frame."""

    def __init__(self, pairs: EncodedPairs, settings: Settings):
        self.pairs, self.settings = pairs, settings
        self.seed = mixed_seed(settings.seed, 7)

    def __getitem__(self, position: int) -> dict[str, Sample]:
        pair = self.pairs[shuffled(position, len(self.pairs), self.seed)]
        generator = generator_at(self.seed, position, 3)
        clip = {**pair, "image": pair["image"][None]}
        known = in_slots(pair["first"].float()[None, :, None], (0,), 1)
        return {"frames": _sample(clip, pair["end"].float()[:, None], known, self.settings.first_step_share, generator)}


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
        known = in_slots(latents[None, :, :1], (0,), 1)
        return {"frames": _sample(clip, latents[:, frame : frame + 1], known, 0.0, generator)}


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
        repeat, goal = torch.rand(2, generator=generator).tolist()
        slots = (0, -1) if goal < self.settings.base_goal_share else (0,)
        known = in_slots(latents[None, :, slots], slots, self.count, repeat < 0.5)
        chosen = latents[:, evenly_spaced(latents.shape[1], self.count)]
        return _sample(clip, chosen, known, self.settings.clip_first_step_share, generator)


def few_step_timestep(first_share: float, generator: torch.Generator) -> Tensor:
    """The last timestep, where sampling begins, for a share of the draws; else t = 1000 sqrt(u), which leans to it."""
    first, u = torch.rand(2, generator=generator).tolist()
    return torch.tensor(_TIMESTEPS - 1 if first < first_share else int(_TIMESTEPS * u**0.5))


def _sample(clip: dict, latents: Tensor, known: Known, first_share: float, generator: torch.Generator) -> Sample:
    """Latents (C, T, h, w) to be predicted; text is dropped by its ids, which stand where tokens would."""
    given = conditions({**clip, "text": clip["ids"], "null_text": clip["null_ids"]}, 0, DropoutConfig(), generator)
    return {
        "ids": given["text"].long(),
        "image": given["image"],
        "latents": latents,
        "known": known.latents[0],
        "where": known.where[0],
        "noise": torch.randn(latents.shape, generator=generator),
        "level": few_step_timestep(first_share, generator),
    }
