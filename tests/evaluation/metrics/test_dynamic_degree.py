"""Dynamic degree against VBench's rule written out in numpy, and the mean length of known flows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.dynamic_degree import DynamicDegree, FlowMagnitudeError
from showme.perception.flow import DisFlow

_HEIGHT, _WIDTH = 16, 24


def pairs_of(clips: torch.Tensor) -> Pairs:
    names = [str(index) for index in range(len(clips))]
    return Pairs(clips, torch.zeros_like(clips), names, names)


def painted_flow(clips: torch.Tensor) -> torch.Tensor:
    """The first two channels of each frame but the last, as pixels of flow."""
    return 2 * clips[:, :-1, :2]


def by_numpy(clip: np.ndarray, interval: int) -> bool:
    clip = clip[::interval]
    threshold, needed = 6 * min(_HEIGHT, _WIDTH) / 256, round(4 * len(clip) / 16)
    count = 0
    for frame in clip[:-1]:
        lengths = np.sort(np.hypot(2 * frame[0], 2 * frame[1]).ravel())[::-1]
        count += lengths[: int(lengths.size * 0.05)].mean() > threshold
    return count >= needed


@pytest.mark.parametrize(("fps", "interval"), [(8, 1), (3, 1), (12, 2), (24, 3)])
@pytest.mark.parametrize("frames", [9, 16, 40])
def test_vbench_s_rule(fps, interval, frames):
    generator = torch.Generator().manual_seed(frames)
    # Speeds on both sides of the threshold, of 0.375 pixels; still clips among them.
    scale = (
        0.25 * torch.rand(64, 1, 1, 1, 1, generator=generator) * (torch.arange(64) % 7 > 0)[:, None, None, None, None]
    )
    steps = (torch.rand(64, frames, 1, 1, 1, generator=generator) < 0.3).float()
    clips = torch.rand(64, frames, 3, _HEIGHT, _WIDTH, generator=generator) * scale * steps
    values = DynamicDegree(painted_flow, "painted", fps=fps).score(pairs_of(clips))
    expected = [by_numpy(clip, interval) for clip in clips.numpy()]
    assert values.tolist() == [float(each) for each in expected]
    assert 0 < sum(expected) < 64


def test_real_flow_tells_fast_from_slow():
    pytest.importorskip("cv2", reason="OpenCV is not installed: pip install opencv-python-headless")
    from tests.perception.test_flow import sliding_clip

    # The threshold at 96 pixels is 2.25.
    for speed, moves in ((4, 1), (1, 0)):
        pairs = pairs_of(sliding_clip(speed, 0, frames=6))
        assert float(DynamicDegree(DisFlow(), "dis").score(pairs)) == moves
        assert float(FlowMagnitudeError(DisFlow(), "dis").score(pairs)) == pytest.approx(speed, abs=0.35)


def test_the_error_beside_a_still_truth_is_the_mean_length():
    torch.manual_seed(0)
    clips = torch.rand(4, 21, 3, _HEIGHT, _WIDTH)
    lengths = 2 * np.hypot(clips[:, :-1, 0].double().numpy(), clips[:, :-1, 1].double().numpy())
    values = FlowMagnitudeError(painted_flow, "painted").score(pairs_of(clips))
    np.testing.assert_allclose(values.numpy(), lengths.mean((1, 2, 3)), rtol=1e-7)


def test_clips_too_short_or_too_small_are_refused():
    with pytest.raises(InputError, match=r"three frames .* not 2 of .* 5 at 24"):
        DynamicDegree(painted_flow, "painted", fps=24).score(pairs_of(torch.zeros(1, 5, 3, 8, 8)))
    with pytest.raises(InputError, match="20 pixels"):
        DynamicDegree(painted_flow, "painted").score(pairs_of(torch.zeros(1, 5, 3, 4, 4)))
    with pytest.raises(InputError, match="two frames"):
        FlowMagnitudeError(painted_flow, "painted").score(pairs_of(torch.zeros(1, 1, 3, 8, 8)))


@pytest.mark.parametrize("metric", [DynamicDegree, FlowMagnitudeError])
def test_merged_is_all_at_once_in_any_order(metric):
    torch.manual_seed(0)
    batches = [pairs_of(torch.rand(2, 4, 3, 8, 8) * scale) for scale in (0.01, 0.2, 1.0)]
    whole, first, second = (metric(painted_flow, "painted") for _ in range(3))
    for index, batch in enumerate(batches):
        whole.update(batch)
        (first if index else second).update(batch)
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), whole.compute(), rtol=1e-12, atol=0)
    assert metric(painted_flow, "painted").fingerprint != metric(painted_flow, "raft").fingerprint
