"""Stages "spatial", "base", "stage1", "stage2": the video diffusion model and ShowMe's two adapters on it.

The base is made as the published ones were: a spatial half trained on single frames first, then the temporal half
with it on clips. A share of the base's steps still sees single frames without the temporal half: on clips alone the
spatial half forgets how to stand by itself (its loss at t = 800 rose from 0.47 to 0.69), and stage 1 would spend its
minutes on that. The base's condition beside the noisy latents is z0 on every frame (DynamiCrafter's form) or
``[z0; zeros]`` (ShowMe's), half of the clips each, so that stage 2 need not teach frozen convolutions what zeros mean.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn
from transformers import CLIPTextModel

from showme.methods.showme.adapters import STATE_IMAGE, STATE_VIDEO, lora_config
from showme.methods.showme.objective import (
    Batch,
    ConditionDropout,
    denoising_loss,
    state_image_loss,
    state_video_loss,
)
from showme.methods.showme.pipeline import condition_clip
from showme.models import ImageProjector, VideoUNet
from showme.training import Stage, run_stage
from showme.training.checkpoint import load_checkpoint

from .cache import Cache, read_cache
from .settings import Settings

_DROPOUT = ConditionDropout()
# Draws lean to the noisy end, t = 1000 u^0.7: there the instruction decides where things go.
_TIMESTEP_POWER = 0.7
_LEARNING_RATE = 1e-3
_MUON_RATE = 0.02
# Adapters start on a network that already works: a third of the step.
_LORA_RATE = 0.007


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


class Networks:
    """The modules that the four stages train, and the cache that they train on."""

    def __init__(self, folder: Path, settings: Settings, device: torch.device):
        torch.manual_seed(settings.seed)
        self.settings, self.device, self.folder = settings, device, folder
        self.cache: Cache = read_cache(folder)
        self.unet = build_unet(settings).to(device)
        self.projector = build_projector(settings).to(device)
        self.text_encoder = CLIPTextModel.from_pretrained(folder / "text-encoder").to(device)
        self.scheduler = build_scheduler()

    @property
    def modules(self) -> dict[str, nn.Module]:
        """By the names that checkpoints use."""
        return {"unet": self.unet, "projector": self.projector, "text": self.text_encoder}

    def batch(self, size: int) -> Batch:
        """Random clips of the cache, with their text encoded now: the base trains the text encoder too."""
        rows = torch.randint(len(self.cache.ids), (size,))
        ids = torch.cat([self.cache.null_ids, self.cache.ids[rows]]).to(self.device)
        text = self.text_encoder(ids).last_hidden_state
        return Batch(
            latents=self.cache.latents[rows].to(self.device).float(),
            text=text[1:],
            null_text=text[:1],
            image=self.cache.image[rows].to(self.device).float(),
            null_image=self.cache.null_image.to(self.device).float(),
        )

    def timesteps(self, size: int) -> Tensor:
        """(size,) whole numbers in 0..999, leaning to the noisy end."""
        return (1000 * torch.rand(size) ** _TIMESTEP_POWER).long().to(self.device)

    def arguments(self, size: int) -> tuple:
        """What every loss of showme's objective takes."""
        return self.unet, self.projector, self.scheduler, self.batch(size), _DROPOUT, self.timesteps(size)

    def add_adapter(self, name: str) -> None:
        """Freeze all that is there and add a trainable adapter."""
        for module in self.modules.values():
            module.requires_grad_(False)
        self.unet.add_adapter(lora_config(self.unet, name, self.settings.lora_rank, dropout=0.0), adapter_name=name)

    def run(self, name: str, terms: Callable[[int], dict[str, Tensor]], batch_size: int, muon_rate: float) -> dict:
        """Run one stage over the trainable parameters of all modules."""

        def loss(step: int, progress: float) -> dict[str, Tensor]:
            with torch.autocast(self.device.type, torch.bfloat16):
                return terms(batch_size)

        trained = {k: m for k, m in self.modules.items() if any(p.requires_grad for p in m.parameters())}
        minutes = self.settings.minutes[name]
        return run_stage(Stage(name, trained, loss, minutes, batch_size, _LEARNING_RATE, muon_rate), self.folder)


def base_networks(folder: Path, settings: Settings, device: torch.device, stage: str) -> Networks:
    """Networks as the stage "spatial" or "base" left them."""
    networks = Networks(folder, settings, device)
    load_checkpoint(folder / stage, networks.modules)
    return networks


def stage1_networks(folder: Path, settings: Settings, device: torch.device) -> Networks:
    """The base with ``state_image`` in place and trainable, the image projector trainable with it."""
    networks = base_networks(folder, settings, device, "base")
    networks.add_adapter(STATE_IMAGE)
    networks.projector.requires_grad_(True)
    return networks


def stage2_networks(folder: Path, settings: Settings, device: torch.device) -> Networks:
    """Stage 1's result, frozen, with ``state_video`` in place and trainable; both adapters active."""
    networks = stage1_networks(folder, settings, device)
    trained = {"unet": networks.unet, "projector": networks.projector}
    load_checkpoint(folder / "stage1", trained)
    networks.add_adapter(STATE_VIDEO)
    networks.unet.set_adapters([STATE_IMAGE, STATE_VIDEO])
    for name, parameter in networks.unet.named_parameters():
        parameter.requires_grad_(STATE_VIDEO in name)
    return networks


def single_frame_loss(networks: Networks, size: int) -> Tensor:
    """Any frame of ``size`` clips from the first one and the instruction, without the temporal half."""
    unet, projector, scheduler, batch, dropout, timesteps = networks.arguments(size)
    frames = torch.randint(0, batch.latents.shape[1], (size,))
    target = batch.latents[torch.arange(size), frames][:, :, None]
    first, start = batch.latents[:, :1].transpose(1, 2), torch.zeros(size, dtype=torch.long)
    return denoising_loss(
        unet, projector, scheduler, target, first, batch, start, dropout, timesteps, None, temporal=False
    )


def clip_loss(networks: Networks, size: int) -> Tensor:
    """``size`` whole clips, each beside z0 on every frame or ``[z0; zeros]``."""
    unet, projector, scheduler, batch, dropout, timesteps = networks.arguments(size)
    latents = batch.latents.transpose(1, 2)
    repeat = torch.rand(size) < 0.5
    forms = [condition_clip(z[None, :, :1], latents.shape[2], bool(r)) for z, r in zip(latents, repeat, strict=True)]
    start = torch.zeros(size, dtype=torch.long)
    return denoising_loss(
        unet, projector, scheduler, latents, torch.cat(forms), batch, start, dropout, timesteps, None, temporal=True
    )


def train_spatial(folder: Path, settings: Settings, device: torch.device) -> dict:
    """The spatial half on single frames."""
    networks = Networks(folder, settings, device)
    return networks.run(
        "spatial", lambda size: {"frame": single_frame_loss(networks, size)}, settings.image_batch, _MUON_RATE
    )


def train_base(folder: Path, settings: Settings, device: torch.device) -> dict:
    """The whole network on clips, and its spatial half on single frames in a share of the steps."""
    networks = base_networks(folder, settings, device, "spatial")

    def terms(size: int) -> dict[str, Tensor]:
        if float(torch.rand(())) < settings.single_frame_share:
            return {"frame": single_frame_loss(networks, settings.image_batch)}
        return {"clip": clip_loss(networks, size)}

    return networks.run("base", terms, settings.video_batch, _MUON_RATE)


def train_stage1(folder: Path, settings: Settings, device: torch.device) -> dict:
    """ShowMe stage 1: spatial LoRA and Q-Former, temporal half off, first frames to last frames."""
    networks = stage1_networks(folder, settings, device)
    return networks.run(
        "stage1", lambda size: {"noise": state_image_loss(*networks.arguments(size))}, settings.image_batch, _LORA_RATE
    )


def train_stage2(folder: Path, settings: Settings, device: torch.device) -> dict:
    """ShowMe stage 2: spatial and temporal LoRA over the frozen first, beside ``[z0; zeros]``."""
    networks = stage2_networks(folder, settings, device)
    return networks.run(
        "stage2", lambda size: {"noise": state_video_loss(*networks.arguments(size))}, settings.video_batch, _LORA_RATE
    )
