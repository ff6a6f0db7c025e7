"""SSIM against the formula with scipy's Gaussian filter, and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torchmetrics.functional.image import structural_similarity_index_measure

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.ssim import StructuralSimilarity


def _pairs(count: int, frames: int) -> Pairs:
    """Even areas with noise of many strengths."""
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(count * frames, 3, 3, 3, generator=generator)
    smooth = torch.nn.functional.interpolate(small, (18, 20), mode="bilinear").unflatten(0, (count, frames))
    noise = 0.3 * torch.rand(count, frames, 1, 1, 1, generator=generator)
    generated = smooth + noise * torch.randn(smooth.shape, generator=generator)
    names = [f"clip {number}" for number in range(count)]
    return Pairs(generated.clamp(0, 1), smooth, names, names)


def _formula(a: np.ndarray, b: np.ndarray) -> float:
    """Of one channel. 11 pixels wide: 3.5 sigma to either side."""

    def mean(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, 1.5, mode="mirror", truncate=3.5)

    over = (2 * mean(a) * mean(b) + 0.01**2) * (2 * (mean(a * b) - mean(a) * mean(b)) + 0.03**2)
    variances = mean(a * a) - mean(a) ** 2 + mean(b * b) - mean(b) ** 2
    return float((over / ((mean(a) ** 2 + mean(b) ** 2 + 0.01**2) * (variances + 0.03**2))).mean())


def test_ssim_is_the_mean_over_frames_and_channels_of_the_formula():
    pairs = _pairs(16, 4)
    a, b = (clips.flatten(0, 2).numpy().astype(np.float64) for clips in (pairs.generated, pairs.reference))
    expected = np.array([_formula(*each) for each in zip(a, b, strict=True)]).reshape(16, 12).mean(1)
    assert expected.std() > 0.05
    seen = StructuralSimilarity().score(pairs)
    assert seen.dtype == torch.float64
    np.testing.assert_allclose(seen.numpy(), expected, rtol=0, atol=1e-6)


def test_ssim_agrees_with_torchmetrics():
    pairs = _pairs(64, 1)
    frames = pairs.generated[:, 0].double(), pairs.reference[:, 0].double()
    expected = structural_similarity_index_measure(*frames, data_range=1.0, reduction="none")
    torch.testing.assert_close(StructuralSimilarity().score(pairs), expected, atol=1e-12, rtol=0)


def test_equal_clips_have_similarity_1_and_merging_changes_nothing():
    pairs = _pairs(4, 3)
    metric, first, second = (StructuralSimilarity() for _ in range(3))
    assert metric.score(Pairs(pairs.reference, pairs.reference, pairs.ids, pairs.ids)).tolist() == pytest.approx(
        [1] * 4
    )
    metric.update(pairs)
    first.update(Pairs(pairs.generated[3:], pairs.reference[3:], ["d"], ["d"]))
    second.update(Pairs(pairs.generated[:3], pairs.reference[:3], ["a", "b", "c"], ["a", "b", "c"]))
    first.merge_state(second)
    assert float(first.compute()) == pytest.approx(float(metric.compute()), abs=1e-12)


def test_frames_smaller_than_half_a_window_are_refused():
    tiny = torch.zeros(1, 1, 3, 5, 40)
    with pytest.raises(InputError, match="40x5 pixels and SSIM needs 6"):
        StructuralSimilarity().score(Pairs(tiny, tiny, ["lift"], ["a"]))
