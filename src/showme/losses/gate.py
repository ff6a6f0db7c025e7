"""Rewards speak only at some timesteps, sample by sample."""

from __future__ import annotations

import torch
from torch import Tensor


def gated_rows(timesteps: Tensor, at_least: int | None = None, at_most: int | None = None) -> Tensor:
    """Indices of the samples whose timestep (B,) lies in [at_least, at_most]; an open end where None.

    The released code drops this choice for the motion reward: one sample at t >= 700 there lets the whole batch in.
    """
    inside = torch.ones_like(timesteps, dtype=torch.bool)
    if at_least is not None:
        inside &= timesteps >= at_least
    if at_most is not None:
        inside &= timesteps <= at_most
    return inside.nonzero()[:, 0]


def gated_mean(per_sample: Tensor, batch: int) -> Tensor:
    """(1 / B) sum over the samples inside, (G,) -> (): those outside give 0, and parts of a batch add up to it."""
    return per_sample.sum() / batch
