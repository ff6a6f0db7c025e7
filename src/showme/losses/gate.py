"""Rewards speak only at some noise levels, sample by sample."""

from __future__ import annotations

import math

from torch import Tensor


def gated_rows(log_snr: Tensor, least: float = -math.inf, most: float = math.inf) -> Tensor:
    """Indices of the samples whose log-SNR (B,) lies in [least, most].

    The released code drops this choice for the motion reward: one sample at t >= 700 there lets the whole batch in.
    """
    return ((log_snr >= least) & (log_snr <= most)).nonzero()[:, 0]


def gated_mean(per_sample: Tensor, batch: int) -> Tensor:
    """(1 / B) sum over the samples inside, (G,) -> (): those outside give 0, and parts of a batch add up to it."""
    return per_sample.sum() / batch
