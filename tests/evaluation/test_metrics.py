"""Metrics against closed forms and libraries."""

from __future__ import annotations

import numpy as np
import pytest

from showme.evaluation.intervals import bootstrap
from showme.pictures.psnr import psnr


def test_psnr_closed_forms():
    a = np.full((4, 4, 3), 100, np.uint8)
    assert psnr(a, a) == float("inf")
    # A difference of 10 everywhere: 20 log10(255 / 10). Unsigned bytes must not wrap, whichever comes first.
    assert psnr(a, a + 10) == pytest.approx(20 * np.log10(25.5))
    assert psnr(a, a - 10) == pytest.approx(20 * np.log10(25.5))
    with pytest.raises(ValueError, match="shapes"):
        psnr(a, a[:2])


def test_bootstrap_covers_the_mean_of_a_normal_sample():
    values = np.random.default_rng(3).normal(2.0, 1.0, 400)
    interval = bootstrap(values)
    error = 1.96 * values.std(ddof=1) / 20
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - error, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + error, abs=0.02)
    assert interval.count == 400


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_bootstrap_refuses_nothing_and_nan(values):
    with pytest.raises(ValueError, match="finite"):
        bootstrap(values)
