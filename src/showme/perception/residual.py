"""The block that our own small estimators are built of."""

from __future__ import annotations

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
