"""Classifier-free guidance: what is done to the guided prediction."""

from __future__ import annotations

from torch import Tensor


def rescale_guidance(guided: Tensor, conditional: Tensor, strength: float) -> Tensor:
    """Pull the guided prediction's spread back to the conditional one's (arXiv 2305.08891, section 3.4).

    Args:
        guided, conditional: predictions (B, ...).
        strength: phi in [0, 1]; 0 changes nothing.
    """
    dims = tuple(range(1, guided.ndim))
    rescaled = guided * (conditional.std(dims, keepdim=True) / guided.std(dims, keepdim=True))
    return strength * rescaled + (1 - strength) * guided
