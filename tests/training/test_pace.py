"""Choosing a precision by the clock, once, and keeping it."""

from __future__ import annotations

import pytest
import torch

from showme.training import CHECKPOINTS
from showme.training.checkpoint import newest_checkpoint, read_state
from showme.training.pace import bf16_may_gain, fastest, machine_name, muon_precision

from .toy import losses, train


def test_the_fastest_is_chosen_whatever_the_first_round_cost(monkeypatch):
    clock, seen = [0.0], []
    monkeypatch.setattr("showme.training.pace.time.perf_counter", lambda: clock[0])

    def run(name: str) -> None:
        clock[0] += {"fp32": 20.0, "bf16": 5.0 if name in seen else 100.0}[name]
        seen.append(name)

    assert fastest(run) == "bf16"


@pytest.mark.parametrize(("ratio", "tried"), [(0.5, True), (2.9, True), (13.0, False)])
def test_a_step_is_not_timed_where_bare_products_are_hopeless(tmp_path, monkeypatch, ratio, tried):
    clock, asked = [0.0], []

    def product(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        clock[0] += ratio if self.dtype == torch.bfloat16 else 1.0
        return self

    with monkeypatch.context() as patched:
        patched.setattr("showme.training.pace.time.perf_counter", lambda: clock[0])
        patched.setattr(torch.Tensor, "__matmul__", product)
        assert bf16_may_gain() == tried
    monkeypatch.setattr("showme.training.trainer.bf16_may_gain", lambda: tried)
    monkeypatch.setattr("showme.training.trainer.fastest", lambda run: asked.append(1) or "bf16")
    train(tmp_path, steps=1, precision="auto")
    chosen = read_state(newest_checkpoint(tmp_path / CHECKPOINTS))["pace"]["precision"]
    assert (len(asked), chosen) == ((1, "bf16") if tried else (0, "fp32"))


def test_a_machine_is_known_by_its_threads_too(monkeypatch):
    before = machine_name()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 97)
    assert machine_name() != before


def test_muon_iterates_in_bf16_where_there_is_no_cpu_to_measure():
    assert muon_precision(torch.device("cuda")) == "bf16"
    assert muon_precision(torch.device("cpu")) in ("fp32", "bf16")


@pytest.mark.parametrize("choice", ["fp32", "bf16"])
def test_a_run_keeps_what_it_found_when_it_goes_on(tmp_path, monkeypatch, choice):
    monkeypatch.setattr("showme.training.trainer.bf16_may_gain", lambda: True)
    monkeypatch.setattr("showme.training.trainer.fastest", lambda run: (run("fp32"), choice)[1])
    train(tmp_path / "auto", steps=4, precision="auto", schedule="constant")
    assert read_state(newest_checkpoint(tmp_path / "auto" / CHECKPOINTS))["pace"]["precision"] == choice
    other = {"fp32": "bf16", "bf16": "fp32"}[choice]
    monkeypatch.setattr("showme.training.trainer.fastest", lambda run: other)
    train(tmp_path / "auto", steps=8, precision="auto", schedule="constant")
    train(tmp_path / "named", steps=8, precision=choice, schedule="constant")
    assert losses(tmp_path / "auto") == losses(tmp_path / "named")


def test_another_machine_measures_anew(tmp_path, monkeypatch):
    train(tmp_path, steps=2, precision="auto")
    asked = []
    monkeypatch.setattr("showme.training.trainer.bf16_may_gain", lambda: True)
    monkeypatch.setattr("showme.training.trainer.machine_name", lambda: "another")
    monkeypatch.setattr("showme.training.trainer.fastest", lambda run: asked.append(1) or "fp32")
    train(tmp_path, steps=4, precision="auto")
    assert asked
