"""Settings read off the shapes equal those that the original's YAML gives, tiny and full-size."""

from __future__ import annotations

import pytest
import torch

from showme.conversion import dynamicrafter
from showme.conversion.dynamicrafter_sizes import read_projector_config, read_unet_config
from showme.errors import ConversionError
from showme.models import ImageProjector, VideoUNet

from .originals import projector_originals, unet_originals


@pytest.mark.parametrize("image_scale", ["learnable", "fixed", "none"])
def test_published_unet(image_scale):
    """VideoUNet's defaults are DynamiCrafter-256; each of its 1532 weights (1516 without alpha) finds its place."""
    with torch.device("meta"):
        unet = VideoUNet(image_attention_scale=image_scale, image_mode_temporal_conv=True)
    weights = unet_originals(unet)
    assert len(weights) == {"learnable": 1532, "fixed": 1516, "none": 1516 - 32}[image_scale]
    config = read_unet_config(weights)
    assert config == {name: unet.config[name] for name in config}
    renamed = dynamicrafter.unet_keys(weights, config)
    assert set(renamed) == set(weights)
    older = unet_originals(unet, "framestride_embed")
    assert read_unet_config(older) == config
    assert set(dynamicrafter.unet_keys(older, config).values()) == set(renamed.values()) == set(unet.state_dict())


@pytest.mark.parametrize(
    "settings",
    [
        {"layers_per_block": 1, "attention_levels": (False, True), "block_out_channels": (32, 64)},
        {"temporal_in_heads": 0, "temporal_conv_depth": 0, "scalar_condition": "none"},
        {"in_channels": 9, "out_channels": 5, "cross_attention_dim": 24, "attention_levels": (True, False)},
    ],
)
def test_other_unets(settings):
    small = {
        "block_out_channels": (32, 32),
        "attention_levels": (True, True),
        "attention_head_dim": 16,
        "image_mode_temporal_conv": True,
    }
    with torch.device("meta"):
        unet = VideoUNet(**{**small, **settings})
    config = read_unet_config(unet_originals(unet), head_width=16)
    assert config == {name: unet.config[name] for name in config}


def test_published_projector():
    with torch.device("meta"):
        projector = ImageProjector()
    weights = projector_originals(projector)
    assert len(weights) == 51
    config = read_projector_config(weights)
    assert config == {name: projector.config[name] for name in config}
    assert set(dynamicrafter.projector_keys(weights)) == set(weights)


def test_what_is_no_such_unet_is_said():
    with torch.device("meta"):
        unet = VideoUNet(block_out_channels=(32, 32), attention_levels=(True, False), attention_head_dim=16)
    weights = unet_originals(unet)
    for prefix, said in [
        ("input_blocks.5.", "levels of equal length"),
        ("input_blocks.", "lacks all of input_blocks"),
        ("out.2.", r"lacks out\.2\.weight"),
    ]:
        with pytest.raises(ConversionError, match=said):
            read_unet_config({key: v for key, v in weights.items() if not key.startswith(prefix)}, head_width=16)
    with pytest.raises(ConversionError, match="heads of width 64 do not fill a layer of width 32"):
        read_unet_config(weights)
