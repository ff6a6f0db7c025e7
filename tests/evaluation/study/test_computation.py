"""What trainings took: counts as the checkpoint has them, the log's numbers, and the largest batch by brute force."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from showme.config import load_config
from showme.errors import InputError
from showme.evaluation.study import StudyConfig, computation, probe
from showme.evaluation.study.computation import computation_of
from showme.evaluation.study.plan import Training, plan
from showme.evaluation.study.probe import Steps, largest_batch
from showme.experiment import train
from showme.training import CHECKPOINTS
from showme.training.checkpoint import newest_checkpoint


@pytest.fixture
def trained(study_file, tmp_path) -> Training:
    """A training of three steps."""
    row = {"name": "a", "trainings": [{"recipe": "state_image.yaml", "fields": ["training.steps=3"]}]}
    file = study_file(rows=[row], seeds=[1])
    (cell,) = plan(load_config(file, StudyConfig), file, tmp_path / "out")
    train(cell.trainings[0].config)
    return cell.trainings[0]


def test_counts_and_times_are_those_of_the_run(trained, tmp_path):
    weights = load_file(newest_checkpoint(trained.config.out / CHECKPOINTS) / "weights.safetensors")
    exported = [load_file(path) for path in trained.model.rglob("*.safetensors")]
    log = [json.loads(line) for line in (trained.config.out / "log.jsonl").read_text().splitlines()]
    costs = computation_of("training 1 of a", [trained], tmp_path, True)
    assert costs.trainable == sum(value.numel() for value in weights.values())
    # On disk stand buffers too, few and small ones.
    assert costs.parameters <= sum(v.numel() for file in exported for v in file.values()) <= costs.parameters * 1.02
    assert costs.minutes == log[-1]["seconds"] / 60
    assert costs.samples_per_second == np.median([line["samples_per_second"] for line in log])
    assert costs.memory_mib == max(line["memory_mib"] for line in log)
    assert (costs.batch_size, costs.seeds, costs.largest_batch) == (2, 1, None)
    assert costs.notes == [computation.NO_CUDA]
    assert computation_of("a", [trained], tmp_path, False).notes == [computation.NOT_WANTED]
    _check_a_step(trained)
    _check_the_probe(trained, tmp_path)
    (trained.config.out / "log.jsonl").write_text("")
    with pytest.raises(InputError, match=r"log.jsonl does not list every step .*remove .* to train anew"):
        computation_of("a", [trained], tmp_path, True)


def _check_a_step(trained: Training) -> None:
    """A probe takes real steps of any batch, leaves the weights alone and writes no checkpoint."""
    step = Steps(trained.config)
    before = {name: value.clone() for name, value in step.objective.state_dict().items()}
    asked: list[int] = []
    step.samples = _Watched(step.samples, asked)
    step(5)
    assert sorted(asked) == list(range(10)), "two steps of five samples"
    for name, value in step.objective.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=1e-9)
    assert all(p.grad is None for p in step.objective.parameters())
    settings = step.settings(5)
    assert (settings.batch_size, settings.accumulation, settings.precision) == (5, 1, "fp32")


class _Watched:
    """Samples that keep which of them were asked for."""

    def __init__(self, samples, asked: list[int]):
        self.samples, self.asked = samples, asked

    def __getitem__(self, position: int):
        self.asked.append(position)
        return self.samples[position]


def _check_the_probe(trained: Training, out) -> None:
    """With a device whose memory is made up: 100 bytes and 10 per sample, out of memory beyond 2,000."""
    batches = []
    with pytest.MonkeyPatch.context() as patch:
        _fake_device(patch, batches)
        line = computation_of("a", [trained], out, True)
        assert line.largest_batch == 170, "0.9 * 2000 holds 100 + 10 * 170"
        assert line.notes == ["the largest batch is within 90% of the memory of one made-up device"]
        asked = len(batches)
        assert computation_of("a", [trained], out, True) == line
        assert len(batches) == asked, "it is looked for once"


def _fake_device(patch, batches: list[int]) -> None:
    class Steps:
        def __init__(self, config):
            pass

        def __call__(self, batch):
            batches.append(batch)
            if 100 + 10 * batch > 2000:
                raise torch.OutOfMemoryError

    patch.setattr(probe, "Steps", Steps)
    for name, answer in {
        "is_available": lambda: True,
        "current_device": lambda: 0,
        "empty_cache": lambda: None,
        "reset_peak_memory_stats": lambda *_: None,
        "max_memory_reserved": lambda *_: 100 + 10 * batches[-1],
        "get_device_properties": lambda *_: SimpleNamespace(total_memory=2000),
        "get_device_name": lambda: "made-up device",
    }.items():
        patch.setattr(torch.cuda, name, answer)


def test_the_largest_batch_is_that_of_trying_all():
    rng = np.random.default_rng(0)
    for _ in range(300):
        fixed, each, limit = int(rng.integers(0, 500)), int(rng.integers(1, 60)), int(rng.integers(1, 3000))
        breaks = int(rng.integers(1, 200))
        asked: list[int] = []

        def peak(batch: int, fixed=fixed, each=each, breaks=breaks, asked=asked) -> int | None:
            asked.append(batch)
            return None if batch > breaks else fixed + each * batch

        fitting = [n for n in range(1, 300) if (p := peak(n)) is not None and p <= limit]
        asked.clear()
        assert largest_batch(peak, limit) == max(fitting, default=0)
        assert len(asked) <= 2 * np.log2(max(asked)) + 2


def test_a_device_without_an_end_ends_the_search():
    asked: list[int] = []
    assert largest_batch(lambda batch: asked.append(batch) or 1, 2) == max(asked) == 2**16
