"""AID's adapters: they begin as nothing, stand where they should, and leave when they are told to."""

from __future__ import annotations

import pytest
import torch

from showme.backbones import open_backbone
from showme.methods.aid.objective import attach
from showme.models.bottlenecks import Bottlenecks, LongTermBottleneck, ShortTermBottleneck, SpatialBottleneck


class Parts:
    """A pipeline's components, as a backbone sees them."""

    added_networks = ("bottlenecks",)

    def __init__(self, unet, bottlenecks=None):
        self.unet, self.bottlenecks, self.image_projector = unet, bottlenecks, None


@pytest.fixture
def parts(tiny_pipeline):
    bare = Parts(tiny_pipeline.unet)
    backbone = open_backbone("video_unet", bare)
    kinds = ("spatial", "short_term", "long_term")
    sites = {kind: {name: site.width for name, site in backbone.sites(kind).items()} for kind in kinds}
    torch.manual_seed(0)
    bare.bottlenecks = Bottlenecks(sites=sites, head_dim=8)
    return bare


def call(parts: Parts) -> torch.Tensor:
    torch.manual_seed(1)
    unet = parts.unet
    sample, text = torch.randn(2, unet.config.in_channels, 3, 4, 4), torch.randn(2, 5, 16)
    with torch.no_grad():
        return unet(sample, torch.tensor([10, 900]), text, torch.randn(2, 6, 16))


def test_every_layer_has_its_adapters(parts):
    backbone = open_backbone("video_unet", parts)
    assert len(backbone.sites("short_term")) == len(backbone.units)
    with_attention = [layer for layer in backbone.units if layer.spatial_attention is not None]
    assert len(backbone.sites("spatial")) == len(backbone.sites("long_term")) == len(with_attention) > 0


def test_fresh_adapters_change_not_one_bit_and_trained_ones_do(parts):
    before, keys = call(parts), set(parts.unet.state_dict())
    handles = attach(open_backbone("video_unet", parts))
    assert torch.equal(call(parts), before)
    assert set(parts.unet.state_dict()) == keys
    for kind in ("spatial", "short_term", "long_term"):
        for adapter in getattr(parts.bottlenecks, kind).values():
            torch.nn.init.normal_(adapter.up.weight, std=0.5)
        after = call(parts)
        assert not torch.allclose(after, before, atol=1e-4), kind
        for adapter in getattr(parts.bottlenecks, kind).values():
            torch.nn.init.zeros_(adapter.up.weight)
    torch.nn.init.normal_(next(iter(parts.bottlenecks.spatial.values())).up.weight)
    for handle in handles:
        handle.remove()
    assert torch.equal(call(parts), before)


def test_parallel_ones_add_to_attention_without_passing_their_input_by(parts):
    backbone = open_backbone("video_unet", parts)
    name, site = next(iter(backbone.sites("spatial").items()))
    layer, adapter = parts.unet.get_submodule(name), parts.bottlenecks.spatial[name.replace(".", "_")]
    torch.nn.init.normal_(adapter.up.weight)
    x = torch.randn(2, 6, site.width)
    with torch.no_grad():
        plain = layer(x)
        handles = attach(backbone)
        torch.testing.assert_close(layer(x), plain + adapter(x))
        for handle in handles:
            handle.remove()


def test_shapes_stay_and_time_mixes_where_it_should():
    torch.manual_seed(0)
    for adapter in (SpatialBottleneck(8, 4), LongTermBottleneck(8, 8, 4)):
        torch.nn.init.normal_(adapter.up.weight)
        x = torch.randn(3, 5, 8)
        moved = x.clone()
        moved[:, 4] += 1
        change = (adapter(moved) - adapter(x)).abs().amax((0, 2))
        # A place's attention over frames reaches all of them; the spatial one is for each place alone.
        assert (change[:4] > 1e-6).all() == isinstance(adapter, LongTermBottleneck)
        assert adapter(x).shape == x.shape
    short = ShortTermBottleneck(8, 4, (3, 1, 1))
    torch.nn.init.normal_(short.up.weight)
    x = torch.randn(2 * 5, 8, 4, 4)
    moved = x.clone()
    moved[7] += 1  # frame 2 of the second clip
    change = (short(moved, 5) - short(x, 5)).abs().amax((1, 2, 3)) > 1e-6
    assert change.tolist() == [False] * 6 + [True] * 3 + [False]


@pytest.mark.parametrize("sites", [None, {}, {"sideways": {"a": 8}}])
def test_unknown_places_are_refused(sites):
    with pytest.raises(ValueError, match="sites of the kinds spatial, short_term, long_term"):
        Bottlenecks(sites=sites)
