"""What the trainings of a study took: parameters, time, speed, memory, and the largest batch that a device holds."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ...bundle import open_bundle
from ...errors import InputError
from ...methods import find_method
from ...pipelines import load_pipeline
from ...staged_files import staged
from ...training.log import LOG
from .plan import Training
from .probe import SHARE, largest_batch_of

FOLDER = "computation"
NO_CUDA = "the largest batch is left out: there is no CUDA device here, and a process on a CPU has no memory of its own"
NOT_WANTED = "the largest batch is left out: the study says largest_batch: false"


@dataclass(frozen=True)
class Computation:
    """What a training took, over the seeds that it ran with.

    name: which training of which rows it is. recipe: its YAML. trainable, parameters: of the model with its frozen
    encoders and codec; estimators of rewards are not counted. minutes: of training, the mean over seeds.
    samples_per_second: the median over steps, then the mean. memory_mib: the most held, see ``memory_of``.
    largest_batch: samples of one step within 90% of the device's memory; None where it was not looked for.
    """

    name: str
    recipe: str
    seeds: int
    batch_size: int
    trainable: int
    parameters: int
    minutes: float
    samples_per_second: float
    memory_mib: int
    memory_of: str
    largest_batch: int | None
    notes: list[str]


def computation_of(
    name: str,
    runs: Sequence[Training],
    out: Path,
    probe: bool,
    report: Callable[[str], object] = lambda _: None,
) -> Computation:
    """One line of the table.

    Args:
        name: which training of which rows it is.
        runs: the same training with each seed, finished.
        out: folder of the study; what was counted and probed is kept there.
        probe: whether to look for the largest batch, which needs CUDA.
        report: called with a sentence before that.

    Raises:
        InputError: a log that is damaged.
    """
    first = runs[0]
    logs = [_log(run) for run in runs]
    cuda = torch.cuda.is_available()
    counted = _counted(first, out, probe and cuda, report)
    notes = [NOT_WANTED] if not probe else [NO_CUDA] if counted["largest_batch"] is None else []
    if counted["largest_batch"] is not None:
        notes = [f"the largest batch is within {SHARE:.0%} of the memory of one {counted['device']}"]
    return Computation(
        name=name,
        recipe=first.recipe.name,
        seeds=len(runs),
        batch_size=first.config.training.batch_size,
        trainable=counted["trainable"],
        parameters=counted["parameters"],
        minutes=float(np.mean([log[-1]["seconds"] / 60 for log in logs])),
        samples_per_second=float(np.mean([np.median([line["samples_per_second"] for line in log]) for log in logs])),
        memory_mib=max(line["memory_mib"] for log in logs for line in log),
        memory_of="the GPU" if cuda else "the whole process, all that it did before included",
        largest_batch=counted["largest_batch"],
        notes=notes,
    )


def count_parameters(training: Training) -> tuple[int, int]:
    """Numbers that a training steps, and all numbers of its model."""
    pipeline = load_pipeline(open_bundle(training.config.model), "cpu", torch.float32)
    find_method(training.config.method).stage(training.config, pipeline).prepare()
    modules = [each for each in pipeline.components.values() if isinstance(each, nn.Module)]
    parameters = {id(each): each for module in modules for each in module.parameters()}.values()
    trained = pipeline.backbone.networks.values()
    trainable = sum(p.numel() for module in trained for p in module.parameters() if p.requires_grad)
    return trainable, sum(each.numel() for each in parameters)


def _counted(training: Training, out: Path, probe: bool, report: Callable[[str], object]) -> dict[str, Any]:
    """What is reported of a training beside its log, computed once for all seeds."""
    path = out / FOLDER / f"{training.kind}.json"
    known = before = _kept(path)
    if not known:
        trainable, parameters = count_parameters(training)
        known = {"trainable": trainable, "parameters": parameters, "largest_batch": None, "device": None}
    if probe and known["largest_batch"] is None:
        report(f"{training.config.out.name}: looking for its largest batch")
        gc.collect()
        batch = largest_batch_of(training.config)
        known = known | {"largest_batch": batch, "device": torch.cuda.get_device_name()}
    if known != before:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staged(path) as neighbour:
            neighbour.write_text(json.dumps(known) + "\n", encoding="utf-8")
    return known


def _kept(path: Path) -> dict[str, Any]:
    """What was counted before; nothing where the file is not there, or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(record, dict) and record.keys() == {"trainable", "parameters", "largest_batch", "device"}
    return record if whole else {}


def _log(training: Training) -> list[dict[str, Any]]:
    path = training.config.out / LOG
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        wanted = ("seconds", "samples_per_second", "memory_mib")
        if not lines or any(not isinstance(line[name], int | float) for line in lines for name in wanted):
            raise ValueError("no steps")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{path} does not list every step of the training: remove {path.parent} to train anew."
        ) from error
    return lines
