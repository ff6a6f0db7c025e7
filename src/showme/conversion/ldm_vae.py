"""The latent diffusion family's image autoencoder (Stable Diffusion's kl-f8) into diffusers' AutoencoderKL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from accelerate import init_empty_weights
from diffusers import AutoencoderKL
from torch import Tensor

from .keys import load_renamed, numbered, rename, shape_of

# The training loss (a discriminator, LPIPS) is saved with the networks and has no part in them.
INERT_PREFIX = "loss."

_BLOCK_LEAVES = {"nin_shortcut.": "conv_shortcut."}
_ATTENTION_LEAVES = {"norm.": "group_norm.", "q.": "to_q.", "k.": "to_k.", "v.": "to_v.", "proj_out.": "to_out.0."}


def vae_config(weights: Mapping[str, Tensor], scaling_factor: float) -> dict[str, Any]:
    """Shapes of the weights -> keyword arguments of AutoencoderKL.

    Raises:
        ConversionError: a weight that gives a size is missing.
    """
    levels = numbered(weights, "encoder.down.")
    widths = [shape_of(weights, f"encoder.down.{level}.block.0.conv2.weight")[0] for level in range(levels)]
    return {
        "in_channels": shape_of(weights, "encoder.conv_in.weight")[1],
        "out_channels": shape_of(weights, "decoder.conv_out.weight")[0],
        "latent_channels": shape_of(weights, "post_quant_conv.weight")[1],
        "block_out_channels": tuple(widths),
        "layers_per_block": numbered(weights, "encoder.down.0.block."),
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "scaling_factor": scaling_factor,
    }


def vae_keys(keys: Iterable[str], config: Mapping[str, Any]) -> dict[str, str]:
    """Original key -> diffusers' key, every one exactly once, :data:`INERT_PREFIX` aside.

    Args:
        keys: the original's names, without ``first_stage_model.``.
        config: as :func:`vae_config` returns it.
    """
    places: dict = {"quant_conv.": ("quant_conv.", str), "post_quant_conv.": ("post_quant_conv.", str)}
    levels, layers = len(config["block_out_channels"]), config["layers_per_block"]
    for side in ("encoder", "decoder"):
        for source, target in (("conv_in", "conv_in"), ("norm_out", "conv_norm_out"), ("conv_out", "conv_out")):
            places[f"{side}.{source}."] = (f"{side}.{target}.", str)
        for number in range(2):
            places[f"{side}.mid.block_{number + 1}."] = (f"{side}.mid_block.resnets.{number}.", _block_leaf)
        places[f"{side}.mid.attn_1."] = (f"{side}.mid_block.attentions.0.", _attention_leaf)
    for level in range(levels):
        # The original counts the decoder's levels by resolution, diffusers in the order of their running.
        down, up = f"encoder.down_blocks.{level}", f"decoder.up_blocks.{levels - 1 - level}"
        for layer in range(layers):
            places[f"encoder.down.{level}.block.{layer}."] = (f"{down}.resnets.{layer}.", _block_leaf)
        for layer in range(layers + 1):
            places[f"decoder.up.{level}.block.{layer}."] = (f"{up}.resnets.{layer}.", _block_leaf)
        places[f"encoder.down.{level}.downsample."] = (f"{down}.downsamplers.0.", str)
        places[f"decoder.up.{level}.upsample."] = (f"{up}.upsamplers.0.", str)
    return rename((key for key in keys if not key.startswith(INERT_PREFIX)), places)


def _block_leaf(leaf: str) -> str:
    return _replace_start(leaf, _BLOCK_LEAVES)


def _attention_leaf(leaf: str) -> str:
    return _replace_start(leaf, _ATTENTION_LEAVES)


def _replace_start(leaf: str, starts: Mapping[str, str]) -> str:
    start = next((start for start in starts if leaf.startswith(start)), "")
    return starts.get(start, "") + leaf[len(start) :]


def convert_vae(weights: Mapping[str, Tensor], scaling_factor: float = 0.18215) -> AutoencoderKL:
    """Build and fill an AutoencoderKL; all sizes are read off the weights.

    Args:
        weights: the original's names, without ``first_stage_model.``.
        scaling_factor: what latents are multiplied with; 0.18215 for kl-f8 of Stable Diffusion.

    Raises:
        ConversionError: a weight missing, left over or of another shape.
    """
    config = vae_config(weights, scaling_factor)
    with init_empty_weights():
        model = AutoencoderKL(**config)
    load_renamed(model, weights, vae_keys(weights, config))
    return model.eval()
