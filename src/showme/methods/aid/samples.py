"""Training samples of AID: everything random about a sample is drawn here, from its position alone."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..samples import Clips, Draw, ShuffledClips, chosen_conditions, dropped, noised
from .known import blanked


class AIDSamples(ShuffledClips):
    """The clip beside its first slots, which are known.

    Args:
        clips: with ``states`` (S, L, D) and ``states_there`` (S,) where states are read, and with ``references``
            (T', C, h, w) where known frames are encoded with what lies between.
        draw: how samples are drawn.
        known: slots from the first on that are known.
        grey: what stands for the others, as of :func:`.known.grey_latent`; None: zeros do.
        drop_known: whether the known slots are dropped with the picture's tokens.
    """

    def __init__(self, clips: Clips, draw: Draw, known: int, grey: Tensor | None, drop_known: bool):
        super().__init__(clips, draw)
        self.known, self.grey, self.drop_known = known, grey, drop_known

    def sample(self, clip: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        latents = clip["latents"].float().transpose(0, 1)
        no_text, no_image = dropped(self.draw.dropout, generator)
        sample = chosen_conditions(clip, 0, no_text, no_image)
        sample |= {"null_text": clip["null_text"].float(), "no_text": torch.tensor(no_text)}
        if "states" in clip:
            sample |= {"states": clip["states"].float(), "states_there": clip["states_there"].bool()}
        count = 0 if no_image and self.drop_known else self.known
        sample |= noised(latents, latents[:, :count], range(count), self.draw, generator)
        if count and "references" in clip:
            return sample | {"known": clip["references"].float().transpose(0, 1)}
        return sample | {"known": blanked(sample["known"], sample["where"], self.grey)}
