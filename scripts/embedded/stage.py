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

# Peak steps of Muon and of AdamW: of codec and encoders; of the diffusion network's spatial half, where 0.02 was worse;
# and of the whole network, whose spatial half has been trained.
FRESH_RATES = (0.02, 1e-3)
DIFFUSION_RATES = (0.01, 5e-4)
CLIP_RATES = (0.005, 2.5e-4)
_GAUGE_STEPS = 400


def run_stage(
    name: str,
    objective: nn.Module,
    samples: Dataset,
    folder: Path,
    settings: Settings,
    batch_size: int,
    rates: tuple[float, float] = DIFFUSION_RATES,
    last: bool = True,
    gauge: Callable[[int], object] | None = None,
) -> dict:
    """Train for the stage's minutes into ``folder``/<name>.

    Args:
        name: of the stage, whose minutes the settings give.
        objective, samples: what is trained on what.
        folder: of the whole run.
        settings: sizes and minutes.
        batch_size: samples per step.
        rates: peak steps of Muon and of AdamW.
        last: whether the rate falls to zero; a stage that another goes on from keeps it.
        gauge: called with the step now and then, and at the end.
    """
    muon_rate, rate = rates
    optimizer = OptimizerConfig(name="muon", learning_rate=rate, muon_rate=muon_rate, betas=(0.9, 0.99), clip_norm=1.0)
    config = TrainingConfig(
        minutes=settings.minutes[name],
        batch_size=batch_size,
        optimizer=optimizer,
        warmup=50,
        schedule="linear" if last else "constant",
        seed=settings.seed,
        checkpoint_seconds=180,
        validate_steps=_GAUGE_STEPS if gauge is not None else None,
        tensorboard=False,
    )
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
