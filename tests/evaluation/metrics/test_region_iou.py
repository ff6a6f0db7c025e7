"""IoU of regions of motion: shifted squares, whose overlap is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.region_iou import RegionOfMotionIou
from showme.perception.hands import Hand

pytest.importorskip("cv2", reason="OpenCV is not installed: pip install opencv-python-headless")


def square_hand(left: int, top: int, side: int) -> Hand:
    """A hand whose hull covers side x side pixels."""
    far = side - 1
    corners = np.array([[0, 0, 0], [far, 0, 0], [far, far, 0], [0, far, 0]])
    joints = np.array([left, top, 0]) + np.resize(corners, (21, 3))
    return Hand(joints.astype(np.float32), "right", 1.0, 1.0)


def square_estimator(frames: np.ndarray) -> list[list[Hand]]:
    """A hand of 10x10 pixels as far to the right as the frame is bright; none in black frames."""
    levels = frames[:, 0, 0, 0].tolist()
    return [[square_hand(level, 5, 10)] if level else [] for level in levels]


def pairs_of(generated: list[list[int]], true: list[list[int]]) -> Pairs:
    clips = [
        (torch.tensor(levels) / 255)[:, :, None, None, None].expand(-1, -1, 3, 32, 64) for levels in (generated, true)
    ]
    names = [str(index) for index in range(len(true))]
    return Pairs(*clips, names, names)


@pytest.mark.parametrize("shift", [0, 1, 4, 9, 10, 25])
def test_shifted_squares(shift):
    value = RegionOfMotionIou(square_estimator, "squares").score(pairs_of([[3 + shift]], [[3]]))
    shared = 10 * max(10 - shift, 0)
    assert float(value) == pytest.approx(shared / (200 - shared))


def test_the_region_is_the_union_over_frames_and_nothing_beside_nothing_has_no_value():
    metric = RegionOfMotionIou(square_estimator, "squares")
    # Over its frames the generated hand sweeps 20 columns, the true one 10 of them.
    value = metric.score(pairs_of([[3, 13], [0, 0], [0, 3]], [[3, 0], [0, 0], [0, 0]]))
    assert float(value[0]) == pytest.approx(0.5)
    assert value[1].isnan()
    assert float(value[2]) == 0


def test_merged_is_all_at_once_in_any_order():
    batches = [pairs_of([[a, b]], [[c, d]]) for a, b, c, d in [(1, 5, 3, 3), (0, 0, 0, 0), (9, 2, 8, 1)]]
    whole, first, second = (RegionOfMotionIou(square_estimator, "squares") for _ in range(3))
    for index, batch in enumerate(batches):
        whole.update(batch)
        (first if index else second).update(batch)
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), whole.compute(), rtol=1e-12, atol=0)
    assert first.coverage == whole.coverage == pytest.approx(2 / 3)
