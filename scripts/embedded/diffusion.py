"""Stages "spatial", "coarse" and "base": the video diffusion model that ShowMe's two stages tune.

The spatial half is trained first, on pictures of results: from a first frame and an instruction to the end. What few
sampling steps make is decided at the first of them, from pure noise, so that most draws are taken there. Then the
temporal half comes in, with the spatial one, on clips, which are coarse in time at first: half the frames show the same
action for half the price. Beside the clips pictures still come without the temporal half: on clips alone the spatial
half forgets how to stand by itself. Half the clips have z0 on every frame (DynamiCrafter's form) and half ``[z0;
zeros]`` (ShowMe's), so that stage 2 need not teach frozen convolutions what zeros mean; and many know their end, so
that a video can be made to agree with a picture.

With ``plain`` settings the pictures are ordinary frames of clips, as those that published bases were trained on: for
the study of what ShowMe's first stage adds.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch.utils.data import Dataset

from showme.config import OptimizerConfig

from .cache import EncodedClips, assemble, open_pairs
from .gauge import Gauge
from .networks import START, BaseObjective, base_objective, freeze_temporal
from .samples import ClipSamples, FrameSamples, PairSamples
from .settings import Settings
from .stage import OPTIMIZER, run_stage


def train_spatial(folder: Path, settings: Settings, device: torch.device) -> dict:
    """The spatial half on pictures, from random weights or from the bundle that the run started from."""
    started = (folder / START).exists()
    objective = base_objective(folder, settings, device, START) if started else BaseObjective(folder, settings, device)
    freeze_temporal(objective.unet)
    samples = _pictures(folder, settings, device)
    gauge = _gauge("spatial", objective, folder, settings)
    return run_stage(
        "spatial",
        objective,
        samples,
        folder,
        settings,
        settings.image_batch,
        _optimizer(settings, 0.5 if started else 1.0),
        gauge=gauge,
        ema=settings.ema,
        **({} if settings.spatial_steps is None else {"steps": settings.spatial_steps, "minutes": None}),
    )


def train_coarse(folder: Path, settings: Settings, device: torch.device) -> dict:
    """The whole network on clips of half the frames, beside pictures."""
    return _train_clips("coarse", "spatial", settings.coarse_frames, folder, settings, device)


def train_base(folder: Path, settings: Settings, device: torch.device) -> dict:
    """The whole network on clips of all frames, beside pictures."""
    return _train_clips("base", "coarse", settings.frames, folder, settings, device)


def _train_clips(name: str, before: str, count: int, folder: Path, settings: Settings, device: torch.device) -> dict:
    objective = base_objective(folder, settings, device, before)
    pictures = _pictures(folder, settings, device)
    samples = ClipSamples(EncodedClips(folder, settings, device), pictures, settings, count)
    gauge = _gauge(name, objective, folder, settings)
    last = name == "base"
    return run_stage(
        name, objective, samples, folder, settings, settings.video_batch, _optimizer(settings, 0.5), last, gauge
    )


def _optimizer(settings: Settings, share: float) -> OptimizerConfig:
    """The settings' optimiser at a share of their rates."""
    rates = {"learning_rate": settings.adamw_rate * share, "muon_rate": settings.muon_rate * share}
    return OPTIMIZER.model_copy(update={"name": settings.optimizer, **rates})


def _pictures(folder: Path, settings: Settings, device: torch.device) -> Dataset:
    if settings.plain:
        return FrameSamples(EncodedClips(folder, settings, device), settings)
    return PairSamples(open_pairs(folder, settings, device), settings)


def _gauge(stage: str, objective: BaseObjective, folder: Path, settings: Settings) -> Gauge | None:
    """What measures the networks that are being trained, as a pipeline without guidance."""
    if not settings.validation_clips:
        return None
    pipeline = assemble(folder, settings, objective.unet, objective.projector, objective.text, objective.scheduler)
    pipeline.register_to_config(guidance_scale=1.0, goal_conditioning=True)
    return Gauge(pipeline, folder, stage, settings.validation_clips)
