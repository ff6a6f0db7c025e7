"""PSNR where the true hands are: errors of a known size, in the hull and outside."""

from __future__ import annotations

import math

import pytest
import torch

from tests.evaluation.metrics.test_background import _HAND, _LEFT, _SIDE, _TOP, estimator, pairs_of

pytest.importorskip("cv2", reason="OpenCV is not installed: pip install opencv-python-headless")

from showme.evaluation.metrics.hand_psnr import HandPsnr


def test_only_the_pixels_of_true_hands_count_frame_by_frame():
    true = torch.full((2, 3, 3, _SIDE, _SIDE), 102 / 255)
    # The second clip has a hand in its last frame alone: black frames have none.
    true[1, :2] = 0
    made = true.clone()
    made[:, :, :, : _TOP - 1] = 1
    hand = (slice(_TOP, _TOP + _HAND), slice(_LEFT, _LEFT + _HAND))
    made[0, 1, :, *hand] = 153 / 255
    made[1, 2, :, *hand] = 127.5 / 255
    values = HandPsnr(estimator, "known").score(pairs_of(made, true))
    wrong = -20 * math.log10(51 / 255)
    # Two frames are right, which counts 100 dB; half a level is rounded to a whole one.
    assert values[0] == pytest.approx((200 + wrong) / 3)
    assert values[1] == pytest.approx(-20 * math.log10(26 / 255))


def test_without_a_true_hand_there_is_no_figure():
    black = torch.zeros(1, 2, 3, _SIDE, _SIDE)
    assert HandPsnr(estimator, "known").score(pairs_of(black, black)).isnan().all()
