"""One stage of the embedded model's making, through the package's own trainer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset

from showme.config import OptimizerConfig, TrainingConfig
from showme.training import CHECKPOINTS, Trainer
from showme.training.checkpoint import load_weights, newest_checkpoint

from .settings import Settings

OPTIMIZER = OptimizerConfig(name="muon", learning_rate=1e-3, muon_rate=0.02, betas=(0.9, 0.99), clip_norm=1.0)
_GAUGE_STEPS = 400


def run_stage(
    name: str,
    objective: nn.Module,
    samples: Dataset,
    folder: Path,
    settings: Settings,
    batch_size: int,
    optimizer: OptimizerConfig = OPTIMIZER,
    last: bool = True,
    gauge: Callable[[int], object] | None = None,
    **training: object,
) -> dict:
    """Train for the stage's minutes into ``folder``/<name>.

    Args:
        name: of the stage, whose minutes the settings give.
        objective, samples: what is trained on what.
        folder: of the whole run.
        settings: sizes and minutes.
        batch_size: samples per step.
        optimizer: how weights are stepped.
        last: whether the rate falls to zero; a stage that another goes on from keeps it.
        gauge: called with the step now and then, and at the end.
        training: other fields of the trainer's settings.
    """
    fields = {
        "minutes": settings.minutes[name],
        "batch_size": batch_size,
        "optimizer": optimizer,
        "precision": settings.precision,
        "warmup": 50,
        "schedule": "linear" if last else "constant",
        "seed": settings.seed,
        "checkpoint_seconds": 180,
        "validate_steps": _GAUGE_STEPS if gauge is not None else None,
        "tensorboard": False,
    }
    config = TrainingConfig(**fields | training)
    return Trainer(objective, samples, config, folder / name, name, gauge).run()


def load_stage(folder: Path, stage: str, modules: dict[str, nn.Module]) -> None:
    """Put the weights that a stage ended with into ``modules``.

    Raises:
        FileNotFoundError: the stage has not been trained.
    """
    newest = newest_checkpoint(folder / stage / CHECKPOINTS)
    if newest is None:
        raise FileNotFoundError(f"{folder / stage} has no checkpoint: train that stage first")
    load_weights(newest, modules)


@torch.no_grad()
def round_to_bf16(*modules: nn.Module) -> None:
    """Give weights the values that a bundle keeps of them, so that what a cache holds was made by the bundle's own."""
    for module in modules:
        for parameter in module.parameters():
            parameter.copy_(parameter.bfloat16())
