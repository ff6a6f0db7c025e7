"""Training samples of IVG's two stages: everything random about a sample is drawn here, from its position alone."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...data.sampling import evenly_spaced
from ...losses.motion_strength import motion_strength
from ..samples import Clips, Draw, ShuffledClips, conditions, noised
from .regions import at_latents


class RegionSamples(ShuffledClips):
    """Stage 1: the first frame, then its mask, beside ``[z^0; zeros]``.

    Args:
        clips: with ``region_latents`` (T', C, h, w) of the photo and the masks after it, ``region`` bool (H, W) and
            ``regions`` bool (T, H, W).
        draw: how samples are drawn.
        target: ``union``: the region is every frame's mask; ``frames``: each has its own.
        decoded: slots whose masks the loss compares; None: all; 0: none.
        slots: of the mask video, evenly spaced among the clip's, the photo's aside; None: all.
    """

    def __init__(self, clips: Clips, draw: Draw, target: str, decoded: int | None, slots: int | None = None):
        super().__init__(clips, draw)
        self.target, self.decoded, self.slots = target, decoded, slots

    def sample(self, clip: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        latents = clip["region_latents"].float().transpose(0, 1)
        chosen = torch.arange(latents.shape[1])
        if self.slots is not None:
            chosen = torch.tensor([0, *(1 + slot for slot in evenly_spaced(latents.shape[1] - 1, self.slots - 1))])
        latents = latents[:, chosen]
        sample = conditions(clip, 0, self.draw.dropout, generator)
        sample |= noised(latents, latents[:, :1], (0,), self.draw, generator)
        if "known" in clip:
            sample["known"] = clip["known"][0].float().transpose(0, 1)
        count = latents.shape[1] - 1
        if self.decoded != 0 and len(clip["regions"]) > len(clip["region_latents"]):
            # Slots of several frames are decoded together or not at all.
            masks = clip["regions"][1:]
            sample["masks"] = (masks if self.target == "frames" else clip["region"].expand(len(masks), -1, -1)).float()
        elif self.decoded != 0:
            slots = 1 + torch.as_tensor(evenly_spaced(count, min(self.decoded or count, count)))
            own = self.target == "frames"
            masks = clip["regions"][chosen[slots]] if own else clip["region"].expand(len(slots), -1, -1)
            sample |= {"slots": slots, "masks": masks.float()}
        return sample


class VideoSamples(ShuffledClips):
    """Stage 2: the clip, or its first frame outside of the region, beside ``[z^0; zeros]`` and the region.

    Args:
        clips: with ``region`` bool (H, W) unless it is given.
        draw: how samples are drawn.
        freeze_outside: whether the target stands still outside.
        region: bool (H, W), the same for all clips; None: each has its own.
        hands_every: every so many frames come with their hands, the first aside, of clips that have ``joints``
            (T, K, 21, 3); None: none do.
        strength: whether the network is told how much the clip moves.
    """

    def __init__(
        self,
        clips: Clips,
        draw: Draw,
        freeze_outside: bool,
        region: Tensor | None,
        hands_every: int | None = None,
        strength: bool = False,
    ):
        super().__init__(clips, draw)
        self.freeze_outside, self.region = freeze_outside, region
        self.hands_every, self.strength = hands_every, strength

    def sample(self, clip: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        latents = clip["latents"].float().transpose(0, 1)
        mask = clip["region"] if self.region is None else self.region
        region = at_latents(mask[None], (latents.shape[-2], latents.shape[-1]))[0]
        if self.freeze_outside:
            latents = latents[:, :1] * (1 - region) + latents * region
        sample = conditions(clip, 0, self.draw.dropout, generator)
        sample |= noised(latents, latents[:, :1], (0,), self.draw, generator) | {"region": region}
        if "known" in clip:
            sample["known"] = clip["known"][0].float().transpose(0, 1)
        if self.strength:
            sample["scalar"] = motion_strength(latents[None])[0]
        if self.hands_every is not None:
            slots = torch.arange(self.hands_every, latents.shape[1], self.hands_every)
            sample |= {"hand_slots": slots, "joints": clip["joints"][slots][..., :2]}
        return sample
