"""CLIP's text and image encoders (arXiv 2103.00020) up to their last hidden state, with transformers' names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"quick_gelu": _quick_gelu, "gelu": F.gelu}


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.k_proj, self.v_proj = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.q_proj, self.out_proj = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        out = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(out.transpose(1, 2).flatten(2))


class _FeedForward(nn.Module):
    def __init__(self, dim: int, inner: int, activation: str):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.fc1, self.fc2 = nn.Linear(dim, inner), nn.Linear(inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(x)))


class _Layer(nn.Module):
    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        dim, eps = config["hidden_size"], config["layer_norm_eps"]
        self.self_attn = _Attention(dim, config["num_attention_heads"])
        self.layer_norm1 = nn.LayerNorm(dim, eps=eps)
        self.mlp = _FeedForward(dim, config["intermediate_size"], config["hidden_act"])
        self.layer_norm2 = nn.LayerNorm(dim, eps=eps)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x), causal)
        return x + self.mlp(self.layer_norm2(x))


class _Layers(nn.Module):
    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config["num_hidden_layers"]))

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        for layer in self.layers:
            x = layer(x, causal)
        return x


class _TextEmbeddings(nn.Module):
    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.token_embedding = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.position_embedding = nn.Embedding(config["max_position_embeddings"], config["hidden_size"])

    def forward(self, ids: Tensor) -> Tensor:
        return self.token_embedding(ids) + self.position_embedding.weight[None, : ids.shape[1]]


class _ImageEmbeddings(nn.Module):
    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        dim, patch = config["hidden_size"], config["patch_size"]
        self.class_embedding = nn.Parameter(torch.empty(dim))
        self.patch_embedding = nn.Conv2d(config["num_channels"], dim, patch, stride=patch, bias=False)
        self.position_embedding = nn.Embedding((config["image_size"] // patch) ** 2 + 1, dim)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(pixels), 1, -1)
        return torch.cat([first, patches], dim=1) + self.position_embedding.weight[None]


class PlainTextEncoder(nn.Module):
    """Token ids (B, L) -> an answer whose ``last_hidden_state`` is (B, L, D); each token sees those before it.

    Args:
        config: what transformers writes for a ``CLIPTextModel``.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.embeddings = _TextEmbeddings(config)
        self.encoder = _Layers(config)
        self.final_layer_norm = nn.LayerNorm(config["hidden_size"], eps=config["layer_norm_eps"])

    def forward(self, ids: Tensor) -> SimpleNamespace:
        hidden = self.encoder(self.embeddings(ids), causal=True)
        return SimpleNamespace(last_hidden_state=self.final_layer_norm(hidden))


class PlainVisionEncoder(nn.Module):
    """Normalised pictures (B, 3, S, S) -> an answer whose ``last_hidden_state`` is (B, 1 + patches, D).

    Args:
        config: what transformers writes for a ``CLIPVisionModel``.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.config = SimpleNamespace(image_size=config["image_size"])
        self.embeddings = _ImageEmbeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config["hidden_size"], eps=config["layer_norm_eps"])
        self.encoder = _Layers(config)
        # Of the pooled token, which nothing here reads; it is among the weights of a file.
        self.post_layernorm = nn.LayerNorm(config["hidden_size"], eps=config["layer_norm_eps"])

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.pre_layrnorm.weight.dtype

    def forward(self, pixels: Tensor) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=self.encoder(self.pre_layrnorm(self.embeddings(pixels)), causal=False))
