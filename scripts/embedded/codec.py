"""Stages "codec_crops", "codec" and "decoder": a small AutoencoderKL, 8 times smaller in height and width.

Crops show more different detail per second; whole pictures then settle what crops get wrong, borders and the statistics
of the norms. The decoder alone is trained on after that: latents stay what they are, so that nothing which has learned
them has to learn again.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.utils.data import Dataset

from showme.data.stream import generator_at

from .frames import to_unit
from .pairs import Pairs, load_pairs
from .settings import Settings
from .stage import OPTIMIZER, round_to_bf16, run_stage

CODEC_MODEL = "codec-model"

# The posterior's spread is held fixed and small: the diffusion model reads the mean alone, and a little noise keeps the
# decoder forgiving of its errors.
_LATENT_NOISE = 0.05
_SIZE_WEIGHT = 1e-4
# The decoder begins where it had settled.
_DECODER_OPTIMIZER = OPTIMIZER.model_copy(update={"learning_rate": 5e-4, "muon_rate": 0.01})


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


class CodecObjective(nn.Module):
    """Batch of ``pixels`` -> the codec's loss."""

    def __init__(self, settings: Settings):
        super().__init__()
        torch.manual_seed(settings.seed)
        self.codec = build_codec(settings)

    @property
    def trained(self) -> dict[str, nn.Module]:
        """By the name that checkpoints use."""
        return {"codec": self.codec}

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        pixels = batch["pixels"].contiguous(memory_format=torch.channels_last)
        mean = self.codec.encode(pixels).latent_dist.mode()
        decoded = self.codec.decode(mean + _LATENT_NOISE * torch.randn_like(mean)).sample
        return codec_loss(decoded.float(), pixels, mean.float())


class DecoderObjective(CodecObjective):
    """The same of a ``codec`` whose encoder is settled."""

    def __init__(self, codec: AutoencoderKL):
        nn.Module.__init__(self)
        self.codec = codec.to(memory_format=torch.channels_last)
        for part in (codec.encoder, codec.quant_conv):
            part.requires_grad_(False)

    @property
    def trained(self) -> dict[str, nn.Module]:
        """By the name that checkpoints use."""
        return {"decoder": self.codec.decoder, "post_quant_conv": self.codec.post_quant_conv}


class Pictures(Dataset):
    """Position -> a random picture in [-1, 1]; with ``crop``, of two random crops of it the one with more in it."""

    def __init__(self, pairs: Pairs, seed: int, crop: int | None):
        self.pairs, self.seed, self.crop = pairs, seed, crop

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        generator = generator_at(self.seed, position, self.crop or 0)
        picture = to_unit(self.pairs.picture(int(torch.randint(self.pairs.pictures, (), generator=generator))))
        if self.crop is not None:
            picture = max((_crop(picture, self.crop, generator) for _ in range(2)), key=lambda c: float(c.var()))
        return {"pixels": picture}


def train_codec(folder: Path, settings: Settings, device: torch.device) -> dict:
    """Train on crops, then on whole pictures, set the scale of the latents, and save to the folder's codec-model."""
    pairs = load_pairs(folder, settings)
    objective = CodecObjective(settings)
    crops = Pictures(pairs, settings.seed, settings.codec_crop)
    run_stage("codec_crops", objective, crops, folder, settings, settings.codec_batch, last=False)
    whole = Pictures(pairs, settings.seed, None)
    state = run_stage("codec", objective, whole, folder, settings, max(settings.codec_batch // 4, 1))
    _set_scale(objective.codec, pairs.first, objective.codec.device)
    round_to_bf16(objective.codec)
    objective.codec.save_pretrained(folder / CODEC_MODEL)
    return state


def train_decoder(folder: Path, settings: Settings, device: torch.device) -> dict:
    """Train the decoder of the folder's codec-model on whole pictures, and save it there."""
    codec = AutoencoderKL.from_pretrained(folder / CODEC_MODEL)
    pictures = Pictures(load_pairs(folder, settings), settings.seed + 1, None)
    batch = max(settings.codec_batch // 4, 1)
    state = run_stage("decoder", DecoderObjective(codec), pictures, folder, settings, batch, _DECODER_OPTIMIZER)
    round_to_bf16(codec)
    codec.save_pretrained(folder / CODEC_MODEL)
    return state


def codec_loss(decoded: Tensor, pixels: Tensor, mean: Tensor) -> dict[str, Tensor]:
    """Absolute error of the pixels and of their differences (which keep edges sharp), and the latent's size.

    The last is the part of the KL to N(0, 1) that is left when the spread is fixed.
    decoded, pixels: (B, 3, H, W) in [-1, 1]; mean: the posterior's (B, C, h, w).
    """
    error = decoded - pixels
    slopes = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return {"l1": error.abs().mean(), "slope": 0.5 * slopes, "size": _SIZE_WEIGHT * mean.square().mean()}


def _crop(picture: Tensor, side: int, generator: torch.Generator) -> Tensor:
    # Multiples of the codec's factor, so that crops lie on the grid that whole pictures are coded on.
    top, left = (8 * int(torch.randint((n - side) // 8 + 1, (), generator=generator)) for n in picture.shape[-2:])
    return picture[:, top : top + side, left : left + side]


@torch.no_grad()
def _set_scale(codec: AutoencoderKL, first: Tensor, device: torch.device) -> None:
    """scaling_factor = 1 / standard deviation of the latents, as Stable Diffusion chose its 0.18215."""
    pixels = to_unit(first[:256]).to(device)
    latents = torch.cat([codec.encode(part).latent_dist.mode() for part in pixels.split(32)])
    codec.register_to_config(scaling_factor=float(1 / latents.std()))
