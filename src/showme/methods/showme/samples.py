"""Training samples of ShowMe's two stages; ``edge`` and ``depth`` (3, 1, H, W) of the last three frames and ``flow``
(T - 1, h, w) come with clips whose rewards ask for them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...data.sampling import state_image_pair
from ..samples import ShuffledClips, conditions, noised


class StateImageSamples(ShuffledClips):
    """Stage 1, state manipulation: a last frame to be predicted from a first, [z*_t; z^0], T = 1."""

    def sample(self, clip: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        # Of a codec whose latents hold several frames, those that were encoded alone.
        pictures = clip.get("stills", clip["latents"])
        start, end = state_image_pair(len(pictures), generator)
        first = pictures[start].float()[:, None]
        sample = conditions(clip, start, self.draw.dropout, generator)
        sample |= noised(pictures[end].float()[:, None], first, (0,), self.draw, generator)
        for name in ("edge", "depth"):
            if name in clip:
                seen = clip[name]
                sample[name] = seen[end - len(pictures) + len(seen)].float()
        return sample


class StateVideoSamples(ShuffledClips):
    """Stage 2, state prediction: all T frames beside ``[z^0; zeros]``, or ``[z^0; zeros; z^T]`` with a known end."""

    def sample(self, clip: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        latents = clip["latents"].float().transpose(0, 1)
        goal = float(torch.rand((), generator=generator)) < self.draw.goal_share
        slots = (0, -1) if goal else (0,)
        # Of a codec whose last latent holds several frames, the one that holds the last frame alone.
        end = clip["end"].float()[:, None] if "end" in clip else latents[:, -1:]
        pictures = torch.cat([latents[:, :1], end], dim=1)[:, : len(slots)]
        sample = conditions(clip, 0, self.draw.dropout, generator)
        sample |= noised(latents, pictures, slots, self.draw, generator)
        if "known" in clip:
            sample["known"] = clip["known"][int(goal)].float().transpose(0, 1)
        if "flow" in clip:
            sample["flow"] = clip["flow"].float()
        return sample
