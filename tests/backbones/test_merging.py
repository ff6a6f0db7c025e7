"""Merged weights are kept only for as long as they are what merging would give."""

from __future__ import annotations

import pytest
import torch

from showme.backbones import merging
from showme.backbones.merging import all_modules, merged
from showme.methods.showme.tasks import STATE_IMAGE

from ..conftest import make_tiny_pipeline


@pytest.fixture
def unet():
    return make_tiny_pipeline().unet.requires_grad_(False)


@pytest.fixture
def layer(unet):
    return next(module for module in unet.modules() if STATE_IMAGE in getattr(module, "lora_A", {}))


def weight_within(unet, layer):
    with merged(unet, [STATE_IMAGE]):
        return layer.get_base_layer().weight.data


def expected(layer):
    factors = layer.lora_B[STATE_IMAGE].weight @ layer.lora_A[STATE_IMAGE].weight
    return layer.get_base_layer().weight + factors * layer.scaling[STATE_IMAGE]


def test_a_frozen_network_merges_once(unet, layer):
    first = weight_within(unet, layer)
    torch.testing.assert_close(first, expected(layer))
    assert weight_within(unet, layer).data_ptr() == first.data_ptr()


def test_whatever_changes_is_merged_anew(unet, layer):
    changes = (
        lambda: layer.lora_B[STATE_IMAGE].weight.add_(1),
        lambda: layer.get_base_layer().weight.mul_(2),
        lambda: setattr(
            layer.lora_A[STATE_IMAGE], "weight", torch.nn.Parameter(torch.ones(2, layer.in_features), False)
        ),
        lambda: layer.scaling.update({STATE_IMAGE: 3.0}),
    )
    for change in changes:
        before = weight_within(unet, layer).clone()
        change()
        within = weight_within(unet, layer)
        assert not torch.allclose(within, before)
        torch.testing.assert_close(within, expected(layer))


def test_what_is_trained_or_large_is_not_kept(unet, layer, monkeypatch):
    monkeypatch.setattr(merging, "_KEPT_BYTES", 100)
    weight_within(unet, layer)
    assert not merging._kept[unet]
    monkeypatch.undo()
    factor = layer.lora_B[STATE_IMAGE].weight.requires_grad_(True)
    weight_within(unet, layer)
    factor.data.add_(1)  # leaves no trace
    torch.testing.assert_close(weight_within(unet, layer), expected(layer))


def test_every_module_is_walked_once(unet):
    assert sorted(map(id, all_modules(unet))) == sorted(map(id, unet.modules()))
