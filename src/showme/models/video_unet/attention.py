"""Transformer layers of the video UNet: across the places of one frame, and across the frames at one place.

Shapes: B clips, T frames, C channels, H x W places, L text tokens, N image tokens, D context width. Feature maps are
(B*T, C, H, W) in channels-last memory, so that the same memory read as (B, T, H*W, C) costs no copy.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..dot_product import dot_product_attention

# Without gradients a CPU works on this many numbers of the widest layer at a time, 4 MB in fp32: what lies between two
# layers is then read from the cache instead of from pages that the system has to fetch first.
_PIECE = 2**20


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Multi-head softmax(q k^T / sqrt(d)) v for q (n, i, heads*d), k and v (n, j, heads*d) -> (n, i, heads*d)."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Attention of a sequence to itself: (n, length, dim) -> (n, length, dim)."""

    def __init__(self, dim: int, head_dim: int, dropout: float):
        super().__init__()
        self.heads = dim // head_dim
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(dim, dim, bias=False)
        self.to_v = nn.Linear(dim, dim, bias=False)
        self.to_out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        out = attend(self.to_q(x), self.to_k(x), self.to_v(x), self.heads)
        return self.dropout(self.to_out(out))


class CrossAttention(nn.Module):
    """Dual cross-attention of DynamiCrafter: out = Attn(q, K_txt, V_txt) + s Attn(q, K_img, V_img).

    s is 1, or tanh(alpha) + 1 with a learnable alpha per layer (``image_scale="learnable"``). Without an image branch
    (``image_scale="none"``) only the text is read. Keys and values of a context that all frames share are computed
    once per clip: the frames' queries are laid end to end instead of the keys being repeated.
    """

    def __init__(self, dim: int, context_dim: int, head_dim: int, dropout: float, image_scale: str):
        super().__init__()
        self.heads = dim // head_dim
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(context_dim, dim, bias=False)
        self.to_v = nn.Linear(context_dim, dim, bias=False)
        self.has_image = image_scale != "none"
        if self.has_image:
            self.to_k_ip = nn.Linear(context_dim, dim, bias=False)
            self.to_v_ip = nn.Linear(context_dim, dim, bias=False)
        self.alpha = nn.Parameter(torch.zeros(())) if image_scale == "learnable" else None
        self.to_out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, text: Tensor, image: Tensor | None) -> Tensor:
        """x (B*T, H*W, dim); text (B, L, D); image (B, N, D) shared or (B, T, n, D) per frame -> like x."""
        q = self.to_q(x)
        out = self._attend_to(q, text, self.to_k, self.to_v)
        if self.has_image and image is not None:
            scale = 1.0 if self.alpha is None else torch.tanh(self.alpha) + 1
            out = out + scale * self._attend_to(q, image, self.to_k_ip, self.to_v_ip)
        return self.dropout(self.to_out(out))

    def _attend_to(self, q: Tensor, context: Tensor, to_k: nn.Module, to_v: nn.Module) -> Tensor:
        if context.ndim == 4:
            context = context.flatten(0, 1)
        shared = q.reshape(context.shape[0], -1, q.shape[-1])
        return attend(shared, to_k(context), to_v(context), self.heads).reshape(q.shape)


class GEGLUFeedForward(nn.Module):
    """out(a * gelu(b)) with [a, b] = in(x)."""

    def __init__(self, dim: int, dropout: float, mult: int = 4):
        super().__init__()
        self.proj_in = nn.Linear(dim, 2 * mult * dim)
        self.dropout = nn.Dropout(dropout)
        self.proj_out = nn.Linear(mult * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """x (n, length, dim) -> like x."""
        return in_pieces(self._widen, x, 8)

    def _widen(self, x: Tensor) -> Tensor:
        value, gate = self.proj_in(x).chunk(2, dim=-1)
        return self.proj_out(self.dropout(value * F.gelu(gate)))


class SpatialTransformer(nn.Module):
    """Self-attention over the places of each frame, then cross-attention to text and image, then a feed-forward."""

    def __init__(self, dim: int, context_dim: int, head_dim: int, dropout: float, image_scale: str, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, dim, eps=1e-6)
        self.proj_in = nn.Linear(dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.attn1 = SelfAttention(dim, head_dim, dropout)
        self.norm2 = nn.LayerNorm(dim)
        self.attn2 = CrossAttention(dim, context_dim, head_dim, dropout, image_scale)
        self.norm3 = nn.LayerNorm(dim)
        self.ff = GEGLUFeedForward(dim, dropout)
        self.proj_out = nn.Linear(dim, dim)
        zero_init(self.proj_out)

    def forward(self, x: Tensor, text: Tensor, image: Tensor | None) -> Tensor:
        """x (B*T, C, H, W); text and image as in :class:`CrossAttention` -> like x."""
        height = x.shape[-2]
        h = self.proj_in(_to_tokens(self.norm(x)))
        h = h + self.attn1(self.norm1(h))
        h = h + self.attn2(self.norm2(h), text, image)
        h = h + self.ff(self.norm3(h))
        return x + _to_map(self.proj_out(h), height)


class TemporalTransformer(nn.Module):
    """Self-attention over the frames at each place (twice), then a feed-forward.

    ``inner_dim`` may differ from ``dim``: the transformer at the UNet's entrance has 8 heads whatever the width.
    """

    def __init__(self, dim: int, inner_dim: int, head_dim: int, dropout: float, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, dim, eps=1e-6)
        self.proj_in = nn.Linear(dim, inner_dim)
        self.norm1 = nn.LayerNorm(inner_dim)
        self.attn1 = SelfAttention(inner_dim, head_dim, dropout)
        self.norm2 = nn.LayerNorm(inner_dim)
        self.attn2 = SelfAttention(inner_dim, head_dim, dropout)
        self.norm3 = nn.LayerNorm(inner_dim)
        self.ff = GEGLUFeedForward(inner_dim, dropout)
        self.proj_out = nn.Linear(inner_dim, dim)
        zero_init(self.proj_out)

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """x (B*T, C, H, W) -> like x. The normalisation's statistics are taken over the whole clip."""
        height = x.shape[-2]
        h = self.norm(clip_view(x, num_frames))  # (B, C, T, H*W)
        h = in_pieces(self._mix_frames, h.permute(0, 3, 2, 1).flatten(0, 1), 8)
        h = h.unflatten(0, (-1, x.shape[-2] * x.shape[-1]))  # (B, H*W, T, C)
        return x + _to_map(h.transpose(1, 2).flatten(0, 1), height)

    def _mix_frames(self, h: Tensor) -> Tensor:
        """(n, T, C) -> like it, every one of the n places for itself."""
        h = self.proj_in(h)  # (n, T, inner)
        h = h + self.attn1(self.norm1(h))
        h = h + self.attn2(self.norm2(h))
        h = h + self.ff(self.norm3(h))
        return self.proj_out(h)


def in_pieces(layer: Callable[[Tensor], Tensor], x: Tensor, widening: int) -> Tensor:
    """layer(x), where a CPU without gradients does some of x (n, length, dim) at a time; the rows must not mix."""
    size = max(_PIECE // (widening * x.shape[1] * x.shape[2]), 1)
    if torch.is_grad_enabled() or x.device.type != "cpu" or x.shape[0] <= size:
        return layer(x)
    return torch.cat([layer(piece) for piece in x.split(size)])


def zero_init(layer: nn.Module) -> None:
    """Set a layer to zero, so that the residual branch that it ends begins as nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def clip_view(x: Tensor, num_frames: int) -> Tensor:
    """(B*T, C, H, W) -> (B, C, T, H*W), a view of the same memory when x is channels-last."""
    return x.permute(0, 2, 3, 1).reshape(-1, num_frames, x.shape[-2] * x.shape[-1], x.shape[1]).permute(0, 3, 1, 2)


def frame_view(x: Tensor, height: int) -> Tensor:
    """Inverse of :func:`clip_view`: (B, C, T, H*W) -> (B*T, C, H, W)."""
    return _to_map(x.permute(0, 2, 3, 1).flatten(0, 1), height)


def _to_tokens(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _to_map(tokens: Tensor, height: int) -> Tensor:
    return tokens.unflatten(1, (height, -1)).permute(0, 3, 1, 2)
