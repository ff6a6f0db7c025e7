"""Convolutional layers of the video UNet and the levels that they make up."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import SpatialTransformer, TemporalTransformer, clip_view, frame_view, zero_init


class ResidualBlock(nn.Module):
    """GroupNorm, SiLU, 3x3 convolution, twice, with the timestep embedding added in between; frame by frame."""

    def __init__(self, in_channels: int, out_channels: int, embedding_dim: int, dropout: float, groups: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.embedding = nn.Linear(embedding_dim, out_channels)
        self.norm2 = nn.GroupNorm(groups, out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)
        zero_init(self.conv2)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x (B*T, C_in, H, W), embedding (B, E) -> (B*T, C_out, H, W)."""
        shift = self.embedding(F.silu(embedding)).repeat_interleave(x.shape[0] // embedding.shape[0], dim=0)
        h = self.conv1(F.silu(self.norm1(x))) + shift[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return self.shortcut(x) + h


class TemporalConvolution(nn.Module):
    """Residual stack of [GroupNorm, SiLU, dropout, convolution over 3 frames]; the last one starts at zero.

    The 3x1x1 convolution over (T, H, W) is done as a 3x1 convolution over (T, H*W): the same sum, and with
    channels-last memory neither a copy nor a 3-D kernel is needed. Norms take their statistics over the whole clip.
    """

    def __init__(self, channels: int, depth: int, dropout: float, groups: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(groups, channels) for _ in range(depth))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, (3, 1), padding=(1, 0)) for _ in range(depth))
        self.dropout = nn.Dropout(dropout)
        zero_init(self.convs[-1])

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """x (B*T, C, H, W) -> like x."""
        h = clip_view(x, num_frames)
        for index, (norm, conv) in enumerate(zip(self.norms, self.convs, strict=True)):
            h = F.silu(norm(h))
            h = conv(self.dropout(h) if index else h)
        return x + frame_view(h, x.shape[-2])


@dataclass(frozen=True, slots=True)
class Context:
    """What every layer needs besides the feature map.

    embedding (B, E); text (B, L, D); image (B, N, D), (B, T, n, D) or None; ``temporal`` switches the temporal
    transformers, ``temporal_conv`` the temporal convolutions.
    """

    embedding: Tensor
    text: Tensor
    image: Tensor | None
    num_frames: int
    temporal: bool
    temporal_conv: bool


class VideoLayer(nn.Module):
    """One step of a level: residual block, temporal convolution, spatial transformer, temporal transformer."""

    def __init__(self, in_channels: int, out_channels: int, attention: bool, settings: dict):
        super().__init__()
        dropout, groups = settings["dropout"], settings["norm_num_groups"]
        head_dim = settings["attention_head_dim"]
        self.resnet = ResidualBlock(in_channels, out_channels, settings["embedding_dim"], dropout, groups)
        depth = settings["temporal_conv_depth"]
        self.temporal_conv = TemporalConvolution(out_channels, depth, dropout, groups) if depth else None
        self.spatial_attention: SpatialTransformer | None = None
        self.temporal_attention: TemporalTransformer | None = None
        if attention:
            context_dim, image_scale = settings["cross_attention_dim"], settings["image_attention_scale"]
            self.spatial_attention = SpatialTransformer(
                out_channels, context_dim, head_dim, dropout, image_scale, groups
            )
            self.temporal_attention = TemporalTransformer(out_channels, out_channels, head_dim, dropout, groups)

    def forward(self, x: Tensor, ctx: Context) -> Tensor:
        x = self.resnet(x, ctx.embedding)
        if self.temporal_conv is not None and ctx.temporal_conv:
            x = self.temporal_conv(x, ctx.num_frames)
        if self.spatial_attention is not None:
            x = self.spatial_attention(x, ctx.text, ctx.image)
        if self.temporal_attention is not None and ctx.temporal:
            x = self.temporal_attention(x, ctx.num_frames)
        return x


class DownBlock(nn.Module):
    """Layers of one level on the way down; the output of each is kept for the way up."""

    def __init__(self, in_channels: int, out_channels: int, layers: int, attention: bool, last: bool, settings: dict):
        super().__init__()
        self.layers = nn.ModuleList(
            VideoLayer(in_channels if i == 0 else out_channels, out_channels, attention, settings)
            for i in range(layers)
        )
        self.downsample = None if last else nn.Conv2d(out_channels, out_channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, ctx: Context, run) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for layer in self.layers:
            x = run(layer, x, ctx)
            skips.append(x)
        if self.downsample is not None:
            x = self.downsample(x)
            skips.append(x)
        return x, skips


class UpBlock(nn.Module):
    """Layers of one level on the way up; each first appends what the way down kept."""

    def __init__(
        self, channels: int, out_channels: int, skip_channels: list[int], attention: bool, last: bool, settings: dict
    ):
        super().__init__()
        widths = [channels] + [out_channels] * (len(skip_channels) - 1)
        self.layers = nn.ModuleList(
            VideoLayer(width + skip, out_channels, attention, settings)
            for width, skip in zip(widths, skip_channels, strict=True)
        )
        self.upsample = None if last else nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor, ctx: Context, skips: list[Tensor], run) -> Tensor:
        for layer in self.layers:
            x = run(layer, torch.cat([x, skips.pop()], dim=1), ctx)
        if self.upsample is not None:
            # The next skip's own size, so that latents of odd size come back to it.
            x = self.upsample(F.interpolate(x, size=skips[-1].shape[-2:], mode="nearest"))
        return x
