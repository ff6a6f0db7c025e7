"""Wan's network as methods need it: a level for every slot, a context for every slot, places in time of one's choice.

diffusers' class knows one context for all slots, counts them from 0, embeds the level once for every token, and has its
attention split image from text tokens at 512. Its weights and the names of its layers are kept.

Shapes: B clips, T' latent slots, n tokens of a slot, D the network's width, L text and N image tokens.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from diffusers import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanTransformerBlock
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from .dot_product import dot_product_attention

# Of every block: what reads places of a slot, slots of a place, and slots as pictures.
PLACES = ("of_space", "of_time", "of_pictures")
# cos and sin of RoPE's angles, (1, tokens, 1, width of a head) each.
Rotation = tuple[Tensor, Tensor]


class Place(nn.Module):
    """Where a small network may add to a block, by a hook on this: what is given is what it reads, and the answer is 0.

    It has no weights, so that a checkpoint knows nothing of it.
    """

    def forward(self, x: Tensor, slots: int = 1) -> Tensor:
        """slots: T', of slots that lie in the batch."""
        return torch.zeros_like(x)


class WanTransformer(WanTransformer3DModel):
    """``WanTransformer3DModel`` (arXiv 2503.20314); equal to diffusers' where both can be asked the same.

    Attributes:
        run_block: calls a block, (block, *arguments); one that brings the block's weights for its turn, say.
    """

    #: What everything goes through: kept whole where layers are packed into few bits.
    unpacked = ("condition_embedder", "proj_out")

    # diffusers reads a network's settings from the signature.
    @functools.wraps(WanTransformer3DModel.__init__)  # type: ignore[misc]
    def __init__(self, *arguments: Any, **settings: Any):
        super().__init__(*arguments, **settings)
        self.region_embedding: nn.Conv3d | None = None
        self.run_block: Callable[..., Tensor] = _call
        for block in self.blocks:
            block.__class__ = WanBlock
            for name in PLACES:
                block.add_module(name, Place())

    def forward(  # type: ignore[override]
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        context: Tensor,
        image: Tensor | None = None,
        positions: Sequence[int] | None = None,
        folded: bool = False,
        region: Tensor | None = None,
        apart: Sequence[str] = (),
    ) -> Tensor:
        """Predict the velocity.

        Args:
            hidden_states: (B, C_in, T', h, w).
            timestep: (B,), or (B, T') where every slot has its own; 1000 times the flow's sigma.
            context: text tokens (B, L, D_text), or (B, T', L, D_text) where every slot reads its own.
            image: tokens of the image encoder (B, N, D_image), for networks that read them.
            positions: T' places in time of the slots; 0, 1, 2, ... when None.
            folded: whether each slot attends to itself alone, as if it were a clip of one.
            region: (B, 1, 1, h, w), where something moves, of networks with an entrance for it.
            apart: names of adapters whose part of self-attention is folded, whatever the rest does: what they change of
                it, each slot alone, is added. Begun with zeros they change nothing.

        Returns:
            (B, C_out, T', h, w).
        """
        batch, _, slots, height, width = hidden_states.shape
        _, rows, columns = self.config.patch_size
        grid = height // rows, width // columns
        x = self.patch_embedding(hidden_states)
        if region is not None and self.region_embedding is not None:
            x = x + self.region_embedding(region.to(x.dtype))
        x = x.flatten(3).permute(0, 2, 3, 1)
        level, modulation = self._embedded(timestep.reshape(batch, -1), x)
        text = self.condition_embedder.text_embedder(context)
        pictures = None if image is None else self.condition_embedder.image_embedder(image)
        places = range(slots) if positions is None else positions
        rotation = self._rotation(places, grid, folded)
        alone = self._rotation(places, grid, True) if apart else None
        for block in self.blocks:
            x = x + _added_to_pictures(block.of_pictures, x, grid)
            arguments = (block, x, text, pictures, modulation, rotation, folded, alone, tuple(apart))
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                x = self._gradient_checkpointing_func(self.run_block, *arguments)
            else:
                x = self.run_block(*arguments)
        shift, scale = (self.scale_shift_table + level[..., None, :]).unbind(-2)
        x = (self.norm_out(x.float()) * (1 + scale[:, :, None]) + shift[:, :, None]).type_as(x)
        x = self.proj_out(x).unflatten(2, grid).unflatten(-1, (rows, columns, -1))
        # (B, T', h', w', rows, columns, C) -> (B, C, T', h', rows, w', columns)
        return x.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)

    def add_region_entrance(self) -> nn.Conv3d:
        """Add the entrance for regions, or begin it anew: with zeros, so that it changes nothing yet."""
        like = self.patch_embedding
        entrance = nn.Conv3d(1, like.out_channels, like.kernel_size, like.stride, bias=False).to(like.weight)  # type: ignore[arg-type]
        nn.init.zeros_(entrance.weight)
        self.region_embedding = entrance
        return entrance

    def remove_region_entrance(self) -> None:
        """Take back :meth:`add_region_entrance`."""
        self.region_embedding = None

    def _embedded(self, timestep: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S) -> the level's embedding (B, S, D) and what it modulates blocks with (B, S, 6, D); S is T' or 1."""
        parts = self.condition_embedder
        waves = parts.timesteps_proj(timestep.flatten())
        own = next(iter(parts.time_embedder.parameters())).dtype
        level = parts.time_embedder(waves if own == torch.int8 else waves.to(own)).to(like.dtype)
        modulation = parts.time_proj(parts.act_fn(level)).unflatten(1, (6, -1))
        return level.unflatten(0, timestep.shape), modulation.unflatten(0, timestep.shape)

    def _rotation(self, positions: Sequence[int], grid: tuple[int, int], folded: bool) -> Rotation:
        """RoPE's angles of all tokens; where slots are folded those of one, whose place in time turns nothing."""
        rope = self.rope
        places = torch.tensor(list(positions)[:1] if folded else list(positions), device=rope.freqs_cos.device)
        shape = (len(places), *grid)

        def laid_out(table: Tensor) -> Tensor:
            time, row, column = table.split([rope.t_dim, rope.h_dim, rope.w_dim], dim=1)
            parts = time[places][:, None, None], row[: grid[0]][None, :, None], column[: grid[1]][None, None]
            whole = torch.cat([part.expand(*shape, -1) for part in parts], dim=-1)
            return whole.flatten(0, 2)[None, :, None]

        return laid_out(rope.freqs_cos), laid_out(rope.freqs_sin)


def _call(block: nn.Module, *arguments: Any) -> Tensor:
    return block(*arguments)


class WanBlock(WanTransformerBlock):
    """``WanTransformerBlock`` that keeps slots apart. It is called as a module is, so that whatever stands at its door,
    such as the gathering of its shards, is passed."""

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        text: Tensor,
        image: Tensor | None,
        modulation: Tensor,
        rotation: Rotation,
        folded: bool,
        alone: Rotation | None,
        apart: tuple[str, ...],
    ) -> Tensor:
        """Tokens (B, T', n, D) -> like them; modulation (B, T' or 1, 6, D)."""
        turn = (self.scale_shift_table + modulation.float())[:, :, :, None].unbind(2)
        shift, scale, gate, ff_shift, ff_scale, ff_gate = turn
        seen = (self.norm1(x.float()) * (1 + scale) + shift).type_as(x)
        attended = _self_attention(self.attn1, seen, rotation, folded, alone, apart) + _added_beside(self, seen)
        x = (x.float() + attended * gate).type_as(x)
        x = x + _cross_attention(self.attn2, self.norm2(x.float()).type_as(x), text, image)
        seen = (self.norm3(x.float()) * (1 + ff_scale) + ff_shift).type_as(x)
        return (x.float() + self.ffn(seen).float() * ff_gate).type_as(x)


def _added_beside(block: Any, x: Tensor) -> Tensor | float:
    """What networks at the places beside self-attention say of tokens (B, T', n, D)."""
    added: Tensor | float = 0.0
    if block.of_space._forward_hooks:
        added = added + block.of_space(x.flatten(0, 1)).view_as(x)
    if block.of_time._forward_hooks:
        over_time = x.transpose(1, 2)
        added = added + block.of_time(over_time.flatten(0, 1)).view_as(over_time).transpose(1, 2)
    return added


def _added_to_pictures(place: nn.Module, x: Tensor, grid: tuple[int, int]) -> Tensor | float:
    """What a network that convolves slots (B T', D, rows, columns) says of tokens (B, T', n, D)."""
    if not place._forward_hooks:
        return 0.0
    pictures = x.flatten(0, 1).transpose(1, 2).unflatten(2, grid)
    return place(pictures, x.shape[1]).flatten(2).transpose(1, 2).reshape_as(x)


def _self_attention(
    attention: nn.Module, x: Tensor, rotation: Rotation, folded: bool, alone: Rotation | None, apart: tuple[str, ...]
) -> Tensor:
    def attend(rotation: Rotation, folded: bool) -> Tensor:
        tokens = x.flatten(0, 1) if folded else x.flatten(1, 2)
        return attention(tokens, None, None, rotation).view_as(x)

    layers = [layer for layer in attention.modules() if isinstance(layer, LoraLayer)]
    active = [name for layer in layers[:1] for name in layer.active_adapters]
    moved = [name for name in active if name in apart]
    if alone is None or not moved:
        return attend(rotation, folded)
    with _only(layers, [name for name in active if name not in apart]):
        together = attend(rotation, folded)
    with _only(layers, moved):
        together = together + attend(alone, True)
    with _only(layers, []):
        return together - attend(alone, True)


@contextlib.contextmanager
def _only(layers: Sequence[Any], names: list[str]) -> Iterator[None]:
    """While open, layers run with these adapters alone; which take gradients stays as it is, unlike with peft's own
    ``set_adapter``."""
    before = [layer._active_adapter for layer in layers]
    try:
        for layer in layers:
            layer._active_adapter = names
        yield
    finally:
        for layer, names_before in zip(layers, before, strict=True):
            layer._active_adapter = names_before


def _cross_attention(attention: Any, x: Tensor, text: Tensor, image: Tensor | None) -> Tensor:
    """To text, and to the image's tokens beside it. Queries attend by themselves: slots with texts of their own may lie
    in the batch."""
    own = text.ndim == 4
    tokens, context = (x.flatten(0, 1), text.flatten(0, 1)) if own else (x.flatten(1, 2), text)
    if image is None:
        return attention(tokens, context, None, None).view_as(x)
    if own:
        image = image.repeat_interleave(x.shape[1], dim=0)
    processor = attention.processor
    attention.set_processor(_TwoContexts(image.shape[1]))
    try:
        return attention(tokens, torch.cat([image, context], dim=1), None, None).view_as(x)
    finally:
        attention.set_processor(processor)


class _TwoContexts:
    """Cross-attention to image tokens, which come first, and to text, whatever its length; the sums are added.

    Args:
        images: how many image tokens there are.
    """

    def __init__(self, images: int):
        self.images = images

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor, *unused: Any, **none: Any
    ) -> Tensor:
        image, text = encoder_hidden_states[:, : self.images], encoder_hidden_states[:, self.images :]
        query = _heads(attn.norm_q(attn.to_q(hidden_states)), attn)
        of_text = dot_product_attention(
            query, _heads(attn.norm_k(attn.to_k(text)), attn), _heads(attn.to_v(text), attn)
        )
        of_image = dot_product_attention(
            query, _heads(attn.norm_added_k(attn.add_k_proj(image)), attn), _heads(attn.add_v_proj(image), attn)
        )
        joined = (of_text + of_image).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](joined))


def _heads(x: Tensor, attn: Any) -> Tensor:
    """(B, n, D) -> (B, heads, n, D / heads)."""
    return x.unflatten(2, (attn.heads, -1)).transpose(1, 2)
