"""The ways from latents to noise: DDPM's timesteps, EDM's sigmas, flow matching's straight line.

What they have in common is the log-SNR of a level, ln(signal power / noise power), which falls from latents to noise. A
level is a tensor (B,): a timestep t, sigma, or the flow's sigma.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor

# What lies farther out of a normal distribution is not drawn.
_TAIL = 1e-6
_FLOW_TIMESTEPS = 1000
# Where SVD's schedule ends.
_LEAST_SIGMA = 0.002


class NoisePath(Protocol):
    """From z_0 and noise, both (B, ...), to what a network sees and should say."""

    def draw(self, u: Tensor) -> Tensor:
        """Uniform numbers in [0, 1) -> levels, as training draws them."""

    def within(self, u: Tensor, least: float, most: float) -> Tensor:
        """Uniform numbers in [0, 1) -> levels whose log-SNR is in [least, most].

        Raises:
            ValueError: there is no such level.
        """

    def noised(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """z_0, noise -> what the network sees at a level."""

    def target(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """What the network should predict."""

    def clean(self, noisy: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        """z0_hat: the latents that one step predicts, with gradient."""

    def log_snr(self, level: Tensor) -> Tensor:
        """(B,) -> (B,)."""

    def at(self, timestep: Tensor) -> Tensor:
        """The level that a diffusers scheduler of this path means by a timestep."""

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """The level at a share of the way from one to another, both (B,); an ``end`` below 0 stands for no noise."""


class DiscretePath:
    """DDPM: z_t = sqrt(abar_t) s_t z_0 + sqrt(1 - abar_t) eps with whole timesteps t, by a diffusers scheduler.

    s_t is 1 but for :class:`showme.models.schedulers.DynamicRescaleDDIMScheduler`.

    Args:
        scheduler: with ``prediction_type`` ``epsilon`` or ``v_prediction``.
    """

    def __init__(self, scheduler: Any):
        self.scheduler = scheduler

    @property
    def count(self) -> int:
        """N, of timesteps."""
        return self.scheduler.config.num_train_timesteps

    def draw(self, u: Tensor) -> Tensor:
        return (self.count * u.double()).long()

    def within(self, u: Tensor, least: float, most: float) -> Tensor:
        log_snr = self.log_snr(torch.arange(self.count))
        inside = ((log_snr >= least) & (log_snr <= most)).nonzero()[:, 0]
        if not len(inside):
            raise ValueError(f"no timestep has a log-SNR in [{least:.3f}, {most:.3f}].")
        return inside.to(u.device)[(len(inside) * u.double()).long()]

    def noised(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        return self.scheduler.add_noise(latents, noise, level)

    def target(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """eps, or v = sqrt(abar_t) eps - sqrt(1 - abar_t) s_t z_0 (arXiv 2202.00512)."""
        return noise if self._predicts_noise() else self.scheduler.get_velocity(latents, noise, level)

    def clean(self, noisy: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        """(z_t - sqrt(1 - abar_t) eps) / sqrt(abar_t), or sqrt(abar_t) z_t - sqrt(1 - abar_t) v, over s_t."""
        abar = _like(self.scheduler.alphas_cumprod, noisy, level)
        if self._predicts_noise():
            clean = (noisy - (1 - abar).sqrt() * prediction) / abar.sqrt()
        else:
            clean = abar.sqrt() * noisy - (1 - abar).sqrt() * prediction
        factor = getattr(self.scheduler, "rescale", None)
        return clean if factor is None else clean / _like(factor, noisy, level)

    def log_snr(self, level: Tensor) -> Tensor:
        """ln(abar_t s_t^2 / (1 - abar_t)), in double precision."""
        abar = self.scheduler.alphas_cumprod.double().to(level.device)[level]
        factor = getattr(self.scheduler, "rescale", None)
        signal = abar if factor is None else abar * factor.double().to(level.device)[level].square()
        return (signal / (1 - abar)).log()

    def at(self, timestep: Tensor) -> Tensor:
        return timestep

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        # Timesteps of a scheduler that goes backward from the last: 999, 899, ..., 99, and then there is no noise.
        return (start + share * (end.clamp(min=-1) - start)).round().long()

    def _predicts_noise(self) -> bool:
        kind = self.scheduler.config.prediction_type
        if kind not in ("epsilon", "v_prediction"):
            raise ValueError(f"prediction_type {kind!r}: epsilon or v_prediction are supported.")
        return kind == "epsilon"


class FlowPath:
    """Flow matching (arXiv 2210.02747): z_s = (1 - s) z_0 + s eps, s in [0, 1]; the target is eps - z_0.

    Args:
        shift: s = shift u / (1 + (shift - 1) u): above 1 the noisy end is drawn oftener (arXiv 2403.03206, eq. 23).
    """

    def __init__(self, shift: float = 1.0):
        self.shift = shift

    def draw(self, u: Tensor) -> Tensor:
        return (self.shift * u / (1 + (self.shift - 1) * u)).float()

    def within(self, u: Tensor, least: float, most: float) -> Tensor:
        low, high = self._level(most), self._level(least)
        if low > high:
            raise ValueError(f"no sigma has a log-SNR in [{least:.3f}, {most:.3f}].")
        # The shift is one to one: uniform among the numbers that it would have put there.
        first, last = self._drawn_by(low), self._drawn_by(high)
        return self.draw(first + (last - first) * u.double()).clamp(low, high)

    def noised(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        s = _shaped(level, latents)
        return (1 - s) * latents + s * noise

    def target(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        return noise - latents

    def clean(self, noisy: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        return noisy - _shaped(level, noisy) * prediction

    def log_snr(self, level: Tensor) -> Tensor:
        """2 ln((1 - s) / s)."""
        return 2 * ((1 - level.double()).log() - level.double().log())

    def at(self, timestep: Tensor) -> Tensor:
        """Schedulers count sigma in thousandths."""
        return timestep / _FLOW_TIMESTEPS

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        return start + share * (end.clamp(min=0) - start)

    def _drawn_by(self, level: float) -> float:
        return level / (self.shift - (self.shift - 1) * level)

    @staticmethod
    def _level(log_snr: float) -> float:
        return 1 / (1 + math.exp(log_snr / 2))


class EDMPath:
    """EDM (arXiv 2206.00364): z_s = z_0 + s eps, preconditioned as v-prediction is (table 1 with sigma_data = 1).

    z0_hat = z_s / (s^2 + 1) - s / sqrt(s^2 + 1) F, F being what the network says; the plain squared error of F equals
    the paper's weight (s^2 + 1) / s^2 on that of z0_hat.

    Args:
        mean, deviation: ln s is drawn from N(mean, deviation^2).
    """

    def __init__(self, mean: float = 0.7, deviation: float = 1.6):
        self.mean, self.deviation = mean, deviation

    def draw(self, u: Tensor) -> Tensor:
        return self._at(u.double().clamp(_TAIL, 1 - _TAIL))

    def within(self, u: Tensor, least: float, most: float) -> Tensor:
        normal = torch.distributions.Normal(self.mean, self.deviation)
        first, last = (float(normal.cdf(torch.tensor(-bound / 2, dtype=torch.float64))) for bound in (most, least))
        first, last = max(first, _TAIL), min(last, 1 - _TAIL)
        if first >= last:
            raise ValueError(f"no sigma has a log-SNR in [{least:.3f}, {most:.3f}].")
        return self._at(first + (last - first) * u.double())

    def noised(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        return latents + _shaped(level, latents) * noise

    def target(self, latents: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        s = _shaped(level, latents)
        return (noise - s * latents) / (s.square() + 1).sqrt()

    def clean(self, noisy: Tensor, prediction: Tensor, level: Tensor) -> Tensor:
        s = _shaped(level, noisy)
        return noisy / (s.square() + 1) - s / (s.square() + 1).sqrt() * prediction

    def log_snr(self, level: Tensor) -> Tensor:
        """-2 ln s."""
        return -2 * level.double().log()

    def at(self, timestep: Tensor) -> Tensor:
        """With continuous timesteps Euler's scheduler gives the network ln s / 4, table 1's c_noise."""
        return (4 * timestep).exp()

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        return start * (end.clamp(min=_LEAST_SIGMA) / start) ** share

    def _at(self, share: Tensor) -> Tensor:
        deviations = math.sqrt(2) * torch.erfinv(2 * share - 1)
        return (self.mean + self.deviation * deviations).exp().float()


def jump(path: NoisePath, noisy: Tensor, prediction: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """z at ``end`` from z at ``start``, straight on along what the network predicts: a step of Euler or of DDIM.

    Args:
        path: of both levels.
        noisy, prediction: (B, ...).
        start, end: levels (B,), ``start`` the noisier; an ``end`` below 0 stands for no noise.
    """
    clean = path.clean(noisy, prediction, start)
    nothing, ones = torch.zeros_like(noisy[:, :1]), torch.ones_like(noisy[:, :1])
    noise = (noisy - path.noised(clean, torch.zeros_like(noisy), start)) / path.noised(nothing, ones, start)
    there = _shaped(end, noisy) < 0
    return torch.where(there, clean, path.noised(clean, noise, torch.where(end < 0, start, end)))


def _like(table: Tensor, latents: Tensor, level: Tensor) -> Tensor:
    """Entries of a table of timesteps, laid beside latents (B, ...)."""
    return _shaped(table.to(latents.device, latents.dtype)[level], latents)


def _shaped(level: Tensor, latents: Tensor) -> Tensor:
    return level.to(latents.dtype).reshape(-1, *[1] * (latents.ndim - 1))
