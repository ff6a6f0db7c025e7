"""The "Q-Former": a Perceiver resampler from CLIP image tokens to a context for every frame.

ShowMe (arXiv 2511.17839) draws it as "Q-Former"; DynamiCrafter calls it the image context projector. A fixed set of
learned queries reads the image tokens in a few rounds of cross-attention and becomes the image half of the context
that the spatial layers attend to. The layers need torch alone; ``ImageProjector``, which diffusers saves and loads, is
imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .dot_product import dot_product_attention

if TYPE_CHECKING:
    from .saved import ImageProjector

__all__ = ["ImageProjector", "ImageProjectorLayers", "split_image_tokens"]


def __getattr__(name: str) -> Any:
    # diffusers looks beside a class for the one that says how it is loaded.
    if name not in ("ImageProjector", "ModelMixin"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import saved

    return getattr(saved, name)


class PerceiverAttention(nn.Module):
    """Queries attend to the image tokens and to themselves: keys are ``[tokens; queries]``."""

    def __init__(self, dim: int, head_dim: int, heads: int):
        super().__init__()
        inner = head_dim * heads
        self.heads = heads
        self.norm_tokens = nn.LayerNorm(dim)
        self.norm_queries = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_kv = nn.Linear(dim, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, dim, bias=False)

    def forward(self, tokens: Tensor, queries: Tensor) -> Tensor:
        """tokens (B, N, dim), queries (B, Q, dim) -> (B, Q, dim)."""
        tokens, queries = self.norm_tokens(tokens), self.norm_queries(queries)
        q = self._split_heads(self.to_q(queries))
        k, v = self.to_kv(torch.cat([tokens, queries], dim=1)).chunk(2, dim=-1)
        out = dot_product_attention(q, self._split_heads(k), self._split_heads(v))
        return self.to_out(out.transpose(1, 2).flatten(2))

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class ImageProjectorLayers(nn.Module):
    """Perceiver resampler: image tokens (B, N, embedding_dim) -> context tokens (B, num_queries, output_dim).

    Args:
        embedding_dim: width of the image encoder's tokens (1280 for OpenCLIP ViT-H/14).
        output_dim: width of the context, the UNet's ``cross_attention_dim``.
        dim, depth, head_dim, heads, ff_mult: the resampler's own sizes.
        num_queries: total number of context tokens; DynamiCrafter uses 16 queries for each of 16 frames, 256 in all.
    """

    def __init__(
        self,
        embedding_dim: int = 1280,
        output_dim: int = 1024,
        dim: int = 1024,
        depth: int = 4,
        head_dim: int = 64,
        heads: int = 12,
        num_queries: int = 256,
        ff_mult: int = 4,
    ):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, num_queries, dim) / dim**0.5)
        self.proj_in = nn.Linear(embedding_dim, dim)
        self.attentions = nn.ModuleList(PerceiverAttention(dim, head_dim, heads) for _ in range(depth))
        self.feed_forwards = nn.ModuleList(_feed_forward(dim, ff_mult) for _ in range(depth))
        self.proj_out = nn.Linear(dim, output_dim)
        self.norm_out = nn.LayerNorm(output_dim)

    def forward(self, image_tokens: Tensor) -> Tensor:
        """image_tokens (B, N, embedding_dim) -> (B, num_queries, output_dim)."""
        queries = self.queries.expand(image_tokens.shape[0], -1, -1)
        tokens = self.proj_in(image_tokens)
        for attention, feed_forward in zip(self.attentions, self.feed_forwards, strict=True):
            queries = queries + attention(tokens, queries)
            queries = queries + feed_forward(queries)
        return self.norm_out(self.proj_out(queries))


def _feed_forward(dim: int, mult: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(dim), nn.Linear(dim, dim * mult, bias=False), nn.GELU(), nn.Linear(dim * mult, dim, bias=False)
    )


def split_image_tokens(tokens: Tensor, num_frames: int) -> Tensor:
    """Give every frame its share of the image tokens, as ShowMe does.

    When the N tokens divide evenly over the T frames each frame gets N/T of its own; else every frame sees them all.

    Args:
        tokens: (B, N, D).
        num_frames: T.

    Returns:
        (B, T, N/T, D), or (B, N, D) unchanged when N % T != 0.
    """
    if tokens.shape[1] % num_frames:
        return tokens
    return tokens.unflatten(1, (num_frames, -1))
