"""Differences between two rows, paired by clip and seed, and how far they can be trusted."""

from __future__ import annotations

import math

import numpy as np

from ...optional import needed
from ..intervals import Interval


def paired_interval(differences: np.ndarray, resamples: int, seed: int) -> Interval | None:
    """Mean of paired differences with its 95% interval, by the pigeonhole bootstrap (Owen, arXiv 0712.1111).

    Each resample draws seeds and clips anew, both with replacement, and takes the mean over the pairs of what was
    drawn; with one seed it is the plain bootstrap over clips.

    Args:
        differences: (seeds, clips), NaN where one of the two has no value.
        resamples: how many.
        seed: of drawing.

    Returns:
        None where there are fewer than two clips with a difference.
    """
    known = np.isfinite(differences)
    if known.any(axis=0).sum() < 2:
        return None
    filled, known = np.where(known, differences, 0.0), known.astype(np.float64)
    random = np.random.default_rng(seed)
    means = []
    for _ in range(resamples):
        seeds, clips = (np.bincount(random.integers(n, size=n), minlength=n) for n in differences.shape)
        count = seeds @ known @ clips
        if count:
            means.append(seeds @ filled @ clips / count)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(filled.sum() / known.sum()), float(low), float(high), int(known.sum()))


def seeds_interval(differences: np.ndarray) -> Interval | None:
    """Mean of one difference per seed with Student's 95% interval; None of fewer than two seeds, or of NaN."""
    with needed("scipy", "scipy", "evaluation", "An interval over seeds"):
        from scipy import stats

    count = len(differences)
    if count < 2 or not np.isfinite(differences).all():
        return None
    mean, error = float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(count)
    half = float(stats.t.ppf(0.975, count - 1)) * error
    return Interval(mean, mean - half, mean + half, count)
