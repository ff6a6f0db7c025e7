"""Stages "spatial", "coarse" and "base": the video diffusion model that ShowMe's two stages tune.

The base is made as the published ones were: a spatial half trained on single frames first, then the temporal half
with it on clips, which are coarse in time at first: half the frames show the same action for half the price. Beside the
clips single frames still come without the temporal half: on clips alone the spatial half forgets how to stand by itself
(its loss at t = 800 rose from 0.47 to 0.69), and ShowMe's first stage would spend its minutes on that. The base's
condition beside the noisy latents is z0 on every frame (DynamiCrafter's form) or ``[z0; zeros]`` (ShowMe's), half of
the clips each, so that stage 2 need not teach frozen convolutions what zeros mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate
from transformers import CLIPTextModel

from showme.data.sampling import LAST_FRAMES, evenly_spaced
from showme.data.stream import generator_at, mixed_seed, shuffled
from showme.methods.showme.config import DropoutConfig
from showme.methods.showme.denoising import denoise
from showme.methods.showme.pipeline import condition_clip
from showme.methods.showme.samples import Draw, conditions, noised
from showme.models import ImageProjector, VideoUNet

from .cache import EncodedClips
from .settings import Settings
from .stage import load_stage, run_stage

# Draws lean to the noisy end, t = 1000 sqrt(u): there the instruction decides where things go.
TIMESTEP_POWER = 0.5
# Half of the single frames are drawn from a clip's last three, which show what the instruction asked for.
_RESULT_SHARE = 0.5


def build_unet(settings: Settings) -> VideoUNet:
    """An untrained UNet."""
    return VideoUNet(
        in_channels=2 * settings.latent_channels,
        out_channels=settings.latent_channels,
        block_out_channels=settings.unet_widths,
        layers_per_block=1,
        attention_levels=settings.unet_attention,
        cross_attention_dim=settings.text_width,
        attention_head_dim=settings.head_dim,
        temporal_in_heads=settings.unet_widths[0] // settings.head_dim,
        temporal_conv_depth=settings.temporal_conv_depth,
        image_attention_scale="learnable",
        default_scalar=2,
        dropout=0.0,
        norm_num_groups=16,
    ).to(memory_format=torch.channels_last)


def build_projector(settings: Settings) -> ImageProjector:
    """An untrained image projector."""
    return ImageProjector(
        embedding_dim=settings.image_width,
        output_dim=settings.text_width,
        dim=settings.text_width,
        depth=2,
        head_dim=settings.head_dim,
        heads=4,
        num_queries=settings.image_queries,
    )


def build_scheduler() -> DDIMScheduler:
    """v-prediction with zero terminal SNR, so that few steps from pure noise do."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=True,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
    )


class BaseObjective(nn.Module):
    """Batch of ``frames`` (temporal half off), of a ``clip``, or of both -> a term each.

    The text encoder learns too, so that samples bring ids instead of tokens.
    """

    def __init__(self, folder: Path, settings: Settings, device: torch.device):
        super().__init__()
        torch.manual_seed(settings.seed)
        self.unet = build_unet(settings)
        self.projector = build_projector(settings)
        # torch's fused attention is slow backward on a CPU in bf16: see showme.models.dot_product.
        attention = "eager" if device.type == "cpu" else "sdpa"
        self.text = CLIPTextModel.from_pretrained(folder / "text-encoder", attn_implementation=attention).train()
        self.scheduler = build_scheduler()

    @property
    def trained(self) -> dict[str, nn.Module]:
        """By the names that checkpoints use."""
        return {"unet": self.unet, "projector": self.projector, "text": self.text}

    def forward(self, batch: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        return {name: self._loss(dict(part), temporal=name == "clip") for name, part in batch.items()}

    def _loss(self, part: dict[str, Tensor], temporal: bool) -> Tensor:
        if part["latents"].ndim == 6:
            # Several frames came with each sample.
            part = {name: value.flatten(0, 1) for name, value in part.items()}
        # Each sentence once: few differ.
        ids, which = part["ids"].unique(dim=0, return_inverse=True)
        text = self.text(ids).last_hidden_state[which]
        return denoise(self.unet, self.projector, self.scheduler, {**part, "text": text}, temporal).loss


class BaseSamples(Dataset):
    """Position -> single frames of several clips, ``count`` frames of one clip, or both.

    Args:
        clips: what is cached of the clips.
        seed: of order and draws.
        single: single frames per sample.
        count: frames of a clip, evenly spaced; 0: no clip.
    """

    def __init__(self, clips: EncodedClips, seed: int, single: int, count: int):
        self.clips, self.single, self.count = clips, single, count
        self.seed = mixed_seed(seed, single, count)
        self.draw = Draw(self.seed, DropoutConfig(), timestep_power=TIMESTEP_POWER)

    def __getitem__(self, position: int) -> dict[str, dict[str, Tensor]]:
        sample = {}
        if self.single:
            places = range(position * self.single, (position + 1) * self.single)
            frames = [self._sample(place, self._frame, 2) for place in places]
            sample["frames"] = default_collate(frames) if self.single > 1 else frames[0]
        if self.count:
            sample["clip"] = self._sample(position, self._clip, 1)
        return sample

    def _sample(self, place: int, take: Callable, salt: int) -> dict[str, Tensor]:
        generator = generator_at(self.seed, place, salt)
        clip = self.clips[shuffled(place, len(self.clips.ids), self.seed)]
        # Text is dropped by its ids: they stand where tokens would.
        given = conditions({**clip, "text": clip["ids"], "null_text": clip["null_ids"]}, 0, self.draw, generator)
        latents, concat = take(clip["latents"].float().transpose(0, 1), generator)
        return {"ids": given["text"].long(), "image": given["image"], **noised(latents, concat, self.draw, generator)}

    def _frame(self, latents: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A frame (C, 1, h, w), any or one of the last ones, beside the first."""
        total = latents.shape[1]
        least = max(total - LAST_FRAMES, 0) if float(torch.rand((), generator=generator)) < _RESULT_SHARE else 0
        frame = int(torch.randint(least, total, (), generator=generator))
        return latents[:, frame : frame + 1], latents[:, :1]

    def _clip(self, latents: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(C, T, h, w) beside z0 on every frame or [z0; zeros]."""
        repeat = float(torch.rand((), generator=generator)) < 0.5
        chosen = latents[:, evenly_spaced(latents.shape[1], self.count)]
        return chosen, condition_clip(latents[None, :, :1], self.count, repeat)[0]


def train_spatial(folder: Path, settings: Settings, device: torch.device) -> dict:
    """The spatial half on single frames."""
    objective = BaseObjective(folder, settings, device)
    for name, parameter in objective.unet.named_parameters():
        parameter.requires_grad_(not _is_temporal(name))
    samples = BaseSamples(EncodedClips(folder, settings, device), settings.seed, 1, 0)
    return run_stage("spatial", objective, samples, folder, settings, settings.image_batch)


def train_coarse(folder: Path, settings: Settings, device: torch.device) -> dict:
    """The whole network on clips of half the frames, beside single frames."""
    return _train_clips("coarse", "spatial", settings.coarse_frames, folder, settings, device)


def train_base(folder: Path, settings: Settings, device: torch.device) -> dict:
    """The whole network on clips of all frames, beside single frames."""
    return _train_clips("base", "coarse", settings.frames, folder, settings, device)


def base_objective(folder: Path, settings: Settings, device: torch.device, stage: str) -> BaseObjective:
    """Networks as a stage left them; the spatial stage knows nothing of the temporal half."""
    objective = BaseObjective(folder, settings, device)
    for name, parameter in objective.unet.named_parameters():
        parameter.requires_grad_(stage != "spatial" or not _is_temporal(name))
    load_stage(folder, stage, objective.trained)
    return objective.requires_grad_(True)


def _train_clips(name: str, before: str, count: int, folder: Path, settings: Settings, device: torch.device) -> dict:
    objective = base_objective(folder, settings, device, before)
    clips = EncodedClips(folder, settings, device)
    samples = BaseSamples(clips, settings.seed, settings.frames_per_clip, count)
    return run_stage(name, objective, samples, folder, settings, settings.video_batch, last=name == "base")


def _is_temporal(name: str) -> bool:
    return "temporal" in name or name.startswith("scalar_embedding")
