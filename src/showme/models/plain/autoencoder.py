"""The codec between pictures and latents (arXiv 2112.10752) without attention, named as ``AutoencoderKL``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPS = 1e-6


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int, out_channels: int, groups: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels, eps=_EPS)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out_channels, eps=_EPS)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(channels, out_channels, 1) if channels != out_channels else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (x if self.conv_shortcut is None else self.conv_shortcut(x)) + h


class _Halve(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class _Double(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class _Block(nn.Module):
    """Residual blocks, then a change of size under the name that diffusers gives it (None: none)."""

    def __init__(self, channels: int, out_channels: int, depth: int, groups: int, resize: str | None):
        super().__init__()
        widths = [channels, *[out_channels] * (depth - 1)]
        self.resnets = nn.ModuleList(_ResidualBlock(width, out_channels, groups) for width in widths)
        self.downsamplers = nn.ModuleList([_Halve(out_channels)] if resize == "down" else [])
        self.upsamplers = nn.ModuleList([_Double(out_channels)] if resize == "up" else [])

    def forward(self, x: Tensor) -> Tensor:
        for layer in (*self.resnets, *self.downsamplers, *self.upsamplers):
            x = layer(x)
        return x


class _Encoder(nn.Module):
    def __init__(self, channels: int, latent_channels: int, widths: Sequence[int], depth: int, groups: int):
        super().__init__()
        self.conv_in = nn.Conv2d(channels, widths[0], 3, padding=1)
        before, last = [widths[0], *widths[:-1]], len(widths) - 1
        self.down_blocks = nn.ModuleList(
            _Block(before[level], width, depth, groups, "down" if level < last else None)
            for level, width in enumerate(widths)
        )
        self.mid_block = _Block(widths[-1], widths[-1], 2, groups, None)
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], eps=_EPS)
        self.conv_out = nn.Conv2d(widths[-1], 2 * latent_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))


class _Decoder(nn.Module):
    def __init__(self, latent_channels: int, channels: int, widths: Sequence[int], depth: int, groups: int):
        super().__init__()
        widths = widths[::-1]
        self.conv_in = nn.Conv2d(latent_channels, widths[0], 3, padding=1)
        self.mid_block = _Block(widths[0], widths[0], 2, groups, None)
        before, last = [widths[0], *widths[:-1]], len(widths) - 1
        self.up_blocks = nn.ModuleList(
            _Block(before[level], width, depth + 1, groups, "up" if level < last else None)
            for level, width in enumerate(widths)
        )
        self.conv_norm_out = nn.GroupNorm(groups, widths[-1], eps=_EPS)
        self.conv_out = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(x))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class PlainAutoencoder(nn.Module):
    """Pictures (B, 3, H, W) in [-1, 1] to latents (B, C, H / f, W / f) and back.

    Args:
        config: what diffusers writes for an ``AutoencoderKL`` without attention.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        widths, depth, groups = config["block_out_channels"], config["layers_per_block"], config["norm_num_groups"]
        latent = config["latent_channels"]
        self.config = SimpleNamespace(scaling_factor=config["scaling_factor"], block_out_channels=widths)
        self.encoder = _Encoder(config["in_channels"], latent, widths, depth, groups)
        self.decoder = _Decoder(latent, config["out_channels"], widths, depth, groups)
        self.quant_conv = nn.Conv2d(2 * latent, 2 * latent, 1)
        self.post_quant_conv = nn.Conv2d(latent, latent, 1)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.quant_conv.weight.dtype

    def encode(self, pixels: Tensor) -> SimpleNamespace:
        """Pictures -> an answer whose ``latent_dist.mode()`` is the most likely latents."""
        mean = self.quant_conv(self.encoder(pixels)).chunk(2, dim=1)[0]
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: mean))

    def decode(self, latents: Tensor) -> SimpleNamespace:
        """Latents -> an answer whose ``sample`` is the pictures."""
        return SimpleNamespace(sample=self.decoder(self.post_quant_conv(latents)))
