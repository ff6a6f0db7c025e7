"""Stable Video Diffusion's network as AID needs it: a context for every frame, and a temporal half that can be off.

diffusers' class repeats one context over all frames, takes every sample for a video, and has no LoRA. Its weights and
the names of its layers are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from diffusers import UNetSpatioTemporalConditionModel
from diffusers.loaders import PeftAdapterMixin
from torch import Tensor, nn

from .dot_product import dot_product_attention


class SharedContextAttention:
    """Attention of all places of a clip to one context, whose keys and values are computed once.

    diffusers repeats the context for every place: at AID's 154 tokens that is most of what the temporal layers compute
    and keep. The same sum: queries are laid end to end instead. ``clips`` says how many there are in the batch.
    """

    def __init__(self) -> None:
        self.clips = 1

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **unused: Any
    ) -> Tensor:
        assert encoder_hidden_states is not None
        context = encoder_hidden_states.unflatten(0, (self.clips, -1))[:, 0]
        queries = attn.to_q(hidden_states).unflatten(0, (self.clips, -1)).flatten(1, 2)
        q, k, v = (
            each.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for each in (queries, attn.to_k(context), attn.to_v(context))
        )
        out = dot_product_attention(q, k, v).transpose(1, 2).flatten(2).view_as(hidden_states)
        return attn.to_out[1](attn.to_out[0](out))


class SVDUNet(UNetSpatioTemporalConditionModel, PeftAdapterMixin):
    """``UNetSpatioTemporalConditionModel`` (arXiv 2311.15127) with per-frame context.

    The spatial layers' cross-attention reads each frame's own context; that of the temporal layers reads the first
    frame's, as diffusers hands it to them.
    """

    @cached_property
    def _of_time(self) -> list[SharedContextAttention]:
        """What the temporal layers attend to their context with, put in place when it is first asked for."""
        found = []
        for name, module in self.named_modules():
            if name.endswith("attn2") and ".temporal_transformer_blocks." in name:
                found.append(SharedContextAttention())
                module.set_processor(found[-1])
        return found

    def forward(  # type: ignore[override]
        self, sample: Tensor, timestep: Tensor, context: Tensor, added_time_ids: Tensor, temporal: bool = True
    ) -> Tensor:
        """Predict F of EDM's preconditioning.

        Args:
            sample: (B, 2 C, T, h, w), scaled latents beside the condition.
            timestep: (B,) or (), ln sigma / 4.
            context: (B, M, D) for all frames or (B, T, M, D) for each its own.
            added_time_ids: (B, 3): frames per second less one, motion bucket, noise augmentation.
            temporal: False: every frame for itself, by the blenders' own switch.

        Returns:
            (B, C, T, h, w).
        """
        batch, _, frames = sample.shape[:3]
        own = context.flatten(0, 1) if context.ndim == 4 else context.repeat_interleave(frames, dim=0)
        still = sample.new_full((batch, frames), float(not temporal))
        shared = context[:, 0] if context.ndim == 4 else context
        for attention in self._of_time:
            attention.clips = batch
        with self._blocks_given(own, still):
            made = super().forward(sample.transpose(1, 2), timestep, shared, added_time_ids, return_dict=False)[0]
        return made.transpose(1, 2)

    @contextmanager
    def _blocks_given(self, context: Tensor, still: Tensor) -> Iterator[None]:
        """While open, the blocks get a context for every frame, and are told whether frames belong together."""

        def hook(block: nn.Module, arguments: tuple, named: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
            named = {**named, "image_only_indicator": still}
            if named.get("encoder_hidden_states") is not None:
                named["encoder_hidden_states"] = context
            return arguments, named

        blocks = [*self.down_blocks, self.mid_block, *self.up_blocks]
        handles = [block.register_forward_pre_hook(hook, with_kwargs=True) for block in blocks]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def heads_of_images(tokens: Tensor, image_encoder: Any) -> Tensor:
    """CLIP's picture embedding (n, 1, D) of its encoder's last tokens (n, 1 + patches, D'); zeros of zeros.

    Zeros stand for no picture, as diffusers' pipeline guides.
    """
    first = image_encoder.vision_model.post_layernorm(tokens[:, 0].to(image_encoder.dtype))
    there = tokens.flatten(1).any(dim=1)
    return image_encoder.visual_projection(first)[:, None] * there[:, None, None]
