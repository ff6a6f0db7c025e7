"""AID killed at any instant, and trained by two processes: the same weights as in one go."""

from __future__ import annotations

import json
import random

import pytest
import torch

from showme.experiment import train
from showme.run_folder import MODEL
from tests.training_processes import last_weights, train_and_kill, train_together


@pytest.mark.parametrize("instant", range(2))
def test_a_killed_run_ends_with_the_same_weights(settings, tmp_path, instant):
    training = {"steps": 20, "checkpoint_steps": 2}
    whole = settings(training, out=str(tmp_path / "whole"))
    train(whole)
    config = settings(training)
    train_and_kill(config, random.Random(instant).uniform(0, 1.0))
    train(config)
    ours, theirs = last_weights(config.out), last_weights(whole.out)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("how", ["replicas", pytest.param("shards", marks=pytest.mark.long)])
def test_two_processes_train_what_one_does(settings, calm_bundle, tmp_path, how):
    changes = {"model": str(calm_bundle)}
    one = settings({"batch_size": 4}, **changes, out=str(tmp_path / "one"))
    two = settings({"batch_size": 4}, **changes, out=str(tmp_path / "two"))
    train(one)
    train_together(two, how)
    logs = [[json.loads(line) for line in (run.out / "log.jsonl").read_text().splitlines()] for run in (one, two)]
    assert [row["noise"] for row in logs[1]] == pytest.approx([row["noise"] for row in logs[0]], abs=1e-4)
    ours, theirs = last_weights(two.out), last_weights(one.out)
    assert ours.keys() == theirs.keys()
    assert (two.out / MODEL / "manifest.json").exists()
