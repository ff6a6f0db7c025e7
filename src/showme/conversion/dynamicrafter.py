"""DynamiCrafter's UNet and image projector (the LVDM layout, which ShowMe's release shares) into ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from ..errors import ConversionError
from ..models import ImageProjector, VideoUNet
from .keys import load_renamed, rename, temporal_conv_leaf, transformer_leaf

_RESNET_LEAVES = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "embedding",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "shortcut",
}


def unet_config(original: Mapping[str, Any]) -> dict[str, Any]:
    """The ``unet_config.params`` of an LVDM YAML file -> keyword arguments of :class:`VideoUNet`.

    Raises:
        ConversionError: a setting that no published checkpoint uses and :class:`VideoUNet` does not build.
    """
    for key, value in _REQUIRED.items():
        if original.get(key, value) != value:
            raise ConversionError(f"unet_config.params.{key}={original[key]!r} is not supported, only {value!r}.")
    mults = original["channel_mult"]
    scale = "none"
    if original["image_cross_attention"]:
        scale = "learnable" if original["image_cross_attention_scale_learnable"] else "fixed"
    return {
        "in_channels": original["in_channels"],
        "out_channels": original["out_channels"],
        "block_out_channels": tuple(original["model_channels"] * m for m in mults),
        "layers_per_block": original["num_res_blocks"],
        "attention_levels": tuple(2**level in original["attention_resolutions"] for level in range(len(mults))),
        "cross_attention_dim": original["context_dim"],
        "attention_head_dim": original["num_head_channels"],
        "temporal_in_heads": 8 if original["addition_attention"] else 0,
        "temporal_conv_depth": 4 if original["temporal_conv"] else 0,
        "image_attention_scale": scale,
        "scalar_condition": "frame_stride" if original["fs_condition"] else "none",
        "default_scalar": original["default_fs"],
        "image_mode_temporal_conv": True,
        "dropout": original["dropout"],
    }


_REQUIRED = {
    "transformer_depth": 1,
    "use_linear": True,
    "temporal_attention": True,
    "temporal_selfatt_only": True,
    "use_relative_position": False,
    "use_causal_attention": False,
}


def unet_keys(keys: Iterable[str], config: Mapping[str, Any]) -> dict[str, str]:
    """Original UNet key -> our key, every one exactly once.

    Args:
        keys: the original's names, without ``model.diffusion_model.``; ``framestride_embed`` is taken for
            ``fps_embedding``, its name in later releases.
        config: as :func:`unet_config` returns it.
    """
    places = {
        "time_embed.": ("time_embedding.", _same),
        "fps_embedding.": ("scalar_embedding.", _same),
        "framestride_embed.": ("scalar_embedding.", _same),
        "input_blocks.0.0.": ("conv_in.", _same),
        "init_attn.0.": ("temporal_in.", transformer_leaf),
        "out.0.": ("norm_out.", _same),
        "out.2.": ("conv_out.", _same),
    }
    layers, levels = config["layers_per_block"], len(config["block_out_channels"])
    number = 1
    for level in range(levels):
        for layer in range(layers):
            places |= _layer_places(f"input_blocks.{number}", f"down_blocks.{level}.layers.{layer}", (0, 1, 2))
            number += 1
        if level < levels - 1:
            places[f"input_blocks.{number}.0.op."] = (f"down_blocks.{level}.downsample.", _same)
            number += 1
    places |= _layer_places("middle_block", "mid_layers.0", (0, 1, 2))
    places |= _layer_places("middle_block", "mid_layers.1", (3, None, None))
    number = 0
    for index, level in enumerate(reversed(range(levels))):
        for layer in range(layers + 1):
            places |= _layer_places(f"output_blocks.{number}", f"up_blocks.{index}.layers.{layer}", (0, 1, 2))
            number += 1
        if level:
            position = 3 if config["attention_levels"][level] else 1
            places[f"output_blocks.{number - 1}.{position}.conv."] = (f"up_blocks.{index}.upsample.", _same)
    return rename(keys, places)


def _layer_places(source: str, target: str, positions: tuple[int | None, ...]) -> dict:
    resnet, spatial, temporal = positions
    places = {
        f"{source}.{resnet}.": (f"{target}.resnet.", _resnet_leaf),
        f"{source}.{resnet}.temopral_conv.": (f"{target}.temporal_conv.", temporal_conv_leaf),  # their spelling
    }
    if spatial is not None:
        places[f"{source}.{spatial}."] = (f"{target}.spatial_attention.", transformer_leaf)
        places[f"{source}.{temporal}."] = (f"{target}.temporal_attention.", transformer_leaf)
    return places


def _resnet_leaf(leaf: str) -> str:
    module, kind = leaf.rsplit(".", 1)
    if module not in _RESNET_LEAVES:
        raise ConversionError(f"unknown residual block key {leaf!r}")
    return f"{_RESNET_LEAVES[module]}.{kind}"


def _same(leaf: str) -> str:
    return leaf


def convert_unet(weights: Mapping[str, Tensor], original_config: Mapping[str, Any]) -> VideoUNet:
    """Build and fill a :class:`VideoUNet` from LVDM weights (names without ``model.diffusion_model.``)."""
    config = unet_config(original_config)
    model = VideoUNet(**config)
    load_renamed(model, weights, unet_keys(weights, config))
    return model.eval()


_PROJECTOR_LEAVES = (
    (re.compile(r"^latents$"), "queries"),
    (re.compile(r"^layers\.(\d+)\.0\.norm1\."), r"attentions.\1.norm_tokens."),
    (re.compile(r"^layers\.(\d+)\.0\.norm2\."), r"attentions.\1.norm_queries."),
    (re.compile(r"^layers\.(\d+)\.0\."), r"attentions.\1."),
    (re.compile(r"^layers\.(\d+)\.1\."), r"feed_forwards.\1."),
)


def projector_config(original: Mapping[str, Any]) -> dict[str, Any]:
    """The ``image_proj_stage_config.params`` of an LVDM YAML file -> keyword arguments of :class:`ImageProjector`."""
    return {
        "embedding_dim": original["embedding_dim"],
        "output_dim": original["output_dim"],
        "dim": original["dim"],
        "depth": original["depth"],
        "head_dim": original["dim_head"],
        "heads": original["heads"],
        "num_queries": original["num_queries"] * original.get("video_length", 1),
        "ff_mult": original["ff_mult"],
    }


def projector_keys(keys: Iterable[str]) -> dict[str, str]:
    """Original Resampler key (without ``image_proj_model.``) -> our key."""
    return rename(keys, {"": ("", _projector_leaf)})


def _projector_leaf(leaf: str) -> str:
    for pattern, replacement in _PROJECTOR_LEAVES:
        leaf = pattern.sub(replacement, leaf)
    return leaf


def convert_projector(weights: Mapping[str, Tensor], original_config: Mapping[str, Any]) -> ImageProjector:
    """Build and fill an :class:`ImageProjector` from the original Resampler's weights."""
    model = ImageProjector(**projector_config(original_config))
    load_renamed(model, weights, projector_keys(weights))
    return model.eval()
