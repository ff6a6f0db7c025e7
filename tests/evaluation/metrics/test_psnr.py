"""PSNR against the formula in numpy and torchmetrics; what is averaged, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio

from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.psnr import BOUND_DB, PeakSignalToNoiseRatio


def _pairs(count: int = 16, frames: int = 4, seed: int = 0) -> Pairs:
    """Noise of many strengths, with values between 8-bit levels."""
    generator = torch.Generator().manual_seed(seed)
    reference = torch.rand(count, frames, 3, 12, 10, generator=generator)
    strength = torch.rand(count, frames, 1, 1, 1, generator=generator)
    noise = strength * torch.randn(reference.shape, generator=generator)
    names = [f"clip {number}" for number in range(count)]
    return Pairs((reference + noise).clamp(0, 1), reference, names, names)


def _part(pairs: Pairs, rows: list[int]) -> Pairs:
    names = [pairs.ids[row] for row in rows]
    return Pairs(pairs.generated[rows], pairs.reference[rows], names, names)


@pytest.mark.parametrize("values", ["8-bit", "float"])
def test_psnr_is_the_mean_over_frames_of_the_formula(values):
    pairs = _pairs()
    a, b = (clips.numpy().astype(np.float64) for clips in (pairs.generated, pairs.reference))
    if values == "8-bit":
        a, b = (np.rint(clips * 255) for clips in (a, b))
    peak = 255 if values == "8-bit" else 1
    expected = (10 * np.log10(peak**2 / ((a - b) ** 2).mean((2, 3, 4)))).mean(1)
    assert expected.std() > 1
    seen = PeakSignalToNoiseRatio(values).score(pairs)
    assert seen.dtype == torch.float64
    # torchmetrics takes the logarithm of ten in float32.
    np.testing.assert_allclose(seen.numpy(), expected, rtol=1e-7)


def test_psnr_agrees_with_torchmetrics_frame_by_frame():
    pairs = _pairs(64, 1)
    expected = [peak_signal_noise_ratio(a[0], b[0], 1.0) for a, b in zip(pairs.generated, pairs.reference, strict=True)]
    seen = PeakSignalToNoiseRatio("float").score(pairs)
    np.testing.assert_allclose(seen.numpy(), np.array(expected), rtol=0, atol=1e-4)


def test_equal_frames_count_the_bound_and_rounding_can_make_frames_equal():
    reference = torch.full((1, 2, 3, 8, 8), 100 / 255)
    generated = reference.clone()
    generated[0, 1] = 101 / 255
    one_level = 20 * math.log10(255)
    seen = PeakSignalToNoiseRatio().score(Pairs(generated, reference, ["lift"], ["a"]))
    assert float(seen) == pytest.approx((BOUND_DB + one_level) / 2, abs=1e-4)
    nearly = Pairs(reference + 0.4 / 255, reference, ["lift"], ["a"])
    assert float(PeakSignalToNoiseRatio().score(nearly)) == BOUND_DB
    assert float(PeakSignalToNoiseRatio("float").score(nearly)) == pytest.approx(
        one_level - 20 * math.log10(0.4), abs=0.01
    )


def test_two_metrics_merged_are_one_fed_everything_in_any_order():
    pairs, rows = _pairs(), list(range(16))
    whole = PeakSignalToNoiseRatio()
    whole.update(pairs)
    first, second = PeakSignalToNoiseRatio(), PeakSignalToNoiseRatio()
    first.update(_part(pairs, rows[9:][::-1]))
    second.update(_part(pairs, rows[:9]))
    first.merge_state(second)
    assert float(first.compute()) == pytest.approx(float(whole.compute()), abs=1e-12)
    assert first.coverage == 1


def test_clips_of_two_shapes_and_values_outside_are_refused():
    pairs = _pairs(1)
    metric = PeakSignalToNoiseRatio()
    with pytest.raises(ValueError, match="two shapes"):
        metric.score(Pairs(pairs.generated[:, :1], pairs.reference, ["lift"], ["a"]))
    for wrong in (pairs.generated + 1, pairs.generated * math.nan, pairs.generated - 1):
        with pytest.raises(ValueError, match="outside"):
            metric.score(Pairs(wrong, pairs.reference, ["lift"], ["a"]))


def test_the_record_tells_settings_apart():
    assert PeakSignalToNoiseRatio().fingerprint != PeakSignalToNoiseRatio("float").fingerprint
