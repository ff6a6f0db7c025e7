"""ShowMe's reward tuning (arXiv 2511.17839, method figure): terms added to the denoising loss after each stage.

The structure reward looks at the picture that one denoising step of stage 1 foretells, the motion reward at the latents
that one step of stage 2 foretells. Both pass their gradient to the network; the released structure reward does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from ...losses import structure
from ...losses.gate import gated_mean, gated_rows
from ...losses.motion import FIRST_TIMESTEP, motion_reward
from ...losses.one_step import one_step_denoised
from .denoising import Denoised

# Pictures (N, 3, H, W) in [0, 1] -> edges or depth (N, 1, H, W): the frozen eyes of showme.perception.
Eye = Callable[[Tensor], Tensor]

STRUCTURE_REWARDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "edge": structure.edge_reward,
    "depth": structure.depth_reward,
}


def structure_terms(
    denoised: Denoised,
    scheduler,
    decode: Callable[[Tensor], Tensor],
    eyes: Mapping[str, Eye],
    targets: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """One term per eye: E of the foretold picture against E of the true one, for samples with t <= 200.

    Args:
        denoised: a step of stage 1, T = 1.
        scheduler: its noise schedule.
        decode: scaled latents (N, C, h, w) -> pictures (N, 3, H, W) in [0, 1], with gradient.
        eyes: ``edge``, ``depth`` or both.
        targets: what the same eyes see in the true frames, (B, 1, H, W) each: from the cache, never looked at again.

    Raises:
        ValueError: an unknown eye, or a step of more than one frame.
    """
    unknown = sorted(set(eyes) - set(STRUCTURE_REWARDS))
    if unknown:
        raise ValueError(f"structure rewards {unknown}: choose {' or '.join(STRUCTURE_REWARDS)}.")
    if denoised.noisy.shape[2] != 1:
        raise ValueError(f"the structure reward looks at single frames, not at {denoised.noisy.shape[2]}.")
    batch = len(denoised.timesteps)
    rows = gated_rows(denoised.timesteps, at_most=structure.LAST_TIMESTEP)
    if not len(rows):
        return {name: denoised.prediction.new_zeros(()) for name in eyes}
    picture = decode(_foretold(denoised, scheduler, rows)[:, :, 0])
    return {
        name: gated_mean(STRUCTURE_REWARDS[name](eye(picture), targets[name][rows]), batch)
        for name, eye in eyes.items()
    }


def motion_terms(denoised: Denoised, scheduler, flow_magnitude: Tensor) -> dict[str, Tensor]:
    """KL between when each place moves by the true flow and by the foretold latents, for samples with t >= 700.

    Args:
        denoised: a step of stage 2.
        scheduler: its noise schedule.
        flow_magnitude: (B, T - 1, h, w) of the true clips (:func:`showme.losses.motion.pooled_flow_magnitude`).
    """
    rows = gated_rows(denoised.timesteps, at_least=FIRST_TIMESTEP)
    if not len(rows):
        return {"motion": denoised.prediction.new_zeros(())}
    rewards = motion_reward(_foretold(denoised, scheduler, rows), flow_magnitude[rows])
    return {"motion": gated_mean(rewards, len(denoised.timesteps))}


def _foretold(denoised: Denoised, scheduler, rows: Tensor) -> Tensor:
    """z0_hat of the samples inside the gate, in fp32."""
    noisy, prediction = denoised.noisy[rows].float(), denoised.prediction[rows].float()
    return one_step_denoised(scheduler, noisy, prediction, denoised.timesteps[rows])
