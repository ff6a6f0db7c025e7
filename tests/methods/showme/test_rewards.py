"""Reward terms: gradient to the network, per-sample gates, and each lowers its own measure when tuned alone."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler

from showme.backbones.paths import DiscretePath
from showme.losses.motion import motion_divergence
from showme.losses.structure import edge_reward
from showme.methods.showme.rewards import motion_terms, structure_terms
from showme.methods.step import Step
from showme.perception.edges import SobelEdges

PATH = DiscretePath(DDIMScheduler(prediction_type="v_prediction"))


def decode(latents):
    return torch.nn.functional.interpolate(latents[:, :3, 0], scale_factor=4, mode="bilinear").sigmoid()[:, None]


def step(timesteps: list[int], frames: int, prediction: torch.Tensor | None = None) -> Step:
    torch.manual_seed(0)
    shape = (len(timesteps), 4, frames, 8, 8)
    prediction = torch.randn(shape, requires_grad=True) if prediction is None else prediction
    noisy = torch.randn(shape)
    return Step(PATH, noisy, prediction, torch.randn(shape), torch.tensor(timesteps))


def test_structure_speaks_at_small_timesteps_only():
    estimator, edges = SobelEdges(), torch.rand(3, 1, 32, 32)
    made = step([100, 500, 200], frames=1)
    terms = structure_terms(made, decode, {"edge": estimator, "depth": estimator}, {"edge": edges, "depth": edges})
    assert set(terms) == {"edge", "depth"}
    sum(terms.values()).backward()
    slope = made.prediction.grad.abs().amax((1, 2, 3, 4))
    assert slope[0] > 0
    assert slope[1] == 0
    assert slope[2] > 0


def test_motion_speaks_at_large_timesteps_only():
    flow = torch.rand(3, 4, 8, 8)
    made = step([100, 700, 999], frames=5)
    motion_terms(made, flow)["motion"].backward()
    slope = made.prediction.grad.abs().amax((1, 2, 3, 4))
    assert slope[0] == 0
    assert slope[1] > 0
    assert slope[2] > 0


def test_outside_every_gate_there_is_nothing():
    assert float(motion_terms(step([0, 1], 3), torch.rand(2, 2, 8, 8))["motion"]) == 0.0
    terms = structure_terms(step([900, 999], 1), decode, {"edge": SobelEdges()}, {"edge": torch.zeros(2)})
    assert float(terms["edge"]) == 0.0


def test_one_sample_outside_leaves_the_terms_of_the_others():
    flow = torch.rand(2, 4, 8, 8)
    both = step([50, 800], frames=5)
    alone = Step(PATH, *(x[1:] for x in (both.noisy, both.prediction, both.target, both.level)))
    torch.testing.assert_close(2 * motion_terms(both, flow)["motion"], motion_terms(alone, flow[1:])["motion"])


@pytest.mark.parametrize("kind", ["edge", "motion"])
def test_a_reward_tuned_alone_lowers_its_own_measure(kind):
    torch.manual_seed(0)
    prediction = torch.nn.Parameter(torch.randn(4, 4, 1 if kind == "edge" else 5, 8, 8))
    timesteps = [0, 50, 100, 200] if kind == "edge" else [700, 800, 900, 950]
    made = step(timesteps, prediction.shape[2], prediction)
    estimator, flow = SobelEdges(), torch.rand(4, 4, 8, 8)
    edges = estimator(decode(torch.randn(4, 4, 1, 8, 8))[:, 0])

    def measure() -> float:
        with torch.no_grad():
            clean = PATH.clean(made.noisy, prediction, made.level)
            if kind == "edge":
                return float(edge_reward(estimator(decode(clean)[:, 0]), edges).mean())
            return float(motion_divergence(clean, flow).mean())

    before = measure()
    optimizer = torch.optim.Adam([prediction], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        if kind == "edge":
            term = structure_terms(made, decode, {"edge": estimator}, {"edge": edges})["edge"]
        else:
            term = motion_terms(made, flow)["motion"]
        term.backward()
        optimizer.step()
    assert measure() < 0.7 * before


def test_unknown_estimators_are_refused():
    with pytest.raises(ValueError, match="colour"):
        structure_terms(step([1], 1), decode, {"colour": SobelEdges()}, {})
