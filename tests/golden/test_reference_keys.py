"""Every parameter of the full-size originals has exactly one place in ours; built on the meta device, no memory."""

from __future__ import annotations

import pytest
import torch

from showme.conversion import animate_anything, dynamicrafter
from showme.conversion.keys import load_renamed
from showme.errors import ConversionError
from showme.models import ImageProjector, VideoUNet

DYNAMICRAFTER = {
    "in_channels": 8, "out_channels": 4, "model_channels": 320, "attention_resolutions": [4, 2, 1],
    "num_res_blocks": 2, "channel_mult": [1, 2, 4, 4], "dropout": 0.1, "num_head_channels": 64,
    "context_dim": 1024, "temporal_conv": True, "addition_attention": True, "image_cross_attention": True,
    "fs_condition": True, "default_fs": 3,
}  # fmt: skip
ANIMATE_ANYTHING = {
    "in_channels": 4, "out_channels": 4, "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2,
    "down_block_types": ["CrossAttnDownBlock3D"] * 3 + ["DownBlock3D"], "cross_attention_dim": 1024,
    "attention_head_dim": 64, "motion_mask": True, "motion_strength": True,
}  # fmt: skip
PROJECTOR = {
    "dim": 1024, "depth": 4, "dim_head": 64, "heads": 12, "num_queries": 16, "embedding_dim": 1280,
    "output_dim": 1024, "ff_mult": 4, "video_length": 16,
}  # fmt: skip


def fill(model, shapes: dict, renamed: dict) -> set[str]:
    """Load meta weights of the reference's shapes; the sources consumed."""
    weights = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    load_renamed(model, weights, renamed)
    return set(renamed)


@pytest.mark.parametrize(("name", "learnable"), [("256", True), ("512", False)])
def test_dynamicrafter_keys(reference_keys, name, learnable):
    shapes = reference_keys[f"dynamicrafter_{name}_unet"]
    config = dynamicrafter.unet_config({**DYNAMICRAFTER, "image_cross_attention_scale_learnable": learnable})
    with torch.device("meta"):
        model = VideoUNet(**config)
    assert fill(model, shapes, dynamicrafter.unet_keys(shapes, config)) == set(shapes)


def test_projector_keys(reference_keys):
    shapes = reference_keys["dynamicrafter_resampler"]
    with torch.device("meta"):
        model = ImageProjector(**dynamicrafter.projector_config(PROJECTOR))
    assert fill(model, shapes, dynamicrafter.projector_keys(shapes)) == set(shapes)


def test_animate_anything_keys(reference_keys):
    shapes = reference_keys["animate_anything_unet"]
    config = animate_anything.unet_config(ANIMATE_ANYTHING)
    with torch.device("meta"):
        model = VideoUNet(**config)
    consumed = fill(model, shapes, animate_anything.unet_keys(shapes, config))
    inert = {key for key in shapes if key.startswith(animate_anything.INERT_PREFIX)}
    assert consumed | inert == set(shapes)
    assert not consumed & inert


def test_stray_and_missing_keys_are_named(reference_keys):
    shapes = dict(reference_keys["dynamicrafter_resampler"])
    with torch.device("meta"):
        model = ImageProjector(**dynamicrafter.projector_config(PROJECTOR))
    lacking = {k: v for k, v in shapes.items() if k != "proj_in.bias"}
    with pytest.raises(ConversionError, match=r"proj_in\.bias"):
        fill(model, lacking, dynamicrafter.projector_keys(lacking))
    stray = {**shapes, "layers.9.0.to_q.weight": [1, 1]}
    with pytest.raises(ConversionError, match=r"layers\.9"):
        fill(model, stray, dynamicrafter.projector_keys(stray))
