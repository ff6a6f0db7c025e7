"""A checkpoint is whole or is not believed; a run killed at any instant goes on as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from showme.errors import InputError
from showme.training.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from showme.training.log import LOG
from showme.training.muon import MuonAdamW

from .toy import train

STEPS, KILLS = 20, 10


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> nn.Module:
    return train(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("instant", range(KILLS))
def test_a_run_killed_at_a_random_instant_ends_with_the_same_weights(instant, uninterrupted, tmp_path):
    # Forked from a server without threads: no import of torch per run, and no locks of this process.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "showme.training"])
    child = context.Process(target=train, args=(tmp_path, 0.002))
    child.start()
    while not (tmp_path / LOG).exists():
        time.sleep(0.01)
    time.sleep(random.Random(instant).uniform(0, 0.4))
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    resumed = train(tmp_path)
    for ours, whole in zip(resumed.parameters(), uninterrupted.parameters(), strict=True):
        assert torch.equal(ours, whole)
    steps = [line.split(",")[0] for line in (tmp_path / LOG).read_text().splitlines()]
    assert steps == [f'{{"step": {number}' for number in range(1, STEPS + 1)], "each step is in the log once"


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 24))


def two_checkpoints(folder: Path) -> nn.Module:
    model = make_model()
    optimizer = MuonAdamW([model])
    for step in (1, 2):
        model(torch.randn(4, 24)).square().sum().backward()
        optimizer.step()
        save_checkpoint(folder, {"m": model}, optimizer, {"step": step})
    return model


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
def test_a_checkpoint_cut_short_is_refused_and_the_one_before_it_used(name, tmp_path):
    two_checkpoints(tmp_path)
    file = tmp_path / "step-00000002" / name
    whole = file.read_bytes()
    # At every byte of the small files, at many of the large ones.
    lengths = range(len(whole)) if len(whole) < 2000 else random.Random(0).sample(range(len(whole)), 300)
    for length in lengths:
        file.write_bytes(whole[:length])
        with pytest.warns(UserWarning, match=name):
            assert newest_checkpoint(tmp_path) == tmp_path / "step-00000001"
    with pytest.warns(UserWarning, match=name):
        assert load_checkpoint(tmp_path, {"m": make_model()})["step"] == 1
    file.write_bytes(whole)
    assert load_checkpoint(tmp_path, {"m": make_model()})["step"] == 2


def test_one_changed_byte_is_noticed(tmp_path):
    two_checkpoints(tmp_path)
    file = tmp_path / "step-00000002" / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.warns(UserWarning, match=r"weights\.safetensors"):
        assert newest_checkpoint(tmp_path) == tmp_path / "step-00000001"


def test_without_any_sound_checkpoint_there_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="train that stage first"):
        load_checkpoint(tmp_path / "none", {"m": make_model()})
    two_checkpoints(tmp_path)
    for file in tmp_path.glob("step-*/manifest.json"):
        file.unlink()
    with pytest.warns(UserWarning, match="passed over"), pytest.raises(InputError, match="Every checkpoint"):
        load_checkpoint(tmp_path, {"m": make_model()})


def test_old_checkpoints_and_leftovers_go(tmp_path):
    (tmp_path / "step-00000000.partial").mkdir()
    model = two_checkpoints(tmp_path)
    save_checkpoint(tmp_path, {"m": model}, MuonAdamW([model]), {"step": 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    two_checkpoints(tmp_path)
    other = make_model()
    before = {key: value.clone() for key, value in other.state_dict().items()}
    with pytest.raises(InputError, match=r"weights\.safetensors lacks other\..* and has no place for m\..* showme"):
        load_checkpoint(tmp_path, {"other": other})
    assert all(torch.equal(value, before[key]) for key, value in other.state_dict().items())
