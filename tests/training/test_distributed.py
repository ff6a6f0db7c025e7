"""Two processes give the losses and the weights of one, replicated and in shards; each can resume the other's run."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import nn

from showme.training import CHECKPOINTS
from showme.training.checkpoint import newest_checkpoint
from showme.training.distributed import own
from tests.training_processes import launch, together

from .toy import losses, run, train

PROJECT = Path(__file__).parents[2]


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
    launch("replicas", "tests.training.toy", str(tmp_path), "accumulation=2", PYTHONPATH=str(PROJECT))
    assert_equal(tmp_path, one)
    # A thread of the group that outlives the run can abort the process while the interpreter is taken down.
    assert [(tmp_path / f"threads{rank}").read_text() for rank in range(2)] == ["", ""]


def test_two_shards_with_accumulation_equal_one_process_which_can_take_over(one, tmp_path):
    together("shards", run, str(tmp_path), "steps=10", "accumulation=2")
    train(tmp_path, dropout=0.0, schedule="constant", steps=15)
    together("shards", run, str(tmp_path), "steps=20")
    assert_equal(tmp_path, one)


class Broken(nn.Module):
    @property
    def shard_units(self) -> list:
        return self.unheard_of


def test_what_fails_in_an_objectives_own_words_is_no_silence():
    assert own(nn.Linear(1, 1), "shard_units", ()) == ()
    with pytest.raises(AttributeError):
        own(Broken(), "shard_units", ())
