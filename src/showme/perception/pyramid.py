"""What our own small estimators are built of."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

_NORM_GROUPS = 8


class Residual(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))), 3x3 kernels with ``dilation``; smooth throughout.

    Args:
        width: channels, a multiple of 8.
        dilation: of both convolutions.
    """

    def __init__(self, width: int, dilation: int = 1):
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            convolution = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
            layers += [nn.GroupNorm(_NORM_GROUPS, width), nn.SiLU(), convolution]
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Pyramid(nn.Module):
    """Features at 1/2, 1/4 and 1/8 of a picture's size, and the way back to 1/4: what the small networks share.

    Args:
        widths: channels at 1/2, 1/4 and 1/8, multiples of 8.
        dilations: one residual block at 1/8 each.
    """

    def __init__(self, widths: tuple[int, int, int], dilations: tuple[int, ...]):
        super().__init__()
        half, quarter, eighth = widths
        self.enter = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, half, 3, padding=1))
        self.encode_half = Residual(half)
        self.to_quarter = nn.Conv2d(half, quarter, 3, stride=2, padding=1)
        self.encode_quarter = Residual(quarter)
        self.to_eighth = nn.Conv2d(quarter, eighth, 3, stride=2, padding=1)
        self.middle = nn.Sequential(*(Residual(eighth, dilation) for dilation in dilations))
        self.from_eighth = nn.Conv2d(eighth, quarter, 1)
        self.decode_quarter = Residual(quarter)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3, H, W) about 0 -> encoded at 1/2, decoded at 1/4, encoded at 1/8. 8 divides H and W."""
        half = self.encode_half(self.enter(x))
        quarter = self.encode_quarter(self.to_quarter(half))
        eighth = self.middle(self.to_eighth(quarter))
        return half, self.decode_quarter(quarter + doubled(self.from_eighth(eighth))), eighth


def doubled(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2H, 2W), bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
