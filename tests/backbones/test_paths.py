"""Each path gives z_0 back, knows its log-SNR, and chooses the levels that rewards ask for."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

from showme.backbones.paths import DiscretePath, EDMPath, FlowPath, jump
from showme.methods.showme.rewards import motion_gate, structure_gate
from showme.models.schedulers import DynamicRescaleDDIMScheduler

SCHEDULERS = [
    DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type="epsilon"),
    DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012,
        prediction_type="v_prediction", rescale_betas_zero_snr=True,
    ),
    DynamicRescaleDDIMScheduler(rescale_base=0.3),
]  # fmt: skip
LEVELS = {
    FlowPath(3.0): torch.tensor([0.01, 0.3, 0.7, 0.99]),
    EDMPath(): torch.tensor([0.002, 0.5, 3.0, 700.0]),
    **{DiscretePath(scheduler): torch.tensor([0, 150, 399, 900]) for scheduler in SCHEDULERS},
}


@pytest.mark.parametrize("path", LEVELS)
def test_the_true_prediction_predicts_the_true_latent(path):
    torch.manual_seed(0)
    clean, noise = torch.randn(2, 4, 2, 3, 5, 5)
    level = LEVELS[path]
    noisy = path.noised(clean, noise, level)
    # EDM adds noise without end: what is left of the latents in fp32 is that much less.
    scale = (1 + level.max()) if isinstance(path, EDMPath) else 1
    predicted = path.clean(noisy, path.target(clean, noise, level), level)
    torch.testing.assert_close(predicted, clean, atol=float(2e-4 * scale), rtol=1e-4)


@pytest.mark.parametrize("path", LEVELS)
def test_log_snr_is_that_of_what_is_mixed_and_falls(path):
    level = LEVELS[path]
    one, zero = torch.ones(4, 1), torch.zeros(4, 1)
    signal, noise = path.noised(one, zero, level).double(), path.noised(zero, one, level).double()
    expected = (signal / noise).square().log()[:, 0]
    torch.testing.assert_close(path.log_snr(level), expected, atol=1e-3, rtol=1e-3)
    assert (path.log_snr(level).diff() < 0).all()


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_rewards_choose_the_papers_timesteps_on_every_schedule(scheduler):
    path = DiscretePath(scheduler)
    log_snr = path.log_snr(torch.arange(1000))
    low, high = structure_gate(path)
    assert ((log_snr >= low) & (log_snr <= high)).nonzero()[:, 0].tolist() == list(range(201))
    low, high = motion_gate(path)
    assert ((log_snr >= low) & (log_snr <= high)).nonzero()[:, 0].tolist() == list(range(700, 1000))


def test_other_paths_take_the_bounds_of_the_256_schedule():
    exact = DiscretePath(SCHEDULERS[0]).log_snr(torch.tensor([200, 700])) / math.log(10)
    assert exact.tolist() == pytest.approx([0.4857, -1.0460], abs=1e-4)
    for path in (FlowPath(), EDMPath()):
        assert structure_gate(path) == (pytest.approx(0.485 * math.log(10)), math.inf)
        assert motion_gate(path) == (-math.inf, pytest.approx(-1.045 * math.log(10)))
        # Flow's sigma 0.364 and 0.769, EDM's 0.57 and 3.33.
        edges = [float(path.within(torch.tensor(u), *gate(path))) for gate, u in
                 ((structure_gate, 1 - 1e-9), (motion_gate, 0.0))]  # fmt: skip
        expected = [0.364, 0.769] if isinstance(path, FlowPath) else [0.572, 3.33]
        assert edges == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("path", LEVELS)
def test_levels_can_be_drawn_inside_the_gate_alone(path):
    u = torch.linspace(0, 1 - 1e-9, 500, dtype=torch.float64)
    for gate in (structure_gate(path), motion_gate(path)):
        log_snr = path.log_snr(path.within(u, *gate))
        assert (log_snr >= gate[0] - 1e-5).all()
        assert (log_snr <= gate[1] + 1e-5).all()
        assert log_snr.unique().numel() > 190
    with pytest.raises(ValueError, match="log-SNR"):
        path.within(u, 40.0, 41.0) if isinstance(path, DiscretePath) else path.within(u, 1.0, 0.0)


def test_draws_follow_the_paths_own_distribution():
    u = torch.rand(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float(DiscretePath(SCHEDULERS[0]).draw(u).double().mean()) == pytest.approx(499.5, rel=0.02)
    # Shares inside the gates with shift 5: 10% and 60%.
    flow = FlowPath(5.0)
    log_snr = flow.log_snr(flow.draw(u))
    assert float((log_snr >= structure_gate(flow)[0]).double().mean()) == pytest.approx(0.103, abs=0.01)
    assert float((log_snr <= motion_gate(flow)[1]).double().mean()) == pytest.approx(0.60, abs=0.01)
    assert float(EDMPath(0.7, 1.6).draw(u).log().mean()) == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize(
    ("path", "scheduler"),
    [
        (FlowPath(), FlowMatchEulerDiscreteScheduler(shift=3.0)),
        (EDMPath(), EulerDiscreteScheduler(
            prediction_type="v_prediction", timestep_type="continuous", timestep_spacing="leading",
            use_karras_sigmas=True, sigma_min=0.002, sigma_max=700.0, interpolation_type="linear", steps_offset=1,
            beta_schedule="scaled_linear",
        )),
        (DiscretePath(DDIMScheduler(
            prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing",
            clip_sample=False, set_alpha_to_one=True,
        )), None),
    ],
)  # fmt: skip
def test_a_sampler_with_an_oracle_gives_the_latents_back(path, scheduler):
    """Finds a shift, a factor of 1,000 or a sign that training and sampling do not share."""
    scheduler = scheduler or path.scheduler
    torch.manual_seed(0)
    clean = torch.randn(1, 4, 2, 3, 3)
    scheduler.set_timesteps(20)
    latents = torch.randn(clean.shape) * getattr(scheduler, "init_noise_sigma", 1.0)
    for t in scheduler.timesteps:
        level = path.at(t.reshape(1))
        noise = _noise(path, latents, clean, level)
        latents = scheduler.step(path.target(clean, noise, level), t, latents).prev_sample
    torch.testing.assert_close(latents, clean, atol=1e-4, rtol=1e-4)


def _noise(path, latents, clean, level):
    """The noise that would have made ``latents`` of ``clean``."""
    one, zero = torch.ones_like(clean), torch.zeros_like(clean)
    return (latents - path.noised(clean, zero, level)) / path.noised(zero, one, level)


@pytest.mark.parametrize("path", LEVELS)
def test_the_true_prediction_jumps_along_the_true_way(path):
    torch.manual_seed(0)
    clean, noise = torch.randn(2, 3, 2, 3, 5, 5)
    start, end = LEVELS[path][[1, 2, 3]], LEVELS[path][[0, 1, 2]]
    noisy = path.noised(clean, noise, start)
    scale = 1 + start.max() if isinstance(path, EDMPath) else 1
    there = jump(path, noisy, path.target(clean, noise, start), start, end)
    torch.testing.assert_close(there, path.noised(clean, noise, end), atol=float(2e-4 * scale), rtol=1e-3)
    whole = jump(path, noisy, path.target(clean, noise, start), start, -torch.ones_like(end))
    torch.testing.assert_close(whole, clean, atol=float(2e-4 * scale), rtol=1e-4)


@pytest.mark.parametrize(
    ("path", "scheduler"),
    [
        (DiscretePath(SCHEDULERS[1]), DDIMScheduler.from_config(
            SCHEDULERS[1].config, timestep_spacing="trailing", clip_sample=False,
        )),
        (FlowPath(3.0), FlowMatchEulerDiscreteScheduler(shift=3.0)),
        (EDMPath(), EulerDiscreteScheduler(
            prediction_type="v_prediction", timestep_type="continuous", use_karras_sigmas=True, sigma_min=0.002,
            sigma_max=700.0,
        )),
    ],
)  # fmt: skip
def test_a_jump_is_the_schedulers_step(path, scheduler):
    torch.manual_seed(0)
    noisy, prediction = torch.randn(2, 1, 2, 3, 5, 5)
    scheduler.set_timesteps(4)
    levels = path.at(scheduler.timesteps)
    for number, timestep in enumerate(scheduler.timesteps[:-1]):
        start, end = levels[number, None], levels[number + 1, None]
        if isinstance(path, EDMPath):
            scheduler.scale_model_input(noisy, timestep)
        stepped = scheduler.step(prediction, timestep, noisy, return_dict=False)[0]
        torch.testing.assert_close(jump(path, noisy, prediction, start, end), stepped, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("path", LEVELS)
def test_levels_between_two_fall_from_one_to_the_other(path):
    start, end = LEVELS[path][3:], LEVELS[path][1:2]
    shares = torch.linspace(0, 1, 7, dtype=torch.float64)[:, None]
    levels = torch.cat([path.between(start, end, share) for share in shares])
    assert (levels.diff() < 0).all()
    torch.testing.assert_close(levels[[0, -1]].double(), torch.cat([start, end]).double(), rtol=1e-5, atol=1e-5)
    last = torch.cat([path.between(start, -torch.ones_like(start), share) for share in shares[:-1]])
    assert (last.diff() < 0).all()
    assert (path.log_snr(last).isfinite()).all()
