"""Trainings in processes of their own: one that is killed, and several that are launched together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from socket import socket

import torch
from accelerate.commands.launch import launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env
from safetensors.torch import load_file

from showme.config import dump_config
from showme.experiment import train
from showme.run_config import RunConfig
from showme.training import CHECKPOINTS
from showme.training.checkpoint import newest_checkpoint
from showme.training.log import LOG
from tests.forked import process

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
    child = process(_train, config, torch.get_num_threads())
    child.start()
    while child.is_alive() and not (config.out / LOG).exists():
        time.sleep(0.01)
    time.sleep(seconds)
    if child.is_alive():
        os.kill(child.pid, signal.SIGKILL)
    child.join()


def _as_one_of_them(environment: dict[str, str], work: Callable[..., object], given: tuple) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    work(*given)


def together(how: str, work: Callable[..., object], *given: object) -> None:
    """Call ``work`` in two processes that find the environment that accelerate's launcher makes: no command is
    started."""
    arguments = launch_command_parser().parse_args([*_options(how), "train"])
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = prepare_multi_gpu_env(arguments) | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true"}
    ranks = [{name: str(rank) for name in ("RANK", "LOCAL_RANK")} for rank in range(2)]
    both = [process(_as_one_of_them, common | rank, work, given) for rank in ranks]
    for child in both:
        child.start()
    for child in both:
        child.join()
    assert [child.exitcode for child in both] == [0, 0]


def train_together(config: RunConfig, how: str) -> None:
    """Train in two processes, as :func:`together`."""
    together(how, train, config)


def launch(how: str, *command: str, **environment: str) -> None:
    """Start a module in two processes by accelerate's command; ``command``: its name and its arguments."""
    words = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", *_options(how), "-m", *command]
    found = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"} | environment
    done = subprocess.run(words, capture_output=True, text=True, env=found, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def launch_training(config: RunConfig, how: str, file: Path) -> None:
    """Train in two processes by the command that launches them; ``file`` is where the settings are written."""
    dump_config(config, file)
    launch(how, "showme.cli", "train", str(file))


def _options(how: str) -> list[str]:
    plain = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    plain += ["--num_cpu_threads_per_process", "1"]
    return [*LAUNCH[how], "--num_processes", "2", *plain]
