"""The video UNet: one class for the embedded model, DynamiCrafter-256/512/1024 and AnimateAnything (ModelScope layout).

It needs torch alone. ``VideoUNet``, which diffusers saves and loads, is the same network; it is imported when it is
asked for, because diffusers takes as long to import as torch does, or longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..timesteps import Timesteps
from .attention import TemporalTransformer, zero_init
from .blocks import Context, DownBlock, UpBlock, VideoLayer

if TYPE_CHECKING:
    from ..saved import VideoUNet

__all__ = ["VideoUNet", "VideoUNetLayers"]


def __getattr__(name: str) -> Any:
    # diffusers looks beside a class for the one that says how it is loaded.
    if name not in ("VideoUNet", "ModelMixin"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .. import saved

    return getattr(saved, name)


class VideoUNetLayers(nn.Module):
    """Factorised spatial/temporal UNet over latent clips (B, C, T, H, W).

    Args:
        in_channels: channels that enter ``conv_in``: the noisy latent's, plus the condition latent's when
            ``condition_axis="channel"``. The mask channel is not counted.
        out_channels: channels predicted.
        block_out_channels: width of each level.
        layers_per_block: layers per level on the way down (one more on the way up).
        attention_levels: which levels hold transformers; the middle always does.
        cross_attention_dim: width D of text and image context.
        attention_head_dim: width of one head everywhere.
        temporal_in_heads: heads of the temporal transformer at the entrance; 0 leaves it out.
        temporal_conv_depth: convolutions per temporal stack (4 in the published models; 0 for none).
        image_attention_scale: ``none`` (text only), ``fixed`` (1), ``learnable`` (tanh(alpha) + 1).
        condition_axis: ``channel``: the caller concatenates the condition latent to the channels; ``time``: the
            condition latent becomes frame 0 and is cut off again.
        mask_channel: a second entrance for samples with a motion mask as their channel 0 (AnimateAnything).
        scalar_condition: ``none``; ``frame_stride``: a second embedding added to the timestep's (DynamiCrafter, where
            the 512 and 1024 models read it as frames per second); ``motion_strength``: a projection added inside the
            timestep's MLP (AnimateAnything).
        default_scalar: its value where the caller gives none.
        image_mode_temporal_conv: whether temporal convolutions run with ``temporal=False``: the released ShowMe code
            runs them, its figure draws them dashed.
        dropout: in residual blocks and transformers.
        norm_num_groups: groups of every GroupNorm.

    The frozen reference networks are matched to 1e-4 by tests/golden.
    """

    # Kept by the class that is made: the arguments by name, and what recomputes a layer.
    config: Any
    _gradient_checkpointing_func: Any

    def __init__(
        self,
        in_channels: int = 8,
        out_channels: int = 4,
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_block: int = 2,
        attention_levels: tuple[bool, ...] = (True, True, True, False),
        cross_attention_dim: int = 1024,
        attention_head_dim: int = 64,
        temporal_in_heads: int = 8,
        temporal_conv_depth: int = 4,
        image_attention_scale: str = "learnable",
        condition_axis: str = "channel",
        mask_channel: bool = False,
        scalar_condition: str = "frame_stride",
        default_scalar: int = 3,
        image_mode_temporal_conv: bool = False,
        dropout: float = 0.1,
        norm_num_groups: int = 32,
    ):
        super().__init__()
        _check_choice("image_attention_scale", image_attention_scale, ("none", "fixed", "learnable"))
        _check_choice("condition_axis", condition_axis, ("channel", "time"))
        _check_choice("scalar_condition", scalar_condition, ("none", "frame_stride", "motion_strength"))
        widths = list(block_out_channels)
        settings = {**dict(self.config), "embedding_dim": 4 * widths[0]}

        self.timestep_features = Timesteps(widths[0])
        self.time_embedding = _embedding_mlp(widths[0])
        self.scalar_embedding: nn.Module | None = None
        if scalar_condition == "frame_stride":
            self.scalar_embedding = _embedding_mlp(widths[0], zero=True)
        elif scalar_condition == "motion_strength":
            self.scalar_embedding = nn.Linear(widths[0], widths[0], bias=False)

        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.conv_in_masked = nn.Conv2d(in_channels + 1, widths[0], 3, padding=1) if mask_channel else None
        self.temporal_in = None
        if temporal_in_heads:
            inner = temporal_in_heads * attention_head_dim
            self.temporal_in = TemporalTransformer(widths[0], inner, attention_head_dim, dropout, norm_num_groups)

        self.down_blocks, skip_widths = self._make_down(widths, layers_per_block, attention_levels, settings)
        self.mid_layers = nn.ModuleList(
            VideoLayer(widths[-1], widths[-1], attention, settings) for attention in (True, False)
        )
        self.up_blocks = self._make_up(widths, layers_per_block, attention_levels, skip_widths, settings)
        self.norm_out = nn.GroupNorm(norm_num_groups, widths[0])
        self.conv_out = nn.Conv2d(widths[0], out_channels, 3, padding=1)
        zero_init(self.conv_out)
        self.gradient_checkpointing = False

    @staticmethod
    def _make_down(widths, layers, attention_levels, settings) -> tuple[nn.ModuleList, list[int]]:
        blocks, skip_widths, channels = nn.ModuleList(), [widths[0]], widths[0]
        for level, width in enumerate(widths):
            last = level == len(widths) - 1
            blocks.append(DownBlock(channels, width, layers, attention_levels[level], last, settings))
            skip_widths += [width] * (layers + (not last))
            channels = width
        return blocks, skip_widths

    @staticmethod
    def _make_up(widths, layers, attention_levels, skip_widths, settings) -> nn.ModuleList:
        blocks, channels, skips = nn.ModuleList(), widths[-1], list(skip_widths)
        for level in reversed(range(len(widths))):
            mine = [skips.pop() for _ in range(layers + 1)]
            blocks.append(UpBlock(channels, widths[level], mine, attention_levels[level], level == 0, settings))
            channels = widths[level]
        return blocks

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | int,
        encoder_hidden_states: Tensor,
        image_hidden_states: Tensor | None = None,
        scalar: Tensor | None = None,
        condition_latent: Tensor | None = None,
        mask: Tensor | None = None,
        temporal: bool = True,
    ) -> Tensor:
        """Predict the noise (or v) of a latent clip.

        Args:
            sample: (B, C, T, H, W).
            timestep: scalar or (B,), 0..999.
            encoder_hidden_states: text tokens (B, L, D).
            image_hidden_states: image tokens, (B, N, D) for all frames or (B, T, n, D) for each its own.
            scalar: (B,) frame stride, frames per second or motion strength; ``default_scalar`` when absent.
            condition_latent: (B, C, 1, H, W), with ``condition_axis="time"`` only.
            mask: (B, 1, 1, H, W) in {0, 1}, with ``mask_channel`` only.
            temporal: False runs the spatial half alone (the image task): every frame for itself.

        Returns:
            (B, out_channels, T, H, W).

        Raises:
            ValueError: an argument that this configuration does not take, or lacks one that it needs.
        """
        self._check_arguments(condition_latent, mask)
        if condition_latent is not None:
            sample = torch.cat([condition_latent, sample], dim=2)
        conv_in = self.conv_in
        if mask is not None:
            sample = torch.cat([mask.expand(-1, -1, sample.shape[2], -1, -1).to(sample.dtype), sample], dim=1)
            conv_in = cast(nn.Conv2d, self.conv_in_masked)

        batch, _, num_frames = sample.shape[:3]
        ctx = Context(
            embedding=self._embed(timestep, scalar, batch, sample, temporal),
            text=encoder_hidden_states,
            image=image_hidden_states,
            num_frames=num_frames,
            temporal=temporal,
            temporal_conv=temporal or self.config.image_mode_temporal_conv,
        )
        x = conv_in(sample.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last))
        if self.temporal_in is not None and temporal:
            x = self.temporal_in(x, num_frames)
        x = self._run_levels(x, ctx)
        x = self.conv_out(F.silu(self.norm_out(x)))
        x = x.unflatten(0, (batch, num_frames)).transpose(1, 2)
        return x if condition_latent is None else x[:, :, 1:]

    def add_mask_entrance(self) -> nn.Conv2d:
        """Add the entrance for samples with a mask, or begin it anew: as the plain one, with zeros for the mask."""
        plain = self.conv_in
        entrance = nn.Conv2d(plain.in_channels + 1, plain.out_channels, 3, padding=1).to(plain.weight)
        with torch.no_grad():
            entrance.weight[:, :1] = 0
            entrance.weight[:, 1:] = plain.weight
            cast(Tensor, entrance.bias).copy_(cast(Tensor, plain.bias))
            entrance.weight.data = entrance.weight.data.to(memory_format=torch.channels_last)
        self.conv_in_masked = entrance
        self.register_to_config(mask_channel=True)  # type: ignore[operator]
        return self.conv_in_masked

    def remove_mask_entrance(self) -> None:
        """Take back :meth:`add_mask_entrance`."""
        self.conv_in_masked = None
        self.register_to_config(mask_channel=False)  # type: ignore[operator]

    def _run_levels(self, x: Tensor, ctx: Context) -> Tensor:
        skips = [x]
        for block in self.down_blocks:
            x, kept = block(x, ctx, self._run_layer)
            skips += kept
        for layer in self.mid_layers:
            x = self._run_layer(layer, x, ctx)
        for block in self.up_blocks:
            x = block(x, ctx, skips, self._run_layer)
        return x

    def _run_layer(self, layer: nn.Module, x: Tensor, ctx: Context) -> Tensor:
        if torch.is_grad_enabled() and self.gradient_checkpointing:
            return self._gradient_checkpointing_func(layer, x, ctx)
        return layer(x, ctx)

    def _embed(self, timestep, scalar, batch: int, sample: Tensor, temporal: bool) -> Tensor:
        """Timestep embedding (B, 4 C0), with the scalar condition; without the temporal half the scalar is left out."""
        features = self._sinusoid(timestep, batch, sample)
        if self.scalar_embedding is None or not temporal:
            return self.time_embedding(features)
        scalar = self.config.default_scalar if scalar is None else scalar
        scalar_features = self._sinusoid(scalar, batch, sample)
        if self.config.scalar_condition == "motion_strength":
            return self.time_embedding(features + self.scalar_embedding(scalar_features))
        return self.time_embedding(features) + self.scalar_embedding(scalar_features)

    def _sinusoid(self, value: Tensor | int, batch: int, sample: Tensor) -> Tensor:
        value = torch.as_tensor(value, device=sample.device).reshape(-1).expand(batch)
        return self.timestep_features(value).to(self.conv_in.weight.dtype)

    def _check_arguments(self, condition_latent, mask) -> None:
        if (condition_latent is not None) != (self.config.condition_axis == "time"):
            raise ValueError('condition_latent is for, and needed by, models with condition_axis="time".')
        if mask is not None and self.conv_in_masked is None:
            raise ValueError("This VideoUNet has no mask entrance: set mask_channel=True in its config.")


def _embedding_mlp(dim: int, zero: bool = False) -> nn.Sequential:
    mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.SiLU(), nn.Linear(4 * dim, 4 * dim))
    if zero:
        zero_init(mlp[2])
    return mlp


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"VideoUNet {name}={value!r}: choose one of {', '.join(choices)}.")
