"""Packed convolutions against torch's own: the same bits, for every shape that a network's maps have."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from showme.models.plain.packed import MOST_PLACES, PackedConv2d, pack_convolutions


@pytest.mark.parametrize(
    ("channels", "out", "kernel", "stride"), [(64, 64, 3, 1), (128, 192, 3, 2), (320, 192, 1, 1), (16, 64, 3, 1)]
)
@pytest.mark.parametrize(("batch", "side"), [(1, 4), (2, 4), (2, 8), (2, 16), (32, 4), (2, 32)])
@torch.inference_mode()
def test_bits_are_those_of_the_layer(channels, out, kernel, stride, batch, side):
    torch.manual_seed(0)
    layer = nn.Conv2d(channels, out, kernel, stride=stride, padding=kernel // 2)
    layer = layer.to(memory_format=torch.channels_last)
    network = nn.Sequential(layer)
    x = torch.randn(batch, channels, side, side).contiguous(memory_format=torch.channels_last)
    before = layer(x)
    pack_convolutions(network)
    for _ in range(2):
        after = network(x)
        assert torch.equal(before, after)
        assert after.stride() == before.stride()


@torch.inference_mode()
def test_large_maps_keep_one_copy_of_the_weights():
    layer = nn.Conv2d(8, 8, 3, padding=1).to(memory_format=torch.channels_last)
    packed = PackedConv2d(layer)
    side = int(MOST_PLACES**0.5)
    packed(torch.randn(1, 8, side, side + 1))
    assert not packed.packed
    assert packed.weight is layer.weight
