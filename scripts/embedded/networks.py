"""The embedded model's diffusion networks, untrained, and the objective that trains them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn
from transformers import CLIPTextModel

from showme.backbones.video_unet import VideoUNetBackbone
from showme.methods.step import denoising_step
from showme.models import ImageProjector, VideoUNet
from showme.training import CHECKPOINTS
from showme.training.checkpoint import newest_checkpoint

from .settings import Settings
from .stage import load_stage

# What a run that starts from a bundle begins with.
START = "start"
STAGES = (START, "spatial", "coarse", "base")


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
        parts = SimpleNamespace(unet=self.unet, image_projector=self.projector, scheduler=self.scheduler)
        self.backbone = VideoUNetBackbone(parts)

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
        return denoising_step(self.backbone, {**part, "text": text}, still=not temporal).loss


def base_objective(folder: Path, settings: Settings, device: torch.device, stage: str) -> BaseObjective:
    """Networks as the stages up to ``stage`` left them, all of them to be trained.

    A run that started from a bundle goes on from its networks, and stages that were not trained are passed over.

    Raises:
        FileNotFoundError: none of these stages has been trained.
    """
    objective = BaseObjective(folder, settings, device)
    until = STAGES[: STAGES.index(stage) + 1]
    trained = [name for name in until if newest_checkpoint(folder / name / CHECKPOINTS) is not None]
    if not trained:
        raise FileNotFoundError(f"{folder} has no checkpoint of {' or '.join(until)}: train that stage first")
    for name in trained:
        if name == "spatial":
            freeze_temporal(objective.unet)  # of which that stage's checkpoints know nothing
        load_stage(folder, name, objective.trained)
        objective.requires_grad_(True)
    return objective


def freeze_temporal(unet: VideoUNet) -> None:
    """Leave the spatial half alone to be trained."""
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_(not ("temporal" in name or name.startswith("scalar_embedding")))
