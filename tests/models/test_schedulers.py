"""Dynamic rescale against the mathematics: the forward process, its inverse, and a perfect predictor."""

from __future__ import annotations

import pytest
import torch

from showme.models.guidance import rescale_guidance
from showme.models.schedulers import DynamicRescaleDDIMScheduler


@pytest.fixture
def scheduler() -> DynamicRescaleDDIMScheduler:
    return DynamicRescaleDDIMScheduler(rescale_base=0.7)


def test_factor_falls_linearly_then_stays(scheduler):
    assert scheduler.rescale[0] == 1.0
    assert float(scheduler.rescale[399]) == pytest.approx(0.7)
    assert float(scheduler.rescale[200]) == pytest.approx(1 - 0.3 * 200 / 399)
    assert (scheduler.rescale[400:] == scheduler.rescale[399]).all()


def test_forward_process(scheduler):
    z0, noise, t = torch.randn(3, 2, 4), torch.randn(3, 2, 4), torch.tensor([0, 250, 900])
    abar = scheduler.alphas_cumprod[t][:, None, None]
    s = scheduler.rescale[t][:, None, None]
    expected = abar.sqrt() * s * z0 + (1 - abar).sqrt() * noise
    torch.testing.assert_close(scheduler.add_noise(z0, noise, t), expected)
    velocity = abar.sqrt() * noise - (1 - abar).sqrt() * s * z0
    torch.testing.assert_close(scheduler.get_velocity(z0, noise, t), velocity)


def test_a_perfect_predictor_follows_the_forward_process_back(scheduler):
    z0, noise = torch.randn(1, 2, 4), torch.randn(1, 2, 4)
    scheduler.set_timesteps(20)
    z = noise
    for t, following in zip(scheduler.timesteps[:-1], scheduler.timesteps[1:], strict=True):
        velocity = scheduler.get_velocity(z0, noise, t.reshape(1))
        z = scheduler.step(velocity, t, z).prev_sample
        torch.testing.assert_close(z, scheduler.add_noise(z0, noise, following.reshape(1)), atol=1e-5, rtol=1e-5)


def test_config_round_trip(scheduler, tmp_path):
    scheduler.save_pretrained(tmp_path)
    again = DynamicRescaleDDIMScheduler.from_pretrained(tmp_path)
    assert again.config.rescale_base == 0.7
    assert torch.equal(again.rescale, scheduler.rescale)


def test_guidance_rescale_restores_the_spread():
    guided, conditional = torch.randn(2, 3, 4) * 5, torch.randn(2, 3, 4)
    full = rescale_guidance(guided, conditional, 1.0)
    torch.testing.assert_close(full.std((1, 2)), conditional.std((1, 2)))
    torch.testing.assert_close(rescale_guidance(guided, conditional, 0.0), guided)
