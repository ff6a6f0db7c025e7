"""A stage: it learns, it stops on time, it resumes, and it refuses a loss that is not a number."""

from __future__ import annotations

import itertools
import json

import pytest
import torch
from torch import nn

from showme.training import Stage, run_stage
from showme.training.checkpoint import load_checkpoint, save_checkpoint
from showme.training.muon import MuonAdamW


def make_stage(model: nn.Module, minutes: float, **changes) -> Stage:
    def loss(step: int, progress: float) -> dict:
        x = torch.randn(16, 4)
        return {"fit": (model(x) - x.sum(1, keepdim=True)).square().mean()}

    return Stage("fit", {"model": model}, loss, minutes=minutes, batch_size=16, learning_rate=0.05, warmup=1, **changes)


@pytest.fixture
def one_second_steps(monkeypatch):
    """A clock that each step moves by one second, whatever the machine."""
    ticks = itertools.count()
    monkeypatch.setattr("showme.training.loop.time.perf_counter", lambda: float(next(ticks)))


def test_a_stage_learns_logs_and_resumes(tmp_path, one_second_steps):
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    state = run_stage(make_stage(model, 2), tmp_path)
    assert state == {"step": 120, "seconds": 120.0, "samples": 16 * 120}
    rows = [json.loads(line) for line in (tmp_path / "fit.jsonl").read_text().splitlines()]
    assert rows[-1]["fit"] < rows[0]["fit"] / 10

    fresh = nn.Linear(4, 1)
    again = run_stage(make_stage(fresh, 2), tmp_path)
    assert again == state, "the minutes were spent: nothing is left to do"
    torch.testing.assert_close(fresh.weight, model.weight)


def test_interrupted_equals_uninterrupted(tmp_path):
    """Ten steps, saved, loaded into new objects, ten more: the weights of twenty in a row."""

    def steps(model, optimizer, numbers):
        for number in numbers:
            torch.manual_seed(number)
            model(torch.randn(8, 20)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()

    def make():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(20, 24), nn.Tanh(), nn.Linear(24, 2))
        return model, MuonAdamW([model])

    straight, optimizer = make()
    steps(straight, optimizer, range(20))
    before, optimizer = make()
    steps(before, optimizer, range(10))
    save_checkpoint(tmp_path / "c", {"m": before}, optimizer, {"step": 10})
    after, optimizer = make()
    assert load_checkpoint(tmp_path / "c", {"m": after}, optimizer) == {"step": 10}
    steps(after, optimizer, range(10, 20))
    for p, q in zip(straight.parameters(), after.parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_loss_that_is_not_a_number_stops_the_stage(tmp_path):
    model = nn.Linear(2, 1)
    stage = Stage("bad", {"m": model}, lambda s, p: {"x": model.weight.sum() * float("nan")}, 1, 1, 1e-3)
    with pytest.raises(FloatingPointError, match="stage bad, step 0"):
        run_stage(stage, tmp_path)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    model = nn.Linear(2, 1)
    save_checkpoint(tmp_path / "c", {"m": model}, MuonAdamW([model]), {})
    with pytest.raises(KeyError):
        load_checkpoint(tmp_path / "c", {"other": model})
