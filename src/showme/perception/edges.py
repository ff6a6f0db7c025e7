"""Edge maps with gradients: a Sobel filter that needs nothing, and HED from its published weights.

Every edge estimator is a frozen module: pictures (N, 3, H, W), RGB in [0, 1] -> edges (N, 1, H, W) in [0, 1]. Its
parameters take no gradient, its input does.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .weights import load_published

_LUMINANCE = (0.299, 0.587, 0.114)


class SobelEdges(nn.Module):
    """Length of the luminance's gradient by Sobel's two kernels, 1 for a step from black to white.

    Borders repeat the outermost pixels. ``softness`` rounds the tip at zero, where a length has no slope.
    """

    kernels: Tensor
    luminance: Tensor

    def __init__(self, softness: float = 1e-3):
        super().__init__()
        self.softness = softness
        across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4
        self.register_buffer("kernels", torch.stack([across, across.T])[:, None])
        self.register_buffer("luminance", torch.tensor(_LUMINANCE)[None, :, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        grey = F.pad((pixels * self.luminance).sum(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        slopes = F.conv2d(grey, self.kernels)
        length = (slopes.square().sum(1, keepdim=True) + self.softness**2).sqrt() - self.softness
        return length.clamp(max=1)


# VGG-16's five groups: convolutions and their widths.
_GROUPS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
_GROUP_NAMES = ("One", "Two", "Thr", "Fou", "Fiv")
# Means of Caffe's VGG, in its order: blue, green, red. The released ShowMe code feeds RGB to them.
_MEAN_BGR = (104.00698793, 116.66876762, 122.67891434)


class HedEdges(nn.Module):
    """Holistically-nested edge detection (arXiv 1504.06375): VGG-16 with an edge map after each of its five groups.

    Submodules bear the names of the published PyTorch weights ("network-bsds500.pytorch").
    """

    mean: Tensor

    def __init__(self):
        super().__init__()
        channels = 3
        for index, (name, (count, width)) in enumerate(zip(_GROUP_NAMES, _GROUPS, strict=True)):
            layers: list[nn.Module] = [nn.MaxPool2d(2, 2)] if index else []
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            self.add_module(f"netVgg{name}", nn.Sequential(*layers))
            self.add_module(f"netScore{name}", nn.Conv2d(width, 1, 1))
        self.netCombine = nn.Sequential(nn.Conv2d(len(_GROUPS), 1, 1), nn.Sigmoid())
        self.register_buffer("mean", torch.tensor(_MEAN_BGR)[None, :, None, None], persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, pixels: Tensor) -> Tensor:
        x = 255 * pixels.flip(1) - self.mean
        maps = []
        for name in _GROUP_NAMES:
            x = self.get_submodule(f"netVgg{name}")(x)
            score = self.get_submodule(f"netScore{name}")(x)
            maps.append(F.interpolate(score, size=pixels.shape[-2:], mode="bilinear", align_corners=False))
        return self.netCombine(torch.cat(maps, dim=1))

    @classmethod
    def from_file(cls, path: str | Path) -> HedEdges:
        """The published weights, read without unpickling anything but tensors.

        Raises:
            InputError: no such file, or other weights.
        """
        network = cls()
        # Some copies were saved by code whose names begin with "module" instead of "net".
        load_published(network, path, "HED", "network-bsds500.pytorch", ("^module", "net"))
        return network
