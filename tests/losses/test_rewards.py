"""Each reward is its equation, its gradient is the slope, and its gate opens sample by sample."""

from __future__ import annotations

import math

import pytest
import torch

from showme.losses.gate import gated_mean, gated_rows
from showme.losses.motion import latent_motion, motion_divergence, motion_reward, pooled_flow_magnitude
from showme.losses.structure import depth_reward, edge_reward


def test_gates_choose_samples_not_batches():
    log_snr = torch.tensor([0, 200, 201, 700, 999])
    assert gated_rows(log_snr, most=200).tolist() == [0, 1]
    assert gated_rows(log_snr, least=700).tolist() == [3, 4]
    assert gated_rows(log_snr[:3], least=700).tolist() == []
    values = torch.tensor([2.0, 4.0])
    assert float(gated_mean(values, 5)) == pytest.approx(6 / 5)
    assert float(gated_mean(values[:0], 5)) == 0.0


def test_parts_of_a_batch_add_up_to_it():
    values, timesteps = torch.rand(8), torch.tensor([5, 300, 100, 900, 200, 250, 0, 1])
    whole = gated_mean(values[gated_rows(timesteps, most=200)], 8)
    halves = []
    for v, t in zip(values.split(4), timesteps.split(4), strict=True):
        halves.append(gated_mean(v[gated_rows(t, most=200)], 4))
    torch.testing.assert_close(whole, sum(halves) / 2)


def test_edge_reward_is_a_mean_of_squares_per_picture():
    edges, target = torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    edges[1] = 0.5
    assert edge_reward(edges, target).tolist() == [0.0, 0.25]


def test_depth_reward_knows_no_scale_and_no_neighbour():
    torch.manual_seed(0)
    depth, target = torch.rand(3, 1, 6, 6), torch.rand(3, 1, 6, 6)
    together = depth_reward(depth, target)
    torch.testing.assert_close(depth_reward(5 * depth + 3, target), together)
    torch.testing.assert_close(depth_reward(depth[:1], target[:1]), together[:1])
    assert torch.isfinite(depth_reward(torch.ones(1, 1, 4, 4), target[:1, :, :4, :4])).all(), "a flat picture"


def test_motion_divergence_by_hand():
    # One place, two steps in time: the latent moves 3 then 1, the flow 1 then 1.
    latents = torch.tensor([0.0, 3.0, 4.0]).view(1, 1, 3, 1, 1)
    flow = torch.ones(1, 2, 1, 1)
    expected = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert float(motion_divergence(latents, flow)) == pytest.approx(expected, abs=1e-5)
    assert float(motion_reward(latents, flow)) == pytest.approx(0.01 * expected, abs=1e-7)
    assert float(motion_divergence(latents, torch.tensor([6.0, 2.0]).view(1, 2, 1, 1))) == pytest.approx(0, abs=1e-5)


def test_flow_is_measured_in_lengths_and_pooled():
    flow = torch.zeros(1, 1, 2, 4, 4)
    flow[..., 0, :2, :2], flow[..., 1, :2, :2] = 3.0, 4.0
    assert pooled_flow_magnitude(flow, (2, 2))[0, 0].tolist() == [[5.0, 0.0], [0.0, 0.0]]


def test_what_stands_still_has_a_gradient_of_zero():
    latents = torch.zeros(1, 2, 4, 3, 3, requires_grad=True)
    latent_motion(latents).sum().backward()
    assert not latents.grad.any()


REWARDS = {
    "edge": (edge_reward, (2, 1, 3, 3), (2, 1, 3, 3)),
    "depth": (depth_reward, (2, 1, 3, 3), (2, 1, 3, 3)),
    "motion": (motion_reward, (2, 2, 4, 2, 2), (2, 3, 2, 2)),
}


@pytest.mark.parametrize("name", REWARDS)
def test_gradients_agree_with_finite_differences(name):
    reward, shape, target_shape = REWARDS[name]
    torch.manual_seed(1)
    x, target = torch.rand(shape), torch.rand(target_shape)
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(reward(leaf, target).sum(), leaf)
    for _ in range(5):
        direction = torch.randn(shape)
        step = 1e-2 * direction / direction.norm()
        with torch.no_grad():
            difference = (reward(x + step, target) - reward(x - step, target)).sum() / 2
        assert float(difference) == pytest.approx(float((slope * step).sum()), rel=2e-2, abs=1e-7)
