"""Training samples of AID: everything random about a sample is drawn here, from its position alone."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..samples import Clips, Draw, ShuffledClips, chosen_conditions, dropped, noised


class AIDSamples(ShuffledClips):
    """The clip beside its first slots, which are known.

    Args:
        clips: with ``states`` (S, L, D) and ``states_there`` (S,) where states are read.
        draw: how samples are drawn.
        known: slots from the first on that are known.
        grey: the latent (C, 1, h, w) of a grey picture, which stands for the others; None: zeros do.
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
        return sample | {"known": blanked(sample["known"], sample["where"], self.grey)}


def blanked(known: Tensor, where: Tensor, grey: Tensor | None) -> Tensor:
    """Known latents (..., C, T', h, w) with grey (C, 1, h, w) where nothing is known; None leaves zeros there."""
    return known if grey is None else known + (1 - where) * grey.to(known)
