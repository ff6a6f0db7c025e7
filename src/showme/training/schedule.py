"""How the learning rate goes."""

from __future__ import annotations

import math


def rate_factor(schedule: str, step: int, warmup: int, progress: float) -> float:
    """Share of the peak rate: a linear warm-up times the schedule.

    Args:
        schedule: ``constant``; ``linear`` or ``cosine``, both from 1 at the beginning to 0 at the end.
        step: from 0.
        warmup: steps until the peak; 0 begins there.
        progress: share of the run that is done, in [0, 1].
    """
    rise = min((step + 1) / warmup, 1.0) if warmup else 1.0
    fall = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}
    return rise * fall[schedule]
