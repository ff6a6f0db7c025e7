"""Convolutions whose weights are put in the processor's own order once, and not anew in every call.

oneDNN works on weights in blocks of its own and reorders torch's at each call. Where a feature map has few places, as
those of one picture's latent have, that takes longer than the convolution: four fifths of the 0.37 ms of a 3x3
convolution of 192 channels on two maps of 4x4.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# Feature maps of more places than this, over the whole batch, spend their time on the convolution itself.
MOST_PLACES = 1024
# A single map of fewer numbers than this torch does not give to oneDNN at all, but to a kernel with other bits.
LEAST_NUMBERS = 20480


class PackedConv2d(nn.Module):
    """A convolution for inference, with the same bits; its weights must not change any more.

    Args:
        layer: is taken over, with its weights.
    """

    def __init__(self, layer: nn.Conv2d):
        super().__init__()
        self.layer = layer
        # One for each shape of the input: the best order of blocks depends on it.
        self.packed: dict[torch.Size, Tensor] = {}

    @property
    def weight(self) -> Tensor:
        """The layer's own, as it was."""
        return self.layer.weight

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W), channels last -> (B, C_out, H', W')."""
        if x.numel() > MOST_PLACES * x.shape[1] or (x.shape[0] == 1 and x.numel() <= LEAST_NUMBERS):
            return self.layer(x)
        if x.shape not in self.packed:
            self.packed[x.shape] = self._pack(x.shape)
        layer = self.layer
        return torch.ops.mkldnn._convolution_pointwise(
            x, self.packed[x.shape], layer.bias, layer.padding, layer.stride, layer.dilation, layer.groups,
            "none", [], None,
        )  # fmt: skip

    def _pack(self, shape: torch.Size) -> Tensor:
        layer = self.layer
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        return reorder(layer.weight.to_mkldnn(), layer.padding, layer.stride, layer.dilation, layer.groups, list(shape))


def pack_convolutions(network: nn.Module) -> None:
    """Exchange a network's convolutions for packed ones, where this torch has what they need; else leave all as is."""
    if not (torch.backends.mkldnn.is_available() and _has_operators()):
        return
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Conv2d and not isinstance(parent, PackedConv2d):
                setattr(parent, name, PackedConv2d(child))


def _has_operators() -> bool:
    # Private to torch, where its compiler uses them: another version may have others.
    return hasattr(torch.ops.mkldnn, "_convolution_pointwise") and hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
