"""Stages "state_image" and "state_video": ShowMe's own, run as any user runs them, on the base as a bundle."""

from __future__ import annotations

from pathlib import Path

from showme.config import TrainingConfig
from showme.experiment import train
from showme.methods.showme.config import AdapterConfig, ShowMeConfig
from showme.run_config import DataConfig, ValidationConfig

from .cache import CACHE
from .settings import Settings
from .stage import OPTIMIZER

# Draws lean to the noisy end, t = 1000 sqrt(u): there the instruction decides where things go.
TIMESTEP_POWER = 0.5
# Adapters start on a network that already works, and their first factor is large: a tenth of the base's step. The
# second stage has more to learn: what a known end means.
_MUON_RATES = {"state_image": 0.002, "state_video": 0.004}


def stage_config(stage: str, folder: Path, model: Path, settings: Settings) -> ShowMeConfig:
    """Settings of one ShowMe stage of the embedded model.

    Args:
        stage: state_image or state_video.
        folder: of the whole run.
        model: bundle that is tuned.
        settings: sizes and minutes.
    """
    optimizer = OPTIMIZER.model_copy(update={"muon_rate": _MUON_RATES[stage]})
    training = TrainingConfig(
        minutes=settings.minutes[stage],
        batch_size=settings.image_batch if stage == "state_image" else settings.video_batch,
        optimizer=optimizer,
        warmup=50,
        schedule="linear",
        seed=settings.seed,
        checkpoint_seconds=180,
        tensorboard=False,
    )
    return ShowMeConfig(
        stage=stage,
        model=str(model),
        out=folder / stage,
        data=DataConfig(
            source=folder / "clips" / "train", cache=folder / CACHE, clips=settings.clips, frames=settings.frames
        ),
        adapter=AdapterConfig(rank=settings.lora_rank, projector_rank=settings.lora_rank, dropout=0.0),
        goal_share=settings.goal_share if stage == "state_video" else 0.0,
        timestep_power=TIMESTEP_POWER,
        validation=ValidationConfig(source=folder / "clips" / "validation", scenes=settings.validation_scenes),
        training=training,
    )


def train_stage(stage: str, folder: Path, model: Path, settings: Settings) -> Path:
    """Train a ShowMe stage; returns the tuned bundle."""
    return train(stage_config(stage, folder, model, settings))
