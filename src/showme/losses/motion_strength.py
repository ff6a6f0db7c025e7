"""How much a clip moves, as AnimateAnything measures, conditions on and holds it (arXiv 2311.12886)."""

from __future__ import annotations

from torch import Tensor


def motion_strength(latents: Tensor) -> Tensor:
    """10 sum_c mean |z_{l+1} - z_l| over times and places: scaled latents (B, C, T', h, w) -> (B,); 0 for one time."""
    if latents.shape[2] < 2:
        return latents.new_zeros(len(latents))
    return 10 * latents.diff(dim=2).abs().mean((2, 3, 4)).sum(1)


def motion_strength_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Squared difference of the strengths of latents (B, C, T', h, w), with gradient to the predicted ones: (B,)."""
    return (motion_strength(predicted) - motion_strength(true)).square()
