"""AnimateAnything's UNet (the diffusers ModelScope layout with a mask channel and motion strength) into ours.

IVG fine-tunes this network without changing it (spec: papers/002 uses it as its base).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from ..models import VideoUNet
from .keys import load_renamed, rename, temporal_conv_leaf, transformer_leaf

# Weights that the original creates and never uses: its forward pass adds the motion through time_embedding.cond_proj.
INERT_PREFIX = "motion_embedding."

_RESNET_LEAVES = {"time_emb_proj.": "embedding.", "conv_shortcut.": "shortcut."}


def unet_config(original: Mapping[str, Any]) -> dict[str, Any]:
    """The original's ``config.json`` -> keyword arguments of :class:`VideoUNet`."""
    return {
        "in_channels": original["in_channels"],
        "out_channels": original["out_channels"],
        "block_out_channels": tuple(original["block_out_channels"]),
        "layers_per_block": original["layers_per_block"],
        "attention_levels": tuple(name.startswith("CrossAttn") for name in original["down_block_types"]),
        "cross_attention_dim": original["cross_attention_dim"],
        "attention_head_dim": original["attention_head_dim"],
        "temporal_in_heads": 8,
        "temporal_conv_depth": 4,
        "image_attention_scale": "none",
        "condition_axis": "time",
        "mask_channel": original["motion_mask"],
        "scalar_condition": "motion_strength" if original["motion_strength"] else "none",
        "image_mode_temporal_conv": True,
        "dropout": 0.1,
    }


def unet_keys(keys: Iterable[str], config: Mapping[str, Any]) -> dict[str, str]:
    """Original key -> our key, every one exactly once, :data:`INERT_PREFIX` aside.

    Args:
        keys: the original's names.
        config: as :func:`unet_config` returns it.
    """
    places: dict = {
        "conv_in.": ("conv_in.", _same),
        "conv_in2.": ("conv_in_masked.", _same),
        "time_embedding.linear_1.": ("time_embedding.0.", _same),
        "time_embedding.linear_2.": ("time_embedding.2.", _same),
        "time_embedding.cond_proj.": ("scalar_embedding.", _same),
        "transformer_in.": ("temporal_in.", transformer_leaf),
        "conv_norm_out.": ("norm_out.", _same),
        "conv_out.": ("conv_out.", _same),
    }
    levels = len(config["block_out_channels"])
    for level in range(levels):
        for layer in range(config["layers_per_block"]):
            places |= _layer_places(f"down_blocks.{level}", layer, f"down_blocks.{level}.layers.{layer}")
        places[f"down_blocks.{level}.downsamplers.0.conv."] = (f"down_blocks.{level}.downsample.", _same)
        for layer in range(config["layers_per_block"] + 1):
            places |= _layer_places(f"up_blocks.{level}", layer, f"up_blocks.{level}.layers.{layer}")
        places[f"up_blocks.{level}.upsamplers.0.conv."] = (f"up_blocks.{level}.upsample.", _same)
    for layer in range(2):
        places |= _layer_places("mid_block", layer, f"mid_layers.{layer}")
    return rename((key for key in keys if not key.startswith(INERT_PREFIX)), places)


def _layer_places(block: str, layer: int, target: str) -> dict:
    return {
        f"{block}.resnets.{layer}.": (f"{target}.resnet.", _resnet_leaf),
        f"{block}.temp_convs.{layer}.": (f"{target}.temporal_conv.", temporal_conv_leaf),
        f"{block}.attentions.{layer}.": (f"{target}.spatial_attention.", transformer_leaf),
        f"{block}.temp_attentions.{layer}.": (f"{target}.temporal_attention.", transformer_leaf),
    }


def _resnet_leaf(leaf: str) -> str:
    for source, target in _RESNET_LEAVES.items():
        leaf = leaf.replace(source, target)
    return leaf


def _same(leaf: str) -> str:
    return leaf


def convert_unet(weights: Mapping[str, Tensor], original_config: Mapping[str, Any]) -> VideoUNet:
    """Build and fill a :class:`VideoUNet` from AnimateAnything weights."""
    config = unet_config(original_config)
    model = VideoUNet(**config)
    load_renamed(model, weights, unet_keys(weights, config))
    return model.eval()
