"""How pictures are worsened for the small networks that judge generated ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_BLUR_RADIUS = 5


def augment(pictures: Tensor, draw: torch.Generator) -> Tensor:
    """Other colours, then blur and noise, of each picture its own: half-denoised pictures look like that."""

    def uniform(low: float, high: float, channels: int = 1) -> Tensor:
        return low + (high - low) * torch.rand(len(pictures), channels, 1, 1, generator=draw).to(pictures.device)

    x = pictures.clamp(min=1e-3) ** uniform(0.7, 1.4)
    x = (x - 0.5) * uniform(0.7, 1.2) + 0.5 + uniform(-0.1, 0.1, channels=3)
    x = blurred(x, uniform(0.05, 2.0).flatten())
    noise = torch.randn(x.shape, generator=draw).to(x.device)
    return (x + noise * uniform(0.0, 0.06)).clamp(0, 1)


def blurred(pictures: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur with a width (N,) in pixels for each picture (N, 3, H, W); borders repeat."""
    count, channels, height, width = pictures.shape
    offsets = torch.arange(-_BLUR_RADIUS, _BLUR_RADIUS + 1, device=pictures.device)
    kernels = torch.softmax(-(offsets**2) / (2 * sigma[:, None] ** 2), dim=1).repeat_interleave(channels, 0)
    x = F.pad(pictures.reshape(1, count * channels, height, width), (_BLUR_RADIUS,) * 4, mode="replicate")
    x = F.conv2d(x, kernels[:, None, :, None], groups=count * channels)
    return F.conv2d(x, kernels[:, None, None, :], groups=count * channels).view_as(pictures)
