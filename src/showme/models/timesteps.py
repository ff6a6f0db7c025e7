"""Numbers such as timesteps as features: sines and cosines of falling frequencies (arXiv 1706.03762, section 3.5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_LONGEST = 10_000


class Timesteps(nn.Module):
    """Numbers (B,) -> (B, dim) float32: dim / 2 cosines, then as many sines; the same bits as diffusers' class.

    Args:
        dim: an even number of features.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim

    def forward(self, numbers: Tensor) -> Tensor:
        half = self.dim // 2
        exponent = -math.log(_LONGEST) * torch.arange(half, dtype=torch.float32, device=numbers.device)
        angles = numbers[:, None].float() * torch.exp(exponent / half)[None, :]
        return torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)
