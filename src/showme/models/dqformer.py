"""AID's dual-query transformer (arXiv 2406.06465): from an instruction, its states and a picture to tokens per frame.

No code of the paper was published. Its two branches, their inputs and the sizes (1024 channels, 2 layers, 8 heads, 77
queries) are the paper's; norms, residuals, feed-forward layers and the axis of the concatenation are ours.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from .dot_product import dot_product_attention


class DQFormer(ModelMixin, ConfigMixin):
    """Two branches, each of which can be left out; with both, a frame's tokens are those of the one, then the other's.

    Multimodal: the instruction attends to itself and then to the picture's tokens; what comes is the same for all
    frames. Decomposed: every frame's learnable queries attend to the instruction, and then to the states that lie
    between beginning and end; without states, to the instruction again (the paper's row "without LLaVA").

    Args:
        text_width: D of the text encoder's tokens.
        image_width: of the image encoder's tokens; None: there is none, and no multimodal branch.
        context_width: of the tokens that the network's cross-attention reads.
        frames: N that have queries of their own; other numbers take them linearly between.
        channels, layers, heads: of both branches.
        queries: of each frame.
        multimodal, decomposed: the branches.

    Raises:
        ValueError: no branch, a multimodal one without image tokens, or channels that the heads do not divide.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        text_width: int = 1024,
        image_width: int | None = 1280,
        context_width: int = 1024,
        frames: int = 16,
        channels: int = 1024,
        layers: int = 2,
        heads: int = 8,
        queries: int = 77,
        multimodal: bool = True,
        decomposed: bool = True,
    ):
        super().__init__()
        if not (multimodal or decomposed):
            raise ValueError("a DQFormer has one branch at least.")
        if multimodal and image_width is None:
            raise ValueError("the multimodal branch reads image tokens, and the model has no image encoder.")
        if channels % heads:
            raise ValueError(f"{heads} heads do not divide {channels} channels.")
        self.text_in = nn.Linear(text_width, channels)
        self.image_in = nn.Linear(image_width, channels) if multimodal and image_width else None
        self.multimodal_layers = nn.ModuleList(
            _Layer(channels, heads, "own", "image") for _ in range(layers if multimodal else 0)
        )
        self.decomposed_layers = nn.ModuleList(
            _Layer(channels, heads, "text", "states") for _ in range(layers if decomposed else 0)
        )
        self.frame_queries = (
            nn.Parameter(torch.randn(frames, queries, channels) / channels**0.5) if decomposed else None
        )
        self.norm_out = nn.LayerNorm(channels)
        self.proj_out = nn.Linear(channels, context_width)

    def forward(
        self,
        text: Tensor,
        image: Tensor | None,
        count: int,
        states: Tensor | None = None,
        there: Tensor | None = None,
    ) -> Tensor:
        """Tokens for every frame, or latent slot, of which there are ``count``.

        Args:
            text: (B, L, D) tokens of the instruction.
            image: (B, N, D') tokens of the frozen image encoder; read by the multimodal branch alone.
            count: T'.
            states: (B, S, L, D) tokens of the states; None: none are known.
            there: (B, S) bool, which of them are; None: all.

        Returns:
            (B, T', L + queries, context_width), or the part of one branch.
        """
        sources: dict[str, tuple[Tensor, Tensor | None]] = {"text": (self.text_in(text), None)}
        if self.image_in is not None:
            assert image is not None
            sources["image"] = (self.image_in(image), None)
        sources["states"] = sources["text"] if states is None else self._states(states, there)
        found = []
        if self.multimodal_layers:
            tokens = sources["text"][0]
            for layer in self.multimodal_layers:
                tokens = layer(tokens, sources)
            found.append(tokens[:, None].expand(-1, count, -1, -1))
        if self.frame_queries is not None:
            queries = _between(self.frame_queries, count).flatten(0, 1).expand(len(text), -1, -1)
            for layer in self.decomposed_layers:
                queries = layer(queries, sources)
            found.append(queries.unflatten(1, (count, -1)))
        return self.proj_out(self.norm_out(torch.cat(found, dim=2)))

    def _states(self, states: Tensor, there: Tensor | None) -> tuple[Tensor, Tensor | None]:
        mask = None if there is None else there.repeat_interleave(states.shape[2], dim=1)[:, None, None]
        return self.text_in(states.flatten(1, 2)), mask


class _Layer(nn.Module):
    """Two attentions and a feed-forward layer, each after a norm and beside a residual.

    first, second: what they attend to: ``own`` tokens, ``text``, ``image`` or ``states``.
    """

    def __init__(self, channels: int, heads: int, first: str, second: str):
        super().__init__()
        self.reads = (first, second)
        self.attentions = nn.ModuleList(_Attention(channels, heads, name != "own") for name in self.reads)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
        )

    def forward(self, tokens: Tensor, sources: dict[str, tuple[Tensor, Tensor | None]]) -> Tensor:
        for attention, name in zip(self.attentions, self.reads, strict=True):
            source, mask = (None, None) if name == "own" else sources[name]
            tokens = tokens + attention(tokens, source, mask)
        return tokens + self.feed_forward(tokens)


class _Attention(nn.Module):
    def __init__(self, channels: int, heads: int, cross: bool):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.norm_source = nn.LayerNorm(channels) if cross else None
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(channels, channels, bias=False)
        self.to_v = nn.Linear(channels, channels, bias=False)
        self.to_out = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, source: Tensor | None, mask: Tensor | None) -> Tensor:
        """tokens (B, n, C), source (B, m, C) or None for the tokens themselves, mask (B, 1, 1, m) -> like tokens."""
        tokens = self.norm(tokens)
        source = tokens if source is None or self.norm_source is None else self.norm_source(source)
        q, k, v = (
            each.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in (self.to_q(tokens), self.to_k(source), self.to_v(source))
        )
        if mask is None:
            out = dot_product_attention(q, k, v)
        else:
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.to_out(out.transpose(1, 2).flatten(2))


def _between(queries: Tensor, count: int) -> Tensor:
    """Queries (N, n, C) at ``count`` times evenly from the first to the last."""
    if count == len(queries):
        return queries
    flat = queries.flatten(1).T[None]
    return F.interpolate(flat, count, mode="linear", align_corners=True)[0].T.unflatten(1, queries.shape[1:])
