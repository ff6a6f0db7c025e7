"""A small objective with dropout in the network and in its condition, for tests of the trainer."""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import time
from pathlib import Path

import torch
from torch import nn

from showme.config import OptimizerConfig, TrainingConfig
from showme.data.stream import generator_at, shuffled
from showme.training import Trainer
from showme.training.log import LOG

ROWS = 40


class ToyObjective(nn.Module):
    """Two terms over a frozen and a trained part."""

    def __init__(self, dropout: float = 0.2):
        super().__init__()
        torch.manual_seed(0)
        self.frozen = nn.Linear(24, 24).requires_grad_(False)
        self.net = nn.Sequential(nn.Linear(24, 32), nn.Dropout(dropout), nn.Tanh(), nn.Linear(32, 24), nn.LayerNorm(24))
        self.trained = {"net": self.net}
        self.shard_units = [self.net[0], self.net[3]]

    def forward(self, batch: dict) -> dict[str, torch.Tensor]:
        out = self.net(self.frozen(batch["x"] * batch["keep"]))
        return {
            "fit": (out - batch["x"].roll(1, 1)).square().mean(),
            "size": out.square().mean(1).sub(0.5).square().sum() / len(out),
        }


class ToySamples(torch.utils.data.Dataset):
    """Rows in a new order each epoch, one in ten without its condition."""

    def __init__(self, pause: float = 0.0, at: dict | None = None):
        self.pause, self.at = pause, at or {}

    def __getitem__(self, position: int) -> dict:
        if position in self.at:
            self.at[position]()
        time.sleep(self.pause)
        x = torch.randn(24, generator=generator_at(7, shuffled(position, ROWS, seed=3)))
        keep = (torch.rand(1, generator=generator_at(3, position)) > 0.1).float()
        return {"x": x, "keep": keep}

    def describe(self, positions: list[int]) -> str:
        return f"rows {[shuffled(position, ROWS, seed=3) for position in positions]}"


def toy_config(**changes) -> TrainingConfig:
    settings = {
        "steps": 20, "batch_size": 8, "precision": "fp32", "warmup": 2, "schedule": "linear", "tensorboard": False,
        "optimizer": OptimizerConfig(learning_rate=0.01),
    }  # fmt: skip
    if "minutes" in changes:
        settings.pop("steps")
    return TrainingConfig(**(settings | changes))


def train(folder: Path, pause: float = 0.0, **changes) -> nn.Module:
    """A checkpoint after each step unless ``changes`` say otherwise; returns the trained objective."""
    torch.set_num_threads(1)
    objective = ToyObjective(changes.pop("dropout", 0.2))
    config = toy_config(**({"checkpoint_steps": 1} | changes))
    state = Trainer(objective, ToySamples(pause), config, folder).run()
    assert config.steps is None or state["step"] == config.steps
    return objective


def lines(folder: Path) -> list[dict]:
    """The log of a run."""
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def losses(folder: Path) -> list[float]:
    """The sum of the terms, step by step."""
    return [row["fit"] + row["size"] for row in lines(folder)]


def interrupt_at(position: int) -> ToySamples:
    """Samples of which one sends SIGTERM to the process that reads it."""
    return ToySamples(at={position: lambda: os.kill(os.getpid(), signal.SIGTERM)})


def note_threads(folder: Path) -> None:
    """Write which of the process group's threads there are."""
    names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    (folder / f"threads{os.environ['RANK']}").write_text(" ".join(name for name in names if "gloo" in name))


def run(folder: str, *settings: str) -> None:
    """A training of several processes: ``name=number`` each."""
    torch.manual_seed(int(os.environ.get("RANK", "0")))
    given = {name: int(value) for name, value in (setting.split("=") for setting in settings)}
    train(Path(folder), dropout=0.0, schedule="constant", **given)


if __name__ == "__main__":
    # Registered before the trainer's own, it is called after that.
    atexit.register(note_threads, Path(sys.argv[1]))
    run(*sys.argv[1:])
