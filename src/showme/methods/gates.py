"""Whether a term that speaks at some noise levels alone ever does."""

from __future__ import annotations

import math

import torch

from ..backbones.paths import NoisePath
from ..errors import InputError
from ..losses.gate import gated_rows

# Of evenly spaced draws; as many as a schedule of 1000 timesteps needs for each to be among them.
_DRAWS = 4000


def check_gate(path: NoisePath, least: float, most: float, field: str) -> None:
    """Refuse a term that would be 0 at every level that training draws.

    Args:
        path: that levels are drawn from.
        least, most: log-SNR between which the term speaks.
        field: of the settings, which the message names.

    Raises:
        InputError: no level lies between them.
    """
    log_snr = path.log_snr(path.draw((torch.arange(_DRAWS, dtype=torch.float64) + 0.5) / _DRAWS))
    if not len(gated_rows(log_snr, least, most)):
        low, high = (float(each) / math.log(10) for each in (log_snr.min(), log_snr.max()))
        raise InputError(
            f"{field}: the term would be 0 at every step, for it speaks at no noise level that this model is trained "
            f"at; these reach from {low:.2f} to {high:.2f} in log10 SNR: choose a value there, or leave the term out."
        )
