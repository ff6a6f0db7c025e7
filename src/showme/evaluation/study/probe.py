"""The largest batch that a device holds: real steps of training, and the peak of memory that torch reports of them."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...config import TrainingConfig
from ...experiment import open_run
from ...run_config import RunConfig
from ...training import Trainer

SHARE = 0.9
# Of a batch; far more than any device holds of clips.
_MOST = 2**16
# The optimiser's moments are there from the end of the first step on.
_STEPS = 2


def largest_batch(peak_of: Callable[[int], int | None], limit: float) -> int:
    """The largest batch whose peak is within a limit: by doubling, then by bisection; 0 where not even one is.

    Args:
        peak_of: batch -> bytes at its peak, None where the device has too little memory.
        limit: bytes.
    """

    def fits(batch: int) -> bool:
        peak = peak_of(batch)
        return peak is not None and peak <= limit

    good, bad = 0, 1
    while bad <= _MOST and fits(bad):
        good, bad = bad, 2 * bad
    if bad > _MOST:
        return good
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good


def largest_batch_of(config: RunConfig) -> int:
    """The largest batch of a training on this machine's CUDA device, within 90% of its memory.

    Args:
        config: of the training; its clips are cached already.
    """
    device = torch.device("cuda", torch.cuda.current_device())
    step = Steps(config)

    def peak_of(batch: int) -> int | None:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        try:
            step(batch)
        except torch.OutOfMemoryError:
            return None
        return torch.cuda.max_memory_reserved(device)

    return largest_batch(peak_of, SHARE * torch.cuda.get_device_properties(device).total_memory)


class Steps:
    """Batch -> two steps of a training's own objective, clips and optimiser, in one part each.

    Args:
        config: of the training.
    """

    def __init__(self, config: RunConfig):
        run = open_run(config)
        clips = run.clips()
        run.stage.prepare()
        self.objective = run.stage.objective()
        self.samples = run.stage.samples(clips)
        self.training = config.training

    def __call__(self, batch: int) -> None:
        samples = _SamplesOf(self.samples, _STEPS * batch)
        try:
            with tempfile.TemporaryDirectory() as folder, suppress(_EnoughError):
                Trainer(self.objective, samples, self.settings(batch), Path(folder), f"batch of {batch}").run()
        finally:
            # Gradients of one probe are no part of the next.
            self.objective.zero_grad(set_to_none=True)

    def settings(self, batch: int) -> TrainingConfig:
        """The training's own, but for what a probe is: it learns nothing, saves nothing and shows nothing."""
        optimizer = self.training.optimizer.model_copy(update={"learning_rate": 1e-12, "muon_rate": 1e-12})
        changes: dict[str, Any] = {"steps": _STEPS + 1, "minutes": None, "batch_size": batch, "accumulation": 1}
        changes |= {"workers": 0, "checkpoint_seconds": 1e9, "checkpoint_steps": None, "validate_steps": None}
        return self.training.model_copy(update=changes | {"tensorboard": False, "optimizer": optimizer})


class _EnoughError(Exception):
    """All steps of a probe were taken."""


class _SamplesOf(Dataset):
    """Samples up to a position: there a run ends before it writes a checkpoint, which may be larger than the disk."""

    def __init__(self, samples: Dataset, count: int):
        self.samples, self.count = samples, count

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        if position >= self.count:
            raise _EnoughError
        return self.samples[position]
