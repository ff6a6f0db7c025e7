"""Motion smoothness, and warping that is exact where everything moves alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.motion_smoothness import FlowMiddle, MotionSmoothness, warp
from showme.perception.flow import DisFlow


def sliding(right: int, down: int, frames: int, size: int = 24) -> torch.Tensor:
    """White noise in whole levels that moves by whole pixels a frame, (1, T, 3, size, size)."""
    torch.manual_seed(0)
    margin = frames * max(abs(right), abs(down))
    texture = torch.randint(0, 256, (3, size + 2 * margin, size + 2 * margin)).float() / 255
    views = []
    for t in range(frames):
        top, left = margin - t * down, margin - t * right
        views.append(texture[:, top : top + size, left : left + size])
    return torch.stack(views)[None]


def uniform_flow(right: float, down: float):
    """Knows that the second frame of each clip is the first, moved, and the third the first again."""

    def flow(clips: torch.Tensor) -> torch.Tensor:
        count, _, _, height, width = clips.shape
        moved = torch.tensor([right, down]).view(1, 2, 1, 1).expand(count, 2, height, width)
        return torch.stack([moved, -moved], 1)

    return flow


def pairs_of(clips: torch.Tensor) -> Pairs:
    names = [str(index) for index in range(len(clips))]
    return Pairs(clips, clips, names, names)


@pytest.mark.parametrize(("right", "down"), [(0, 0), (1, 0), (0, -2), (3, 2)])
def test_halfway_along_a_translation_is_the_frame_between(right, down):
    first, between, second = sliding(right, down, 3)[0]
    middle = FlowMiddle(uniform_flow(2 * right, 2 * down))(first[None], second[None])[0]
    # Every pixel of the middle frame is in one of the two, but for corners that each lost.
    rows, columns = (slice(abs(step), 24 - abs(step)) for step in (down, right))
    torch.testing.assert_close(middle[:, rows, columns], between[:, rows, columns], atol=1e-5, rtol=0)
    if not right or not down:
        torch.testing.assert_close(middle, between, atol=1e-5, rtol=0)


def test_warp_is_bilinear_lookup():
    torch.manual_seed(0)
    picture, flow = torch.rand(1, 2, 9, 7).double(), 2 * torch.randn(1, 2, 9, 7).double()
    seen, inside = warp(picture, flow)
    from scipy.ndimage import map_coordinates

    rows, columns = np.mgrid[:9, :7]
    y, x = rows + flow[0, 1].numpy(), columns + flow[0, 0].numpy()
    for channel in range(2):
        expected = map_coordinates(picture[0, channel].numpy(), [y, x], order=1, mode="nearest")
        np.testing.assert_allclose(seen[0, channel].numpy(), expected, atol=1e-9)
    np.testing.assert_array_equal(inside[0, 0].numpy() == 1, (abs(x - 3) <= 3.5) & (abs(y - 4) <= 4.5))


@pytest.mark.parametrize("frames", [3, 6, 7, 20])
def test_smoothness_is_vbench_s_in_whole_levels(frames):
    torch.manual_seed(1)
    clip = torch.randint(0, 256, (1, frames, 3, 5, 6)).float() / 255
    value = MotionSmoothness(lambda a, b: 0.25 * a + 0.75 * b + 0.1 / 255, "weighted").score(pairs_of(clip))
    levels = (255 * clip[0]).round().numpy()
    differences = [
        np.abs(levels[t] - np.floor(0.25 * levels[t - 1] + 0.75 * levels[t + 1] + 0.1)).mean()
        for t in range(1, frames - 1, 2)
    ]
    assert float(value) == pytest.approx((255 - np.mean(differences)) / 255, abs=1e-6)


def test_a_clip_that_stands_still_is_perfectly_smooth_and_a_flash_costs_its_levels():
    clip = (torch.arange(256).float() / 255).expand(1, 5, 3, 4, 256).clone()
    metric = MotionSmoothness(lambda a, b: (a + b) / 2, "mean")
    assert float(metric.score(pairs_of(clip))) == 1
    clip[0, 1] = (clip[0, 1] - 51 / 255).abs()
    flash = np.abs(np.abs(np.arange(256) - 51) - np.arange(256)).mean() / 2
    assert float(metric.score(pairs_of(clip))) == pytest.approx(1 - flash / 255, abs=1e-6)


def test_dis_finds_the_middle_of_smooth_pictures():
    pytest.importorskip("cv2", reason="OpenCV is not installed: pip install opencv-python-headless")
    from tests.perception.test_flow import sliding_clip

    clip = sliding_clip(3, 0, frames=5)
    smooth = MotionSmoothness(FlowMiddle(DisFlow()), "flow:dis").score(pairs_of(clip))
    shuffled = MotionSmoothness(FlowMiddle(DisFlow()), "flow:dis").score(pairs_of(clip[:, [0, 4, 1, 3, 2]]))
    blended = MotionSmoothness(lambda a, b: (a + b) / 2, "mean").score(pairs_of(clip))
    assert float(smooth) > 0.99
    assert float(smooth) > float(blended) > float(shuffled)


def test_short_clips_are_refused_and_interpolators_differ_in_the_record():
    with pytest.raises(InputError, match="three frames"):
        MotionSmoothness(lambda a, b: a, "first").score(pairs_of(torch.zeros(1, 2, 3, 4, 4)))
    assert MotionSmoothness(len, "a").fingerprint != MotionSmoothness(len, "b").fingerprint


def test_merged_is_all_at_once_in_any_order():
    torch.manual_seed(0)
    batches = [pairs_of(torch.rand(2, 4, 3, 6, 6)) for _ in range(3)]
    whole, first, second = (MotionSmoothness(lambda a, b: (a + b) / 2, "mean") for _ in range(3))
    for index, batch in enumerate(batches):
        whole.update(batch)
        (first if index else second).update(batch)
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), whole.compute(), rtol=1e-12, atol=0)
