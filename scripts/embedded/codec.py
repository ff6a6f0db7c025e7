"""Stage "codec": a small AutoencoderKL, 8 times smaller in height and width."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from showme.training import Stage, run_stage

from .frames import load_frames, to_unit
from .settings import Settings

# The first part of the minutes trains on crops: more different detail per second. Whole pictures then settle what
# crops get wrong, borders and the statistics of the norms.
_CROP_SHARE = 0.6
# The posterior's spread is held fixed and small: the diffusion model reads the mean alone, and a little noise keeps the
# decoder forgiving of its errors.
_LATENT_NOISE = 0.05
_SIZE_WEIGHT = 1e-4


def build_codec(settings: Settings) -> AutoencoderKL:
    """An untrained codec."""
    levels = len(settings.codec_widths)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=settings.codec_widths,
        layers_per_block=1,
        latent_channels=settings.latent_channels,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=settings.size,
        scaling_factor=1.0,
    ).to(memory_format=torch.channels_last)


def train_codec(folder: Path, settings: Settings, device: torch.device) -> dict:
    """Train for the stage's minutes, set the scale of the latents, and save to ``folder``/codec-model."""
    frames, _ = load_frames(folder, "train")
    torch.manual_seed(settings.seed)
    codec = build_codec(settings).to(device)

    def loss(step: int, progress: float) -> dict[str, Tensor]:
        crops = progress < _CROP_SHARE
        count = settings.codec_batch if crops else max(settings.codec_batch // 4, 1)
        pixels = _sample(frames, count, settings.codec_crop if crops else None).to(device)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            mean = codec.encode(pixels).latent_dist.mode()
            decoded = codec.decode(mean + _LATENT_NOISE * torch.randn_like(mean)).sample
        return codec_loss(decoded.float(), pixels, mean.float())

    state = run_stage(
        Stage("codec", {"codec": codec}, loss, settings.minutes["codec"], settings.codec_batch, 1e-3), folder
    )
    _set_scale(codec, frames, device)
    codec.save_pretrained(folder / "codec-model")
    return state


def codec_loss(decoded: Tensor, pixels: Tensor, mean: Tensor) -> dict[str, Tensor]:
    """Absolute error of the pixels and of their differences (which keep edges sharp), and the latent's size.

    The last is the part of the KL to N(0, 1) that is left when the spread is fixed.
    decoded, pixels: (B, 3, H, W) in [-1, 1]; mean: the posterior's (B, C, h, w).
    """
    error = decoded - pixels
    slopes = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return {"l1": error.abs().mean(), "slope": 0.5 * slopes, "size": _SIZE_WEIGHT * mean.square().mean()}


def _sample(frames: Tensor, count: int, crop: int | None) -> Tensor:
    """Random frames in [-1, 1]; with ``crop``, of two random crops the one with more in it."""
    clips = torch.randint(len(frames), (count,)).tolist()
    times = torch.randint(frames.shape[1], (count,)).tolist()
    pictures = [to_unit(frames[clip, t]) for clip, t in zip(clips, times, strict=True)]
    if crop is not None:
        pictures = [max((_crop(p, crop) for _ in range(2)), key=lambda c: float(c.var())) for p in pictures]
    return torch.stack(pictures)


def _crop(picture: Tensor, side: int) -> Tensor:
    # Multiples of the codec's factor, so that crops lie on the grid that whole pictures are coded on.
    top, left = (8 * int(torch.randint((size - side) // 8 + 1, ())) for size in picture.shape[-2:])
    return picture[:, top : top + side, left : left + side]


@torch.no_grad()
def _set_scale(codec: AutoencoderKL, frames: Tensor, device: torch.device) -> None:
    """scaling_factor = 1 / standard deviation of the latents, as Stable Diffusion chose its 0.18215."""
    pixels = to_unit(frames[: min(len(frames), 256), 0]).to(device)
    latents = torch.cat([codec.encode(part).latent_dist.mode() for part in pixels.split(32)])
    codec.register_to_config(scaling_factor=float(1 / latents.std()))
