"""Trainings in processes of their own: one that is killed, and several that are launched together."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from showme.config import dump_config
from showme.experiment import train
from showme.run_config import RunConfig
from showme.training import CHECKPOINTS
from showme.training.checkpoint import newest_checkpoint
from showme.training.log import LOG

LAUNCH = {"replicas": ["--multi_gpu"], "shards": ["--use_fsdp", "--fsdp_version", "2"]}


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Those of a run's newest checkpoint."""
    return load_file(newest_checkpoint(folder / CHECKPOINTS) / "weights.safetensors")


def _train(config: RunConfig, threads: int) -> None:
    # Another number of threads sums in another order.
    torch.set_num_threads(threads)
    train(config)


def train_and_kill(config: RunConfig, seconds: float) -> None:
    """Train in another process and kill it so long after its first step."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["showme.experiment"])
    child = context.Process(target=_train, args=(config, torch.get_num_threads()))
    child.start()
    while child.is_alive() and not (config.out / LOG).exists():
        time.sleep(0.01)
    time.sleep(seconds)
    if child.is_alive():
        os.kill(child.pid, signal.SIGKILL)
    child.join()


def train_in_two(config: RunConfig, how: str, file: Path) -> None:
    """Train in two processes, as accelerate launches them; ``file`` is where the settings are written."""
    dump_config(config, file)
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", *LAUNCH[how]]
    command += ["--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["--main_process_port", "0", "-m", "showme.cli", "train", str(file)]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
