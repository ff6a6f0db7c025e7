"""A run: it learns, stops on time, resumes, accumulates, averages, and refuses a loss that is not a number."""

from __future__ import annotations

import itertools
import signal
import sys

import pytest
import torch

from showme.config import OptimizerConfig
from showme.data.stream import positions, shuffled
from showme.errors import InputError, ShowMeWarning
from showme.training import CHECKPOINTS, Trainer
from showme.training.checkpoint import load_weights, newest_checkpoint, read_state

from .toy import ROWS, ToyObjective, ToySamples, interrupt_at, lines, losses, toy_config, train


@pytest.fixture
def one_second_steps(monkeypatch):
    """A clock that each step moves by one second, whatever the machine."""
    ticks = itertools.count()
    monkeypatch.setattr("showme.training.trainer.time.perf_counter", lambda: float(next(ticks)))


def test_a_run_bounded_by_minutes_learns_logs_and_knows_when_it_is_done(tmp_path, one_second_steps):
    config = toy_config(minutes=2, schedule="constant")
    state = Trainer(ToyObjective(), ToySamples(), config, tmp_path).run()
    assert state["pace"]["precision"] == "fp32"
    assert {**state, "pace": None} == {"step": 120, "seconds": 120.0, "samples": 8 * 120, "pace": None}
    assert losses(tmp_path)[-1] < losses(tmp_path)[0] / 3
    assert [row["progress"] for row in lines(tmp_path)] == [round(step / 120, 6) for step in range(1, 121)]
    again = ToyObjective()
    assert Trainer(again, ToySamples(), config, tmp_path).run() == state, "the minutes were spent"
    assert len(lines(tmp_path)) == 120


def test_every_term_rate_speed_memory_and_gradient_are_logged_and_how_far_it_is(tmp_path):
    train(tmp_path, steps=4)
    rows = lines(tmp_path)
    assert set(rows[0]) == {
        "step", "seconds", "progress", "fit", "size", "gradient_norm", "rate", "samples_per_second", "memory_mib"
    }  # fmt: skip
    assert [row["progress"] for row in rows] == [0.25, 0.5, 0.75, 1.0]
    assert [row["rate"] for row in rows] == pytest.approx([0.005, 0.0075, 0.005, 0.0025])
    assert rows[0]["memory_mib"] > 50
    assert rows[0]["gradient_norm"] > 0


def test_tensorboard_holds_the_same_figures(tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(tmp_path, steps=3, tensorboard=True)
    board = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [event.value for event in board.Scalars("fit")] == pytest.approx([row["fit"] for row in lines(tmp_path)])


def test_a_broken_tensorboard_costs_its_log_and_not_the_run(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.warns(ShowMeWarning, match=r"goes on without it: The tensorboard log needs .* cannot be imported"):
        train(tmp_path, steps=1, tensorboard=True)
    assert len(lines(tmp_path)) == 1
    assert not (tmp_path / "tensorboard").exists()


def test_accumulation_gives_the_losses_and_weights_of_the_whole_batch(tmp_path):
    whole = train(tmp_path / "whole", dropout=0.0)
    parts = train(tmp_path / "parts", dropout=0.0, accumulation=4)
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), abs=1e-5)
    for p, q in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=0)


def test_workers_read_the_same_samples(tmp_path):
    train(tmp_path / "none", steps=3)
    train(tmp_path / "two", steps=3, workers=2)
    assert losses(tmp_path / "two") == losses(tmp_path / "none")


def test_averaged_weights_are_validated_kept_and_given_back(tmp_path):
    seen = {}
    objective = ToyObjective()

    def validate(step: int) -> None:
        assert not objective.net.training
        seen[step] = objective.net[0].weight.clone()

    config = toy_config(ema=0.9, validate_steps=10)
    Trainer(objective, ToySamples(), config, tmp_path, validate=validate).run()
    assert list(seen) == [10, 20]
    assert objective.net.training
    assert not torch.equal(seen[20], objective.net[0].weight)
    fresh = ToyObjective()
    load_weights(newest_checkpoint(tmp_path / CHECKPOINTS), fresh.trained)
    assert torch.equal(fresh.net[0].weight, seen[20]), "the averaged weights are those to use"


def test_averages_survive_a_resumption(tmp_path):
    settings = {"ema": 0.9, "schedule": "constant"}
    train(tmp_path / "halves", steps=10, **settings)
    train(tmp_path / "halves", **settings)
    train(tmp_path / "straight", **settings)
    files = [newest_checkpoint(tmp_path / run / CHECKPOINTS) / "ema.safetensors" for run in ("halves", "straight")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_loss_that_is_not_a_number_names_the_batch_and_leaves_the_last_checkpoint(tmp_path):
    train(tmp_path, steps=5)

    class Poisoned(ToySamples):
        def __getitem__(self, position: int) -> dict:
            sample = super().__getitem__(position)
            return sample | {"x": sample["x"] * float("nan")} if position == 53 else sample

    samples = Poisoned()
    trainer = Trainer(ToyObjective(), samples, toy_config(), tmp_path, title="toy")
    with pytest.raises(FloatingPointError, match=r"toy, step 6: .*fit nan.*rows \[") as error:
        trainer.run()
    assert str(shuffled(53, ROWS, seed=3)) in str(error.value)
    assert read_state(newest_checkpoint(tmp_path / CHECKPOINTS))["step"] == 5


def test_sigterm_finishes_the_step_saves_and_ends(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match=str(128 + signal.SIGTERM)):
        Trainer(ToyObjective(), interrupt_at(6 * 8 + 2), toy_config(), tmp_path).run()
    assert read_state(newest_checkpoint(tmp_path / CHECKPOINTS))["step"] == 7
    train(tmp_path)
    assert signal.getsignal(signal.SIGTERM) is before
    train(tmp_path / "straight")
    assert losses(tmp_path) == losses(tmp_path / "straight")


def test_runs_of_different_precision_can_follow_each_other(tmp_path):
    for precision in ("fp32", "bf16", "fp32"):
        train(tmp_path / f"{precision}", steps=2, precision=precision)
    full, narrow = (losses(tmp_path / precision) for precision in ("fp32", "bf16"))
    assert full != narrow
    assert full == pytest.approx(narrow, rel=0.05)


def test_muon_learns_too(tmp_path):
    train(tmp_path, steps=60, optimizer=OptimizerConfig(name="muon", learning_rate=0.01))
    assert losses(tmp_path)[-1] < losses(tmp_path)[0] / 2


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    with pytest.raises(ValueError, match="does not divide into 3"):
        toy_config(accumulation=3)
    config = toy_config().model_copy(update={"accumulation": 3})
    with pytest.raises(InputError, match=r"batch_size 8 .* 3 parts"):
        Trainer(ToyObjective(), ToySamples(), config, tmp_path).run()


def test_positions_cover_every_batch_once_whatever_the_processes():
    for processes, parts in ((1, 1), (2, 1), (2, 2), (4, 2)):
        streams = [positions(3, 16, rank, processes, parts) for rank in range(processes)]
        taken = sorted(p for stream in streams for _ in range(parts) for p in next(stream))
        assert taken == list(range(48, 64))


def test_every_epoch_is_another_order_of_all_rows():
    epochs = [[shuffled(position, ROWS, seed=1) for position in range(e * ROWS, (e + 1) * ROWS)] for e in range(2)]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(ROWS))
