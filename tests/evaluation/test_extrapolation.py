"""Extrapolation, bias and intervals of set distances against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from showme.errors import InputError
from showme.evaluation.extrapolation import bias_curve, distance_interval, extrapolate
from showme.evaluation.metrics.frechet import frechet_distance_of


def squared_difference(a: Tensor, b: Tensor) -> Tensor:
    return (a.mean(0) - b.mean(0)).square().sum()


def difference(a: Tensor, b: Tensor) -> Tensor:
    return a.mean() - b.mean()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def test_a_line_in_one_over_n_is_found():
    found = extrapolate(lambda a, b: torch.tensor(5 + 30 / len(a), dtype=torch.float64), normal(100, 2), normal(80, 2))
    assert found.value == pytest.approx(5)
    assert found.slope == pytest.approx(30)
    assert found.error == pytest.approx(0, abs=1e-9)
    assert (found.curve[0].size, found.curve[-1].size, len(found.curve)) == (40, 80, 15)


def test_the_error_is_that_of_least_squares():
    noise = iter(np.random.default_rng(1).normal(size=5))
    found = extrapolate(
        lambda a, b: torch.tensor(1 + next(noise), dtype=torch.float64),
        normal(50, 1),
        normal(50, 1),
        [10, 20, 30, 40, 50],
    )
    inverse, means = 1 / np.array([10, 20, 30, 40, 50]), np.array([point.mean for point in found.curve])
    coefficients, covariance = np.polyfit(inverse, means, 1, cov=True)
    assert found.value == pytest.approx(coefficients[1])
    assert found.slope == pytest.approx(coefficients[0])
    assert found.error == pytest.approx(np.sqrt(covariance[1, 1]))


def test_bias_of_a_squared_mean_is_the_closed_form():
    # Of two sets of N with unit variance in D dimensions and equal means: 2 D / N.
    values = {size: [] for size in (16, 64)}
    for seed in range(64):
        a, b = normal(2, 256, 10, seed=seed)
        for point in bias_curve(squared_difference, a, b, [16, 64], repeats=4, seed=seed):
            values[point.size].append(point.mean)
    for size, means in values.items():
        assert np.mean(means) == pytest.approx(20 / size, rel=0.1)
        assert np.std(means) > 0


def test_fvd_of_one_distribution_goes_to_zero():
    raw, extrapolated = [], []
    for seed in range(6):
        a, b = normal(2, 256, 8, seed=seed)
        raw.append(float(frechet_distance_of(a, b)))
        extrapolated.append(extrapolate(frechet_distance_of, a, b, seed=seed).value)
    assert min(raw) > 0.1
    assert abs(np.mean(extrapolated)) < np.mean(raw) / 4


def test_equal_sets_stay_at_zero_when_they_are_pairs():
    a = normal(64, 30)
    found = extrapolate(frechet_distance_of, a, a, paired=True)
    assert abs(found.value) < 1e-10
    assert max(abs(point.mean) for point in found.curve) < 1e-10
    apart = bias_curve(frechet_distance_of, a, a, [32], paired=False)
    assert apart[0].mean > 1


def test_the_seed_decides():
    a, b = normal(2, 64, 3)
    found = [extrapolate(frechet_distance_of, a, b, seed=seed) for seed in (4, 4, 5)]
    assert found[0] == found[1] != found[2]
    intervals = [distance_interval(frechet_distance_of, a, b, resamples=20, seed=seed) for seed in (4, 4, 5)]
    assert intervals[0] == intervals[1] != intervals[2]


@pytest.mark.parametrize("paired", [True, False])
def test_interval_of_a_difference_of_means(paired):
    shared = normal(400, seed=1)
    a, b = shared + 0.2 * normal(400, seed=2) + 1, shared + 0.2 * normal(400, seed=3)
    interval = distance_interval(difference, a, b, paired=paired, resamples=4000)
    spread = (a - b).var() if paired else a.var() + b.var()
    error = 1.96 * float(spread / 400) ** 0.5
    assert interval.mean == pytest.approx(float(a.mean() - b.mean()))
    assert interval.low == pytest.approx(interval.mean - error, rel=0.01)
    assert interval.high == pytest.approx(interval.mean + error, rel=0.01)
    assert interval.count == 400


def test_interval_of_a_biased_distance_covers_repeated_draws():
    # Of its mean at this N, over sets drawn anew: 1 + 2 D / N. Percentiles alone would lie too high by the bias again.
    size, dimensions = 60, 8
    shift = torch.eye(dimensions)[0]
    sets = [(normal(size, dimensions, seed=2 * n) + shift, normal(size, dimensions, seed=2 * n + 1)) for n in range(64)]
    intervals = [distance_interval(squared_difference, a, b, resamples=100) for a, b in sets]
    assert all(interval.low < interval.mean < interval.high for interval in intervals)
    expected = 1 + 2 * dimensions / size
    assert np.mean([interval.mean for interval in intervals]) == pytest.approx(expected, rel=0.1)
    assert np.mean([interval.low <= expected <= interval.high for interval in intervals]) > 0.85


def test_wrong_input_is_reported():
    a, b = normal(10, 2), normal(6, 2)
    with pytest.raises(InputError, match="10 generated and 6 true samples cannot be pairs"):
        distance_interval(difference, a, b, paired=True)
    with pytest.raises(InputError, match="Subsets of 7 samples cannot be drawn from 6"):
        bias_curve(difference, a, b, [4, 7])
    with pytest.raises(InputError, match="6 samples are too few"):
        extrapolate(difference, a, b)
    with pytest.raises(InputError, match="at least three sizes"):
        extrapolate(difference, a, b, [3, 5, 5])
