"""Wan's codec as training needs it: normalised latents, and pictures with a gradient everywhere.

diffusers' ``AutoencoderKLWan`` leaves out frames at the end that fill no slot, cuts what it decodes off at -1 and 1,
where the gradient ends, and keeps the memory of its causal convolutions in itself, so that two threads spoil each
other's clips.

Shapes: B clips, T = 4 (T' - 1) + 1 frames in T' slots, C latent channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

# Of a slot after the first.
_FRAMES = 4
# What the convolutions of a decoder remember: tensors, None before the first slot, and a word where the first slot left
# nothing to remember.
Memory = tuple[Any, ...]


def encode_clips(codec: Any, pixels: Tensor) -> Tensor:
    """Clips (B, T, 3, H, W) in [-1, 1] -> the posterior's mode, normalised, (B, C, T', h, w)."""
    clips = pixels.to(codec.dtype).transpose(1, 2)
    mean, deviation = _statistics(codec, clips)
    return (torch.cat([_encoded(codec, clip) for clip in clips.split(1)]) - mean) / deviation


def decode_clips(codec: Any, latents: Tensor) -> Tensor:
    """Normalised latents (B, C, T', h, w) -> pictures (B, T, 3, H, W), about [-1, 1], not cut off there.

    With a gradient each slot is decoded again in the backward pass: of one slot alone, and of what the convolutions
    remember, the activations lie in memory.
    """
    mean, deviation = _statistics(codec, latents)
    return torch.cat([_decoded(codec, clip) for clip in (latents * deviation + mean).to(codec.dtype).split(1)])


def _encoded(codec: Any, clip: Tensor) -> Tensor:
    """(1, 3, T, H, W) -> the posterior's mode (1, C, T', h, w): the first frame, then four at a time.

    What the convolutions remember is kept here and not in the codec, which several threads encode with.
    """
    memory: list[Any] = [None] * codec._cached_conv_counts["encoder"]
    patched = _in_patches(clip, codec.config.patch_size or 1)
    parts = [patched[:, :, :1], *patched[:, :, 1:].split(_FRAMES, dim=2)] if clip.shape[2] > 1 else [patched]
    encoded = [codec.encoder(part, feat_cache=memory, feat_idx=[0]) for part in parts]
    return codec.quant_conv(torch.cat(encoded, dim=2)).chunk(2, dim=1)[0]


def _decoded(codec: Any, latents: Tensor) -> Tensor:
    """(1, C, T', h, w) -> (1, T, 3, H, W)."""
    slots = codec.post_quant_conv(latents).split(1, dim=2)
    memory: Memory = (None,) * codec._cached_conv_counts["decoder"]
    pictures = []
    for number, slot in enumerate(slots):
        if torch.is_grad_enabled() and latents.requires_grad:
            decoded, memory = checkpoint(_decode_slot, codec, slot, memory, number == 0, use_reentrant=False)
        else:
            decoded, memory = _decode_slot(codec, slot, memory, number == 0)
        pictures.append(decoded)
    return _without_patches(torch.cat(pictures, dim=2), codec.config.patch_size or 1).transpose(1, 2)


def _decode_slot(codec: Any, slot: Tensor, memory: Memory, first: bool) -> tuple[Tensor, Memory]:
    """One slot, by the decoder and what it remembers of those before; nothing that is given is changed."""
    remembered = list(memory)
    decoded = codec.decoder(slot, feat_cache=remembered, feat_idx=[0], first_chunk=first)
    return decoded, tuple(remembered)


def _in_patches(pictures: Tensor, side: int) -> Tensor:
    """The reverse of :func:`_without_patches`."""
    if side == 1:
        return pictures
    parts = pictures.unflatten(4, (-1, side)).unflatten(3, (-1, side))
    # (B, 3, T, h, rows, w, columns) -> (B, 3, columns, rows, T, h, w)
    return parts.permute(0, 1, 6, 4, 2, 3, 5).flatten(1, 3)


def _without_patches(pictures: Tensor, side: int) -> Tensor:
    """(B, 3 side^2, T, H / side, W / side) -> (B, 3, T, H, W); of a patch's channels columns count slower than rows."""
    if side == 1:
        return pictures
    parts = pictures.unflatten(1, (-1, side, side))
    # (B, 3, columns, rows, T, h, w) -> (B, 3, T, h, rows, w, columns)
    return parts.permute(0, 1, 4, 5, 3, 6, 2).flatten(5, 6).flatten(3, 4)


def _statistics(codec: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of every latent channel, (C, 1, 1, 1)."""
    values = (torch.tensor(each) for each in (codec.config.latents_mean, codec.config.latents_std))
    mean, deviation = (each.to(like.device, like.dtype).view(-1, 1, 1, 1) for each in values)
    return mean, deviation
