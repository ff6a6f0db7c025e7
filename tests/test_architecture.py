"""The examples of docs/architecture.md do what its words say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from showme.evaluation.metrics.base import Pairs

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"


@pytest.fixture(scope="module")
def examples() -> dict:
    """What the page's Python defines."""
    space: dict = {"__name__": "examples"}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S):
        exec(compile(code, str(PAGE), "exec", dont_inherit=True), space)
    return space


def test_the_data_set_of_the_page_is_read(examples, tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.mp4").write_bytes(b"")
        (tmp_path / f"{name}.txt").write_text(f"push {name}\n")
    source = examples["NotesSource"](kind="notes", path=tmp_path, exclude=None)
    assert [(record.id, record.instruction) for record in source.records()] == [("a", "push a"), ("b", "push b")]


def test_the_metric_of_the_page_is_a_mean_over_clips(examples):
    metric = examples["MeanError"]()
    clips = torch.zeros(2, 3, 3, 4, 4)
    metric.update(Pairs(clips + torch.tensor([0.1, 0.3]).reshape(2, 1, 1, 1, 1), clips, ["push", "pull"], ["a", "b"]))
    assert float(metric.compute()) == pytest.approx(0.2)
    assert metric.coverage == 1.0


def test_the_parts_of_the_page_are_there():
    parts = re.findall(r'\["([\w./]+) :', PAGE.read_text(encoding="utf-8"))
    assert len(parts) > 10
    for part in parts:
        assert (PAGE.parents[1] / "src" / "showme" / part).exists(), part


def test_the_toys_are_no_longer_than_the_page_says():
    for path in (PAGE.parents[1] / "tests" / "toy").glob("toy_*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 150
