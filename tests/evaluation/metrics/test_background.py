"""Stability of the background: known drifts outside known regions, and distances counted pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from showme.evaluation.metrics.background import BackgroundStability, dilated
from showme.evaluation.metrics.base import Pairs
from tests.evaluation.metrics.test_region_iou import square_hand

pytest.importorskip("cv2", reason="OpenCV is not installed: pip install opencv-python-headless")

_SIDE = 32
_LEFT, _TOP, _HAND = 4, 8, 10


def estimator(frames: np.ndarray):
    """A known hand in every frame that is not black."""
    return [[square_hand(_LEFT, _TOP, _HAND)] if frame.any() else [] for frame in frames]


def pairs_of(generated: torch.Tensor, reference: torch.Tensor) -> Pairs:
    names = [str(index) for index in range(len(generated))]
    return Pairs(generated, reference, names, names)


@pytest.mark.parametrize("margin", [0, 1.0, 2.5, 6])
def test_dilation_is_all_that_is_near(margin):
    mask = np.random.default_rng(0).random((20, 30)) > 0.97
    rows, columns = np.nonzero(mask)
    there = np.mgrid[:20, :30]
    nearest = np.hypot(there[0][..., None] - rows, there[1][..., None] - columns).min(-1)
    np.testing.assert_array_equal(dilated(mask, margin), nearest <= margin)
    assert not dilated(np.zeros((4, 4), bool), margin).any()


def test_only_what_drifts_outside_region_and_margin_counts():
    true = torch.full((1, 3, 3, _SIDE, _SIDE), 0.5)
    clip = true.clone()
    margin = 2
    # The hand with its margin changes wildly.
    rows = slice(_TOP - margin, _TOP + _HAND + margin)
    clip[0, 1, :, rows, _LEFT : _LEFT + _HAND] = 1.0
    clip[0, 2, :, _TOP : _TOP + _HAND, _LEFT - margin : _LEFT + _HAND + margin] = 0.0
    metric = BackgroundStability(estimator, "known", margin=margin / _SIDE)
    assert float(metric.score(pairs_of(clip, true))) == 0
    # One row further, the row's share of the background turns white in one of two frames.
    clip[0, 1, :, _TOP - margin - 1, _LEFT : _LEFT + _HAND] = 1.0
    background = _SIDE**2 - int(dilated(region_of_the_hand(), margin).sum())
    value = metric.score(pairs_of(clip, true))
    assert float(value) == pytest.approx(127.5 * _HAND / background / 2, rel=1e-9)


def region_of_the_hand() -> np.ndarray:
    mask = np.zeros((_SIDE, _SIDE), bool)
    mask[_TOP : _TOP + _HAND, _LEFT : _LEFT + _HAND] = True
    return mask


def test_a_drift_costs_its_levels_and_each_clip_is_held_against_itself():
    true = torch.full((1, 3, 3, _SIDE, _SIDE), 0.2)
    levels = torch.tensor([100, 104, 112]) / 255
    clip = levels[None, :, None, None, None].expand_as(true)
    assert float(BackgroundStability(estimator, "known").score(pairs_of(clip, true))) == pytest.approx(
        (4 + 12) / 2, rel=1e-5
    )
    assert float(BackgroundStability(estimator, "known", of="reference").score(pairs_of(clip, true))) == 0
    backwards = BackgroundStability(estimator, "known", of="reference").score(pairs_of(true, clip))
    assert float(backwards) == pytest.approx(8, rel=1e-5)


def test_clips_that_show_nothing_get_nan():
    metric = BackgroundStability(estimator, "known")
    lit, black = torch.full((1, 2, 3, _SIDE, _SIDE), 0.5), torch.zeros(1, 2, 3, _SIDE, _SIDE)
    assert metric.score(pairs_of(lit, black)).isnan().all()
    assert metric.score(pairs_of(lit[:, :1], lit[:, :1])).isnan().all()
    assert BackgroundStability(estimator, "known", margin=2.0).score(pairs_of(lit, lit)).isnan().all()


def test_merged_is_all_at_once_in_any_order():
    torch.manual_seed(0)
    batches = [pairs_of(torch.rand(2, 2, 3, _SIDE, _SIDE), torch.rand(2, 2, 3, _SIDE, _SIDE)) for _ in range(3)]
    whole, first, second = (BackgroundStability(estimator, "known") for _ in range(3))
    for index, batch in enumerate(batches):
        whole.update(batch)
        (first if index else second).update(batch)
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), whole.compute(), rtol=1e-12, atol=0)
