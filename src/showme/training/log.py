"""What a run reports: a progress bar, a line of JSON for every step, and tensorboard where it is installed."""

from __future__ import annotations

import importlib.util
import json
import resource
import sys
import warnings
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..errors import InputError, ShowMeWarning
from ..optional import needed

LOG = "log.jsonl"


class RunLog:
    """Log of one run, open between ``__enter__`` and ``__exit__``; a process that is not the main one stays silent.

    Args:
        folder: of ``log.jsonl`` and ``tensorboard/``.
        title: of the progress bar.
        step: steps done before; lines of later ones, which a killed run took after its last checkpoint, are dropped.
        main: whether this process writes.
        tensorboard: whether to write that log too; skipped where tensorboard is not installed, and
            with a warning where it is broken.
    """

    def __init__(self, folder: Path, title: str, step: int, main: bool, tensorboard: bool):
        self.main = main
        self.title = title
        self.path = folder / LOG
        if not main:
            return
        folder.mkdir(parents=True, exist_ok=True)
        _forget_after(self.path, step)
        self.board = None
        if tensorboard and importlib.util.find_spec("tensorboard"):
            try:
                with needed("tensorboard", "tensorboard", "train", "The tensorboard log"):
                    from torch.utils.tensorboard import SummaryWriter
            except InputError as error:
                # A run is not lost for a second copy of its log.
                warnings.warn(f"The run goes on without it: {error}", ShowMeWarning, stacklevel=2)
            else:
                self.board = SummaryWriter(folder / "tensorboard", purge_step=step + 1)

    def __enter__(self) -> RunLog:
        if self.main:
            self.lines = self.path.open("a", buffering=1)
            columns = ("{task.description}", BarColumn(), TimeElapsedColumn(), TextColumn("left"))
            note = TextColumn("{task.fields[note]}")
            self.bar = Progress(*columns, TimeRemainingColumn(), note, console=Console(stderr=True))
            self.bar.start()
            self.task = self.bar.add_task(self.title, total=1.0, note="")
        return self

    def __exit__(self, *exception) -> None:
        if self.main:
            self.bar.stop()
            self.lines.close()
            if self.board is not None:
                self.board.close()

    def write(self, line: dict, progress: float, terms: dict[str, float]) -> None:
        """One step: ``line`` to the files, ``progress`` in [0, 1] and the loss's terms to the bar."""
        if not self.main:
            return
        self.lines.write(json.dumps(line) + "\n")
        note = " ".join(f"{name} {value:.4f}" for name, value in terms.items())
        self.bar.update(self.task, completed=progress, note=note)
        if self.board is not None:
            for name, value in line.items():
                self.board.add_scalar(name, value, line["step"])


def peak_memory_mib() -> int:
    """Most memory held so far: the GPU's where there is one, the process's else."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() // 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


def _forget_after(path: Path, step: int) -> None:
    if path.exists():
        lines = path.read_text().splitlines()
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        path.write_text("".join(f"{line}\n" for line in kept))
