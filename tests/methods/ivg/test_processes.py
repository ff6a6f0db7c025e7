"""IVG's stages killed at any instant, and trained by several processes: the same weights as in one go."""

from __future__ import annotations

import json
import random

import pytest
import torch

from showme.experiment import train
from showme.run_folder import MODEL
from tests.training_processes import LAUNCH, last_weights, train_and_kill, train_together

# Both stages with all their terms that need no fetched network.
STAGES = {
    "region": {"mask_loss": {"weight": 0.1}},
    "video": {
        "region": "truth", "motion_strength_weight": 0.001, "adapter": {"rank": 2, "dropout": 0.1},
        "hands": {"estimator": "tabletop", "every": 2, "least_log10_snr": -10},
    },
}  # fmt: skip


@pytest.mark.parametrize("stage", ["video", pytest.param("region", marks=pytest.mark.long)], ids=lambda stage: stage)
@pytest.mark.parametrize("instant", range(3))
def test_a_killed_run_ends_with_the_same_weights(settings, tmp_path, stage, instant):
    training = {"steps": 20, "checkpoint_steps": 2}
    whole = settings(stage, training, **STAGES[stage], out=str(tmp_path / "whole"))
    train(whole)
    config = settings(stage, training, **STAGES[stage])
    train_and_kill(config, random.Random(instant).uniform(0, 1.0))
    train(config)
    ours, theirs = last_weights(config.out), last_weights(whole.out)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.long
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("how", LAUNCH)
def test_two_processes_train_what_one_does(settings, calm_bundle, tmp_path, stage, how):
    changes = STAGES[stage] | {"adapter": {"rank": 2, "dropout": 0.0}, "model": str(calm_bundle)}
    one = settings(stage, {"batch_size": 4}, **changes, out=str(tmp_path / "one"))
    two = settings(stage, {"batch_size": 4}, **changes, out=str(tmp_path / "two"))
    train(one)
    train_together(two, how)
    logs = [[json.loads(line) for line in (run.out / "log.jsonl").read_text().splitlines()] for run in (one, two)]
    for name in set(logs[0][0]) & {"noise", "mask", "motion", "hands"}:
        # The term of motion is in the hundreds here: fp32 has seven digits of it.
        assert [row[name] for row in logs[1]] == pytest.approx([row[name] for row in logs[0]], rel=1e-6, abs=1e-5)
    ours, theirs = last_weights(two.out), last_weights(one.out)
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        # Where a gradient is nearly nothing, AdamW's step follows what rounding left: by a hundredth of a step here.
        gap = (ours[key] - value).abs()
        assert float(gap.mean()) < 1e-5, key
        assert float(gap.max()) < 1e-3, key
    assert (two.out / MODEL / "manifest.json").exists()
