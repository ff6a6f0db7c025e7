"""The settings of DynamiCrafter's networks, read off the shapes of their weights instead of a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..errors import ConversionError
from .keys import count_heads, numbered, shape_of

_SCALAR_NAMES = ("fps_embedding.", "framestride_embed.")


def read_unet_config(weights: Mapping[str, Tensor], head_width: int = 64, default_scalar: int = 3) -> dict[str, Any]:
    """Keyword arguments of :class:`VideoUNet`, as :func:`dynamicrafter.unet_config` would give for the original's YAML.

    Args:
        weights: names without ``model.diffusion_model.``.
        head_width: width of one attention head, which leaves no trace in the shapes.
        default_scalar: nor does this.

    Raises:
        ConversionError: a weight that gives a size is missing, or heads of ``head_width`` do not fill a layer.
    """
    widths, layers, attention = _levels(weights)
    for width, attends in zip(widths, attention, strict=True):
        if attends:
            count_heads(width, head_width)
    spatial = f"input_blocks.{1 + attention.index(True) * (layers + 1)}.1.transformer_blocks.0.attn2."
    convolutions = "input_blocks.1.0.temopral_conv.conv"  # their spelling
    image_scale = "none"
    if f"{spatial}to_k_ip.weight" in weights:
        image_scale = "learnable" if f"{spatial}alpha" in weights else "fixed"
    entrance = weights.get("init_attn.0.proj_in.weight")
    return {
        "in_channels": shape_of(weights, "input_blocks.0.0.weight")[1],
        "out_channels": shape_of(weights, "out.2.weight")[0],
        "block_out_channels": widths,
        "layers_per_block": layers,
        "attention_levels": attention,
        "cross_attention_dim": shape_of(weights, f"{spatial}to_k.weight")[1],
        "attention_head_dim": head_width,
        "temporal_in_heads": 0 if entrance is None else count_heads(entrance.shape[0], head_width),
        "temporal_conv_depth": sum(f"{convolutions}{n}.0.weight" in weights for n in range(1, 5)),
        "image_attention_scale": image_scale,
        "scalar_condition": "frame_stride" if any(key.startswith(_SCALAR_NAMES) for key in weights) else "none",
        "default_scalar": default_scalar,
        "image_mode_temporal_conv": True,
        "dropout": 0.1,
    }


def _levels(weights: Mapping[str, Tensor]) -> tuple[tuple[int, ...], int, tuple[bool, ...]]:
    """Width of each level, layers per level, and which levels hold transformers."""
    levels: list[list[int]] = [[]]
    for number in range(1, numbered(weights, "input_blocks.")):
        if f"input_blocks.{number}.0.op.weight" in weights:
            levels.append([])
        else:
            levels[-1].append(number)
    layers = len(levels[0])
    if any(len(level) != layers for level in levels) or not layers:
        raise ConversionError("the checkpoint's input_blocks do not form levels of equal length")
    widths = tuple(shape_of(weights, f"input_blocks.{level[0]}.0.in_layers.2.weight")[0] for level in levels)
    attention = tuple(f"input_blocks.{level[0]}.1.proj_in.weight" in weights for level in levels)
    if not any(attention):
        raise ConversionError("the checkpoint lacks all spatial transformers of input_blocks")
    return widths, layers, attention


def read_projector_config(weights: Mapping[str, Tensor], head_width: int = 64) -> dict[str, Any]:
    """Keyword arguments of :class:`ImageProjector`.

    Args:
        weights: names without ``image_proj_model.``.
        head_width: width of one attention head.

    Raises:
        ConversionError: a weight that gives a size is missing, or heads of ``head_width`` do not fill a layer.
    """
    _, queries, dim = shape_of(weights, "latents")
    return {
        "embedding_dim": shape_of(weights, "proj_in.weight")[1],
        "output_dim": shape_of(weights, "proj_out.weight")[0],
        "dim": dim,
        "depth": numbered(weights, "layers."),
        "head_dim": head_width,
        "heads": count_heads(shape_of(weights, "layers.0.0.to_q.weight")[0], head_width),
        "num_queries": queries,
        "ff_mult": shape_of(weights, "layers.0.1.1.weight")[0] // dim,
    }
