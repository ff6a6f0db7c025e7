"""ShowMe's motion reward (arXiv 2511.17839, method figure): when each place moves, by flow and by the latents."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WEIGHT = 1e-2
_EPSILON = 1e-6


def pooled_flow_magnitude(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """p_t = pool(|| F_t ||_2): lengths of the flow, averaged over each latent place.

    Args:
        flow: (B, T - 1, 2, H, W), pixels per frame.
        size: (h, w) of the latent.

    Returns:
        (B, T - 1, h, w).
    """
    return F.adaptive_avg_pool2d(flow.float().norm(dim=2), size)


def latent_motion(latents: Tensor) -> Tensor:
    """q_t = || z^{t+1} - z^t ||_2 over the channels: (B, C, T, h, w) -> (B, T - 1, h, w)."""
    steps = latents.float().diff(dim=2)
    # The root's slope at zero is infinite; where nothing moves the gradient must be zero, not NaN.
    return (steps.square().sum(1) + torch.finfo(steps.dtype).tiny).sqrt()


def motion_reward(latents: Tensor, flow_magnitude: Tensor) -> Tensor:
    """L_mo = alpha mean over places of sum_t P_t (log P_t - log Q_t), alpha = 1e-2.

    P_t = (p_t + e) / sum_tau (p_tau + e) and Q_t likewise of q, e = 1e-6: at each latent place a distribution over
    time. The gradient flows through Q alone.

    Args:
        latents: z0_hat, (G, C, T, h, w), with gradient.
        flow_magnitude: p, (G, T - 1, h, w), of the true clip (:func:`pooled_flow_magnitude`).

    Returns:
        (G,), one value per clip.
    """
    return WEIGHT * motion_divergence(latents, flow_magnitude)


def motion_divergence(latents: Tensor, flow_magnitude: Tensor) -> Tensor:
    """The reward without its weight: KL(P || Q) over time, mean over places, (G,); arguments as above."""
    return divergence_over_time(flow_magnitude.float(), latent_motion(latents))


def divergence_over_time(magnitude: Tensor, other: Tensor) -> Tensor:
    """KL(P || Q) of when each place moves, mean over places: two magnitudes (G, T - 1, h, w) -> (G,)."""
    p, q = _over_time(magnitude), _over_time(other)
    return (p * (p.log() - q.log())).sum(1).flatten(1).mean(1)


def _over_time(magnitude: Tensor) -> Tensor:
    shifted = magnitude + _EPSILON
    return shifted / shifted.sum(1, keepdim=True)
