"""ShowMe's reward tuning (arXiv 2511.17839, method figure): terms added to the denoising loss after each stage.

The structure reward looks at the picture that one denoising step of stage 1 predicts, the motion reward at the latents
that one step of stage 2 predicts. Both pass their gradient to the network; the released structure reward does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ...backbones.paths import DiscretePath, NoisePath
from ...losses import structure
from ...losses.gate import gated_mean, gated_rows
from ...losses.motion import motion_reward
from ..step import Step

# Pictures (N, 3, H, W) in [0, 1] -> edges or depth (N, 1, H, W): the frozen estimators of showme.perception.
Estimator = Callable[[Tensor], Tensor]

STRUCTURE_REWARDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "edge": structure.edge_reward,
    "depth": structure.depth_reward,
}
# t <= 200: only then is the picture that one step predicts sharp enough to have edges.
_LAST_TIMESTEP = 200
# t >= 700: motion is decided while little else is.
_FIRST_TIMESTEP = 700
# log10 SNR at these timesteps on DynamiCrafter-256's schedule, rounded outwards: for paths without timesteps.
_LAST_LOG10_SNR, _FIRST_LOG10_SNR = 0.485, -1.045


def structure_gate(path: NoisePath) -> tuple[float, float]:
    """The least and the most log-SNR at which the structure reward speaks."""
    return _log_snr_at(path, _LAST_TIMESTEP, _LAST_LOG10_SNR), math.inf


def motion_gate(path: NoisePath) -> tuple[float, float]:
    """The least and the most log-SNR at which the motion reward speaks."""
    return -math.inf, _log_snr_at(path, _FIRST_TIMESTEP, _FIRST_LOG10_SNR)


def _log_snr_at(path: NoisePath, timestep: int, otherwise: float) -> float:
    """Of a timestep, where the path has such: its own schedule's, so that exactly the paper's timesteps are chosen."""
    if isinstance(path, DiscretePath):
        return float(path.log_snr(torch.tensor(timestep)))
    return otherwise * math.log(10)


def structure_terms(
    step: Step,
    decode: Callable[[Tensor], Tensor],
    estimators: Mapping[str, Estimator],
    targets: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """One term per estimator: E of the predicted picture against E of the true one, for samples inside the gate.

    Args:
        step: of stage 1; the picture is its last slot.
        decode: latents (G, C, 1, h, w) -> pictures (G, 1, 3, H, W) in [0, 1], with gradient.
        estimators: ``edge``, ``depth`` or both.
        targets: what the same estimators say of the true frames, (B, 1, H, W) each: from the cache, never computed
            again.

    Raises:
        ValueError: an unknown estimator.
    """
    unknown = sorted(set(estimators) - set(STRUCTURE_REWARDS))
    if unknown:
        raise ValueError(f"structure rewards {unknown}: choose {' or '.join(STRUCTURE_REWARDS)}.")
    rows = gated_rows(step.path.log_snr(step.level), *structure_gate(step.path))
    if not len(rows):
        return {name: step.prediction.new_zeros(()) for name in estimators}
    picture = decode(step.clean(rows)[:, :, -1:])[:, 0]
    return {
        name: gated_mean(STRUCTURE_REWARDS[name](estimator(picture), targets[name][rows]), len(step.level))
        for name, estimator in estimators.items()
    }


def motion_terms(step: Step, flow_magnitude: Tensor) -> dict[str, Tensor]:
    """KL between when each place moves by the true flow and by the predicted latents, for samples inside the gate.

    Args:
        step: of stage 2.
        flow_magnitude: (B, T' - 1, h, w) of the true clips (:func:`showme.losses.motion.pooled_flow_magnitude`).
    """
    rows = gated_rows(step.path.log_snr(step.level), *motion_gate(step.path))
    if not len(rows):
        return {"motion": step.prediction.new_zeros(())}
    return {"motion": gated_mean(motion_reward(step.clean(rows), flow_magnitude[rows]), len(step.level))}
