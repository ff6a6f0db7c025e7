"""The trainer: steps an objective over a stream of samples, logs, checkpoints and resumes. It knows no paper."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn
from torch.utils.data import Dataset

from ..config import OptimizerConfig, TrainingConfig
from ..data.stream import batches, mixed_seed, positions, to_device
from ..errors import InputError
from . import distributed
from .checkpoint import load_checkpoint, named_trainable, newest_checkpoint, save_checkpoint
from .log import RunLog, peak_memory_mib
from .muon import MuonAdamW
from .pace import PRECISIONS, bf16_may_gain, dtype_of, fastest, machine_name, muon_precision
from .schedule import rate_factor

CHECKPOINTS = "checkpoints"


@dataclass
class Trainer:
    """One run.

    Attributes:
        objective: ``forward(batch) -> {term: scalar}``; the sum of the terms is minimised. Its parameters that require
            a gradient are trained. Its ``trained`` maps names to the modules that checkpoints keep, and its
            ``shard_units`` lists modules that FSDP2 gathers one at a time (without them: the whole).
        samples: position -> dict of tensors; ``describe(positions) -> str`` names them when a loss is not a number.
        config: the settings.
        folder: of the log and of ``checkpoints/``.
        title: of the progress bar.
        validate: called as ``validate(step)`` at every validation and at the end, in the main process, with the
            weights that are to be used (the averaged ones where they are kept) in place.
    """

    objective: nn.Module
    samples: Dataset
    config: TrainingConfig
    folder: Path
    title: str = "training"
    validate: Callable[[int], object] | None = None
    state: dict[str, Any] = field(default_factory=lambda: {"step": 0, "seconds": 0.0, "samples": 0})

    def run(self) -> dict:
        """Train until the bound is reached and leave a checkpoint behind.

        Returns:
            {"step", "seconds", "samples"} done in all, and "pace": the machine and the precisions chosen on it.

        Raises:
            FloatingPointError: a loss that is not a number, with the step and the batch; the last checkpoint stays.
            SystemExit: SIGTERM came; the step was finished and saved, and the next call goes on from it.
            InputError: a batch that the processes cannot share, or Muon on shards.
        """
        self.accelerator, self.sharded = distributed.start()
        self._check()
        self.modules = distributed.own(self.objective, "trained", {"objective": self.objective})
        self.model = distributed.distribute(self.objective, self.accelerator, self.sharded)
        self.parameters = named_trainable(self.modules)
        self.optimizer = make_optimizer(self.config.optimizer, self.modules.values(), self.parameters.values())
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.ema = EMAModel(self.parameters.values(), decay=self.config.ema) if self.config.ema else None
        if newest_checkpoint(self._checkpoints) is not None:
            self.state = load_checkpoint(self._checkpoints, self.modules, self.optimizer, self._averages())
        self._set_pace()
        if self.ema is not None:
            # Its decay rises with the steps.
            self.ema.optimization_step = self.state["step"]
        first, main = self.state["step"], self.accelerator.is_main_process
        self._saved: float | None = self.state["seconds"] if first else None
        self._validated: int | None = None
        with _sigterm() as stopped, RunLog(self.folder, self.title, first, main, self.config.tensorboard) as log:
            self._loop(log, stopped)
        self._save()
        self._validate()
        return self.state

    @property
    def _checkpoints(self) -> Path:
        return self.folder / CHECKPOINTS

    def _check(self) -> None:
        parts = self.accelerator.num_processes * self.config.accumulation
        if self.config.batch_size % parts:
            raise InputError(
                f"training.batch_size {self.config.batch_size} does not divide into {parts} parts "
                f"({self.accelerator.num_processes} processes, {self.config.accumulation} accumulation): change one."
            )
        if self.sharded and self.config.optimizer.name == "muon":
            raise InputError("Muon needs whole matrices: with FSDP2 choose training.optimizer.name=adamw.")

    def _set_pace(self) -> None:
        """Choose precisions: those of the settings, of this run on this machine before, or the fastest."""
        machine, muon = machine_name(), isinstance(self.optimizer, MuonAdamW)
        pace = self.state.get("pace", {})
        if pace.get("machine") != machine:
            pace = {"machine": machine, "precision": self._fastest_precision()}
            if muon:
                pace["muon"] = self._first_says(muon_precision(self.accelerator.device), PRECISIONS)
        if self.config.precision != "auto":
            pace["precision"] = self.config.precision
        self.narrow = pace["precision"] == "bf16"
        if isinstance(self.optimizer, MuonAdamW):
            self.optimizer.iteration = dtype_of(pace["muon"])
        self.state["pace"] = pace

    def _fastest_precision(self) -> str:
        if self.config.precision != "auto":
            return self.config.precision
        if self.accelerator.device.type != "cpu":
            return "bf16"
        # Steps are timed together, so that one process says for all whether they are.
        if self._first_says("bf16" if bf16_may_gain() else "fp32", PRECISIONS) == "fp32":
            return "fp32"

        def backward(name: str) -> None:
            self.narrow = name == "bf16"
            self._backward(stream)
            self.optimizer.zero_grad(set_to_none=True)

        stream = self._stream(workers=0)
        return self._first_says(fastest(backward), PRECISIONS)

    def _first_says(self, choice: str, choices: tuple[str, ...]) -> str:
        """The main process's choice, in all of them."""
        return choices[round(self._from_main(float(choices.index(choice))))]

    def _stream(self, workers: int) -> Iterator[dict]:
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        order = positions(self.state["step"], self.config.batch_size, rank, processes, self.config.accumulation)
        return batches(self.samples, workers, self.accelerator.device.type == "cuda", order)

    def _loop(self, log: RunLog, stopped: threading.Event) -> None:
        stream = self._stream(self.config.workers)
        while self._progress() < 1:
            began = time.perf_counter()
            terms, norm, stop = self._step(stream, stopped)
            took = time.perf_counter() - began
            self._advance(took)
            line = {
                "step": self.state["step"],
                "seconds": round(self.state["seconds"], 1),
                "progress": round(min(self._progress(), 1.0), 6),
                **terms,
                "gradient_norm": norm,
                "rate": self.optimizer.param_groups[-1]["lr"],
                "samples_per_second": round(self.config.batch_size / took, 2),
                "memory_mib": peak_memory_mib(),
            }
            log.write(line, self._progress(), terms)
            if stop or self._checkpoint_is_due():
                self._save()
            if stop:
                raise SystemExit(128 + signal.SIGTERM)
            if self.config.validate_steps and not self.state["step"] % self.config.validate_steps:
                self._validate()

    def _progress(self) -> float:
        """Share of the bound that is spent, 0 at the beginning and 1 or more at the end."""
        if self.config.steps is not None:
            return self.state["step"] / self.config.steps
        return self.state["seconds"] / (60 * (self.config.minutes or 1))

    def _advance(self, took: float) -> None:
        self.state["step"] += 1
        self.state["samples"] += self.config.batch_size
        # One clock for all, or they would not agree on the end.
        self.state["seconds"] += float(self._from_main(took))

    def _from_main(self, value: float) -> float:
        if self.accelerator.num_processes == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.accelerator.device)
        torch.distributed.broadcast(shared, 0)
        return float(shared)

    def _step(self, stream: Iterator[dict], stopped: threading.Event) -> tuple[dict[str, float], float, bool]:
        """One optimiser step; returns the terms' means over the batch, the gradient's norm, and whether to stop."""
        factor = rate_factor(self.config.schedule, self.state["step"], self.config.warmup, min(self._progress(), 1.0))
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * factor
        # What the networks draw themselves, such as dropout.
        torch.manual_seed(mixed_seed(self.config.seed, self.state["step"], self.accelerator.process_index))
        mine = self._backward(stream)
        means, stop = self._agree(mine, stopped.is_set())
        return means, self._update(), stop

    def _backward(self, stream: Iterator[dict]) -> dict[str, Tensor]:
        """Gradients of this process's share of the batch; returns its terms."""
        parts = self.config.accumulation
        sums: dict[str, Tensor] = {}
        for part in range(parts):
            batch = to_device(next(stream), self.accelerator.device)
            with distributed.gradients_stay(self.model, local=part < parts - 1):
                with torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.narrow):
                    terms = self.model(batch)
                (torch.stack(list(terms.values())).sum() / parts).backward()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach().float() / parts
        return sums

    def _agree(self, mine: dict[str, Tensor], stopped: bool) -> tuple[dict[str, float], bool]:
        """Means of the terms over all processes, and whether any of them was told to stop.

        Raises:
            FloatingPointError: a term is not a number, in any process: all of them end here.
        """
        values = torch.stack([*mine.values(), torch.full_like(next(iter(mine.values())), float(stopped))])
        *means, stops = self.accelerator.reduce(values, "mean").tolist()
        if not all(math.isfinite(mean) for mean in means):
            self._refuse({name: float(value) for name, value in mine.items()})
        return dict(zip(mine, means, strict=True)), stops > 0

    def _update(self) -> float:
        """Clip, step and average; returns the gradient's norm before clipping."""
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if self.config.optimizer.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self.parameters.values(), self.config.optimizer.clip_norm, norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema is not None:
            self.ema.step(self.parameters.values())
        return round(float(distributed.whole(norm)), 6)

    def _refuse(self, mine: dict[str, float]) -> None:
        step, size = self.state["step"], self.config.batch_size // self.accelerator.num_processes
        start = step * self.config.batch_size + self.accelerator.process_index * size
        described = getattr(self.samples, "describe", lambda some: f"positions {some[0]} to {some[-1]}")
        named = ", ".join(f"{name} {value}" for name, value in mine.items())
        raise FloatingPointError(
            f"{self.title}, step {step}: the loss is not a number ({named}) on the batch of "
            f"{described(list(range(start, start + size)))}: lower the rate, or look at those samples."
        )

    def _checkpoint_is_due(self) -> bool:
        every = self.config.checkpoint_steps
        since = self.state["seconds"] - (self._saved or 0.0)
        return since > self.config.checkpoint_seconds or bool(every and not self.state["step"] % every)

    def _averages(self) -> dict[str, Tensor] | None:
        return None if self.ema is None else dict(zip(self.parameters, self.ema.shadow_params, strict=True))

    def _save(self) -> None:
        if self._saved == self.state["seconds"]:
            return
        keep, main = self.config.keep_checkpoints, self.accelerator.is_main_process
        state = dict(self.state)
        save_checkpoint(self._checkpoints, self.modules, self.optimizer, state, keep, self._averages(), main)
        self._saved = self.state["seconds"]
        self.accelerator.wait_for_everyone()

    def _validate(self) -> None:
        if self.validate is None or self._validated == self.state["step"]:
            return
        self._validated = self.state["step"]
        if self.sharded:
            # The main process looks at the checkpoint: gathered weights would not fit beside everyone's shards.
            self._save()
        if self.accelerator.is_main_process:
            with self._weights_in_use():
                self.validate(self.state["step"])
        self.accelerator.wait_for_everyone()

    @contextlib.contextmanager
    def _weights_in_use(self) -> Iterator[None]:
        """While open, averaged weights stand in the network's place and the network is in evaluation mode."""
        # Sharded, the checkpoint is looked at, which keeps both.
        ema = None if self.sharded else self.ema
        modes = [(module, module.training) for module in self.objective.modules()]
        self.objective.eval()
        if ema is not None:
            ema.store(self.parameters.values())
            ema.copy_to(self.parameters.values())
        try:
            yield
        finally:
            if ema is not None:
                ema.restore(self.parameters.values())
            for module, mode in modes:
                module.training = mode


def make_optimizer(
    settings: OptimizerConfig, modules: Iterable[nn.Module], parameters: Iterable[Tensor], **choices: Any
) -> torch.optim.Optimizer:
    """What steps the trained weights.

    Args:
        settings: of the run.
        modules: that have them, which Muon looks at.
        parameters: the weights themselves.
        choices: further arguments of ``torch.optim.AdamW``, where that steps.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.name == "muon":
        return MuonAdamW(modules, settings.muon_rate, rate, decay, betas=settings.betas)
    return torch.optim.AdamW(list(parameters), rate, settings.betas, weight_decay=decay, **choices)


@contextlib.contextmanager
def _sigterm() -> Iterator[threading.Event]:
    """While open, SIGTERM sets the event instead of ending the process; only the main thread can listen."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, before)
