"""Two processes give the losses and the weights of one, replicated and in shards; each can resume the other's run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import nn

from showme.training import CHECKPOINTS
from showme.training.checkpoint import newest_checkpoint
from showme.training.distributed import own

from .toy import losses, train

LAUNCH = {"replicas": ["--multi_gpu"], "shards": ["--use_fsdp", "--fsdp_version", "2"]}
PROJECT = Path(__file__).parents[2]


def launch(how: str, folder: Path, *settings: str) -> None:
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.accelerate_cli",
        "launch",
        *LAUNCH[how],
        "--num_processes",
        "2",
    ]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [*command, "-m", "tests.training.toy", str(folder), *settings],
        capture_output=True, text=True, cwd=PROJECT, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def weights(folder: Path) -> dict:
    return load_file(newest_checkpoint(folder / CHECKPOINTS) / "weights.safetensors")


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    """The run of a single process."""
    folder = tmp_path_factory.mktemp("one")
    train(folder, dropout=0.0, schedule="constant")
    return folder


def assert_equal(run: Path, one: Path) -> None:
    assert losses(run) == pytest.approx(losses(one), abs=1e-5)
    ours, whole = weights(run), weights(one)
    assert ours.keys() == whole.keys()
    assert max(float((ours[key] - whole[key]).abs().max()) for key in whole) < 1e-5


def test_two_replicas_with_accumulation_equal_one_process(one, tmp_path):
    launch("replicas", tmp_path, "accumulation=2")
    assert_equal(tmp_path, one)
    # A thread of the group that outlives the run can abort the process while the interpreter is taken down.
    assert [(tmp_path / f"threads{rank}").read_text() for rank in range(2)] == ["", ""]


def test_two_shards_with_accumulation_equal_one_process_which_can_take_over(one, tmp_path):
    launch("shards", tmp_path, "steps=10", "accumulation=2")
    train(tmp_path, dropout=0.0, schedule="constant", steps=15)
    launch("shards", tmp_path, "steps=20")
    assert_equal(tmp_path, one)


class Broken(nn.Module):
    @property
    def shard_units(self) -> list:
        return self.unheard_of


def test_what_fails_in_an_objectives_own_words_is_no_silence():
    assert own(nn.Linear(1, 1), "shard_units", ()) == ()
    with pytest.raises(AttributeError):
        own(Broken(), "shard_units", ())
