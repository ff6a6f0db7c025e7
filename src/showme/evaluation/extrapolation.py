"""How a distance between sets depends on their size: its bias, its value without it, and its interval.

FVD and FID are larger the fewer samples there are, by about a constant over N. Chong and Forsyth (arXiv 1911.07023)
draw subsets of several sizes, fit a line in 1/N and report where it meets 1/N = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from .intervals import Interval

# Two sets (N, ...) and (M, ...) of samples along the first axis -> a scalar.
Distance = Callable[[Tensor, Tensor], Tensor]

_SIZES = 15


@dataclass(frozen=True)
class SizeEffect:
    """A distance at one size of the sets: its mean over random subsets, and their standard deviation."""

    size: int
    mean: float
    deviation: float


@dataclass(frozen=True)
class Extrapolation:
    """A distance without the bias of its sample size.

    value: where the line meets 1/N = 0. slope: distance per 1/N. error: standard error of ``value`` in the fit; the
    subsets overlap, so it is no interval of the distance. curve: what was fitted.
    """

    value: float
    slope: float
    error: float
    curve: tuple[SizeEffect, ...]


def bias_curve(
    distance: Distance,
    generated: Tensor,
    reference: Tensor,
    sizes: Sequence[int],
    repeats: int = 1,
    paired: bool = False,
    seed: int = 0,
) -> tuple[SizeEffect, ...]:
    """The distance between random subsets of both sets, drawn without replacement.

    Args:
        distance: as :data:`Distance`.
        generated: samples (N, ...).
        reference: samples (M, ...).
        sizes: of the subsets, each the same on both sides; at least two samples, at most the smaller set.
        repeats: subsets per size.
        paired: row n of both sets belongs together, and a subset has the same rows of both; otherwise they are drawn
            independently.
        seed: decides the subsets.

    Raises:
        InputError: a size that the sets do not allow, or paired sets of unequal counts.
    """
    _check(generated, reference, paired)
    smaller = min(len(generated), len(reference))
    if wrong := [size for size in sizes if not 2 <= size <= smaller]:
        raise InputError(
            f"Subsets of {wrong[0]} samples cannot be drawn from {smaller}: choose sizes from 2 to {smaller}."
        )
    random = np.random.default_rng(seed)
    curve = []
    for size in sizes:
        values = []
        for _ in range(repeats):
            rows = random.permutation(len(generated))[:size]
            others = rows if paired else random.permutation(len(reference))[:size]
            values.append(float(distance(generated[torch.from_numpy(rows)], reference[torch.from_numpy(others)])))
        curve.append(SizeEffect(int(size), float(np.mean(values)), float(np.std(values))))
    return tuple(curve)


def extrapolate(
    distance: Distance,
    generated: Tensor,
    reference: Tensor,
    sizes: Sequence[int] | None = None,
    repeats: int = 1,
    paired: bool = False,
    seed: int = 0,
) -> Extrapolation:
    """The distance that samples without end would have (Chong and Forsyth, section 4).

    Both sets shrink together, because here both are finite; theirs had a fixed reference. The line is right where the
    bias goes as 1/N: sets a few times larger than the features' effective dimensions.

    Args:
        distance: as :data:`Distance`, such as :func:`.metrics.frechet.frechet_distance_of`.
        generated: samples (N, ...), at least 8.
        reference: samples (M, ...), at least 8.
        sizes: of the subsets, at least three different ones; without them 15, evenly spaced from half of the smaller
            set to all of it.
        repeats: as in :func:`bias_curve`.
        paired: as in :func:`bias_curve`.
        seed: as in :func:`bias_curve`.

    Raises:
        InputError: too few samples or sizes, or as :func:`bias_curve`.
    """
    if sizes is None:
        smaller = min(len(generated), len(reference))
        if smaller < 8:
            raise InputError(f"{smaller} samples are too few to extrapolate from: give at least 8 clips of each set.")
        sizes = [int(size) for size in np.unique(np.linspace(smaller // 2, smaller, _SIZES).round())]
    if len(set(sizes)) < 3:
        raise InputError("A line and its error need at least three sizes of subsets: give more.")
    curve = bias_curve(distance, generated, reference, sizes, repeats, paired, seed)
    inverse = np.array([1 / point.size for point in curve])
    means = np.array([point.mean for point in curve])
    design = np.stack([np.ones_like(inverse), inverse], axis=1)
    (value, slope), *_ = np.linalg.lstsq(design, means, rcond=None)
    residual = means - design @ (value, slope)
    spread = np.linalg.inv(design.T @ design) * (residual @ residual) / (len(curve) - 2)
    return Extrapolation(float(value), float(slope), float(np.sqrt(spread[0, 0])), curve)


def distance_interval(
    distance: Distance,
    generated: Tensor,
    reference: Tensor,
    paired: bool = False,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """A distance with its 95% interval by bootstrap over samples (clips).

    Resampled sets hold clips twice, so their distances lie too high; the interval keeps their spread and is moved back
    by how far their mean lies from the distance itself. It is an interval at this N: the bias of N is not in it.

    Args:
        distance: as :data:`Distance`.
        generated: samples (N, ...).
        reference: samples (M, ...).
        paired: as in :func:`bias_curve`: pairs are resampled, not each side for itself.
        resamples: how many.
        seed: decides them.

    Raises:
        InputError: paired sets of unequal counts.
    """
    _check(generated, reference, paired)
    random = np.random.default_rng(seed)
    values = np.empty(resamples)
    for resample in range(resamples):
        rows = torch.from_numpy(random.integers(len(generated), size=len(generated)))
        others = rows if paired else torch.from_numpy(random.integers(len(reference), size=len(reference)))
        values[resample] = float(distance(generated[rows], reference[others]))
    found = float(distance(generated, reference))
    low, high = np.quantile(values, [0.025, 0.975]) - values.mean() + found
    return Interval(found, float(low), float(high), len(generated))


def _check(generated: Tensor, reference: Tensor, paired: bool) -> None:
    if paired and len(generated) != len(reference):
        raise InputError(
            f"{len(generated)} generated and {len(reference)} true samples cannot be pairs: pair them by id first."
        )
