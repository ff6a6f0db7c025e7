"""OpenCLIP's text and image towers (ViT-H/14 in DynamiCrafter) into transformers' CLIP models.

DynamiCrafter reads neither tower to its end: the text leaves after the last but one block and goes through the final
norm; the image tokens leave after the last block, before ``ln_post`` and the projection. transformers'
``last_hidden_state`` is just that for a text model that has one block less, and for any vision model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from accelerate import init_empty_weights
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModel

from ..errors import ConversionError
from .keys import count_heads, load_renamed, numbered, rename, shape_of

# Weights that the original creates and its forward pass never reads.
TEXT_INERT = ("text_projection", "logit_scale", "attn_mask")
IMAGE_INERT = ("proj",)

_BLOCKS = "transformer.resblocks."
_BLOCK_LEAVES = {
    "ln_1.": "layer_norm1.",
    "attn.": "self_attn.",
    "ln_2.": "layer_norm2.",
    "mlp.c_fc.": "mlp.fc1.",
    "mlp.c_proj.": "mlp.fc2.",
}
_TEXT_PLACES = {
    "token_embedding.": "embeddings.token_embedding.",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.": "final_layer_norm.",
}
_IMAGE_PLACES = {
    "class_embedding": "embeddings.class_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "conv1.": "embeddings.patch_embedding.",
    "ln_pre.": "pre_layrnorm.",  # their spelling
    "ln_post.": "post_layernorm.",
}
_VIT_H_WIDTH, _VIT_H_HEAD_WIDTH = 1280, 80


def split_in_proj(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``attn.in_proj_weight`` (3D, D) and ``attn.in_proj_bias`` (3D,) -> ``attn.{q,k,v}_proj.{weight,bias}``.

    The parts are views of the whole; other weights pass as they are.

    Raises:
        ConversionError: a weight that does not divide by three.
    """
    split = {}
    for key, value in weights.items():
        stem, found, kind = key.rpartition("attn.in_proj_")
        if not found:
            split[key] = value
            continue
        if value.shape[0] % 3:
            raise ConversionError(f"{key} has shape {tuple(value.shape)}, which does not divide into q, k and v")
        for name, part in zip("qkv", value.chunk(3), strict=True):
            split[f"{stem}attn.{name}_proj.{kind}"] = part
    return split


def text_keys(keys: Iterable[str]) -> dict[str, str]:
    """Text tower key (after :func:`split_in_proj`) -> our key.

    Left out, since never read, are :data:`TEXT_INERT` and the last block: those of its weights that the first block
    has too.
    """
    keys = list(keys)
    last = numbered(keys, _BLOCKS) - 1
    inert = {key.replace(f"{_BLOCKS}0.", f"{_BLOCKS}{last}.") for key in keys if key.startswith(f"{_BLOCKS}0.")}
    return _rename([key for key in keys if key not in inert and key not in TEXT_INERT], _TEXT_PLACES, last)


def image_keys(keys: Iterable[str]) -> dict[str, str]:
    """Image tower key (without ``visual.``, after :func:`split_in_proj`) -> our key; :data:`IMAGE_INERT` left out."""
    keys = list(keys)
    return _rename([key for key in keys if key not in IMAGE_INERT], _IMAGE_PLACES, numbered(keys, _BLOCKS))


def _rename(keys: list[str], places: Mapping[str, str], blocks: int) -> dict[str, str]:
    prefixes = {source: (target, str) for source, target in places.items()}
    for number in range(blocks):
        for leaf, target in _BLOCK_LEAVES.items():
            prefixes[f"{_BLOCKS}{number}.{leaf}"] = (f"encoder.layers.{number}.{target}", str)
    return rename(keys, prefixes)


def convert_text_tower(weights: Mapping[str, Tensor], head_width: int = 64) -> CLIPTextModel:
    """Text tower -> model whose ``last_hidden_state`` (B, L, D) is ``ln_final`` of the last but one block's output.

    All sizes are read off the weights, except the head width, which leaves no trace in them (64 in every OpenCLIP
    text tower). The two last tokens of the vocabulary are taken for start and end of text, as OpenCLIP builds it.

    Args:
        weights: OpenCLIP names without a prefix.
        head_width: width of one attention head.

    Raises:
        ConversionError: a weight missing, left over or of another shape.
    """
    vocabulary, width = shape_of(weights, "token_embedding.weight")
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=shape_of(weights, f"{_BLOCKS}0.mlp.c_fc.weight")[0],
        num_hidden_layers=numbered(weights, _BLOCKS) - 1,
        num_attention_heads=count_heads(width, head_width),
        max_position_embeddings=shape_of(weights, "positional_embedding")[0],
        projection_dim=width,
        hidden_act="gelu",
        pad_token_id=0,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
    )
    with init_empty_weights():
        model = CLIPTextModel(config)
    weights = split_in_proj(weights)
    load_renamed(model, weights, text_keys(weights))
    return model.eval()


def convert_image_tower(weights: Mapping[str, Tensor], head_width: int | None = None) -> CLIPVisionModel:
    """Image tower -> model whose ``last_hidden_state`` (B, 1 + patches, D) are the last block's tokens, no norm after.

    Args:
        weights: OpenCLIP names without ``visual.``.
        head_width: width of one attention head; None takes 80 for towers of width 1280 (ViT-H/14, 16 heads) and 64
            for all others, as OpenCLIP's ViT-B and ViT-L have.

    Raises:
        ConversionError: a weight missing, left over or of another shape.
    """
    width, _, patch, _ = shape_of(weights, "conv1.weight")
    if head_width is None:
        head_width = _VIT_H_HEAD_WIDTH if width == _VIT_H_WIDTH else 64
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=shape_of(weights, f"{_BLOCKS}0.mlp.c_fc.weight")[0],
        num_hidden_layers=numbered(weights, _BLOCKS),
        num_attention_heads=count_heads(width, head_width),
        image_size=patch * math.isqrt(shape_of(weights, "positional_embedding")[0] - 1),
        patch_size=patch,
        projection_dim=width,
        hidden_act="gelu",
    )
    with init_empty_weights():
        model = CLIPVisionModel(config)
    weights = split_in_proj(weights)
    load_renamed(model, weights, image_keys(weights))
    return model.eval()
