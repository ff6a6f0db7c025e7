"""Confidence intervals by bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% interval over ``count`` scenes."""

    mean: float
    low: float
    high: float
    count: int


def bootstrap(values, resamples: int = 10_000, seed: int = 0) -> Interval:
    """Mean of ``values`` and the 2.5% and 97.5% quantiles of its bootstrap distribution.

    Raises:
        ValueError: no values, or values that are not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("an interval needs at least one value, all of them finite")
    random = np.random.default_rng(seed)
    # One resample at a time: all together would take gigabytes for many clips.
    means = [values[random.integers(len(values), size=len(values))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high), len(values))
