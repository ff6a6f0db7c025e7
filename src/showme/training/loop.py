"""A stage of training that is bounded by minutes, logs each step, and resumes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from .checkpoint import load_checkpoint, save_checkpoint
from .muon import MuonAdamW

_CHECKPOINT_SECONDS = 180.0


@dataclass
class Stage:
    """What one stage trains, and how.

    Attributes:
        name: of the folder that holds its checkpoint and its log.
        modules: the modules whose trainable parameters are optimised and kept.
        loss: ``loss(step, progress) -> {term: scalar tensor}``; the sum is minimised. ``progress`` is in [0, 1).
        minutes: wall-clock bound, over all resumptions together.
        batch_size: samples per step, for the count of samples seen.
        learning_rate: peak of AdamW's step (norms, biases, embeddings); both rates warm up over ``warmup`` steps and
            fall linearly to zero at the end of the minutes.
        muon_rate: peak of Muon's step (matrices and kernels).
        seed: each step draws from generators seeded with it and the step's number, so a resumed run continues alike.
    """

    name: str
    modules: dict[str, nn.Module]
    loss: Callable[[int, float], dict[str, Tensor]]
    minutes: float
    batch_size: int
    learning_rate: float
    muon_rate: float = 0.02
    weight_decay: float = 0.01
    warmup: int = 50
    clip_norm: float = 1.0
    seed: int = 0


def run_stage(stage: Stage, folder: Path) -> dict:
    """Train until the minutes are spent; returns {"step", "seconds", "samples"} and leaves a checkpoint behind."""
    checkpoint = folder / stage.name
    optimizer = MuonAdamW(stage.modules.values(), stage.muon_rate, stage.learning_rate, stage.weight_decay)
    peaks = [group["lr"] for group in optimizer.param_groups]
    state: dict[str, Any] = {"step": 0, "seconds": 0.0, "samples": 0}
    if checkpoint.exists():
        state = load_checkpoint(checkpoint, stage.modules, optimizer)
    budget = stage.minutes * 60
    last_save = state["seconds"]
    folder.mkdir(parents=True, exist_ok=True)
    with _progress() as bar, (folder / f"{stage.name}.jsonl").open("a", buffering=1) as log:
        task = bar.add_task(stage.name, total=budget, completed=state["seconds"], note="")
        while state["seconds"] < budget:
            began = time.perf_counter()
            terms = _step(stage, optimizer, peaks, state["step"], state["seconds"] / budget)
            state["step"] += 1
            state["samples"] += stage.batch_size
            state["seconds"] += time.perf_counter() - began
            log.write(json.dumps({"step": state["step"], "seconds": round(state["seconds"], 1), **terms}) + "\n")
            bar.update(task, completed=state["seconds"], note=" ".join(f"{k} {v:.4f}" for k, v in terms.items()))
            if state["seconds"] - last_save > _CHECKPOINT_SECONDS:
                save_checkpoint(checkpoint, stage.modules, optimizer, state)
                last_save = state["seconds"]
    save_checkpoint(checkpoint, stage.modules, optimizer, state)
    return state


def _step(stage: Stage, optimizer, peaks: list[float], step: int, progress: float) -> dict[str, float]:
    torch.manual_seed(stage.seed * 1_000_003 + step)
    for group, peak in zip(optimizer.param_groups, peaks, strict=True):
        group["lr"] = peak * min((step + 1) / stage.warmup, 1.0) * (1 - progress)
    terms = stage.loss(step, progress)
    total = torch.stack(list(terms.values())).sum()
    if not torch.isfinite(total):
        raise FloatingPointError(f"stage {stage.name}, step {step}: the loss is {total.item()}")
    total.backward()
    torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], stage.clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {name: value.item() for name, value in terms.items()}


def _progress() -> Progress:
    columns = ("{task.description}", BarColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[note]}"))
