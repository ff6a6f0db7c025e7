"""The study: every row is a valid run with equal steps, and the report says of a claim what the numbers say."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from study import report
from study.held_out import PAIRS
from study.rows import BASE, ROWS, StudySettings, row_config
from study.scores import FIGURES

SETTINGS = StudySettings()
REWARDS = ("edge", "depth", "motion")


def steps_to(row) -> int:
    """Steps from the base on, through the rows of the same stage."""
    by_key = {each.key: each for each in ROWS}
    steps = row_config(row, 0, Path("run"), SETTINGS).training.steps
    before = by_key.get(row.after)
    return steps + (steps_to(before) if before is not None and before.stage == row.stage else 0)


def test_rows_come_after_what_they_start_from():
    known = {BASE}
    for row in ROWS:
        assert row.after in known
        known.add(row.key)


@pytest.mark.parametrize("stage", ["state_image", "state_video"])
def test_rows_of_a_stage_have_equal_steps_and_batches(stage):
    rows = [row for row in ROWS if row.stage == stage and row.title]
    assert len({steps_to(row) for row in rows}) == 1
    assert len({row_config(row, 0, Path("run"), SETTINGS).training.batch_size for row in rows}) == 1


def test_reward_rows_differ_from_their_control_by_the_reward_alone():
    configs = {row.key: row_config(row, 1, Path("run"), SETTINGS) for row in ROWS}
    for control, others in (("image", ("image-edge", "image-depth", "image-both")), ("video", ("video-motion",))):
        for other in others:
            assert configs[other].model_copy(update={"rewards": configs[control].rewards, "out": Path()}) == configs[
                control
            ].model_copy(update={"out": Path()})


def columns(image: float, edge: float) -> dict:
    """Two seeds, eight scenes; the row with the edge reward differs from its control by constants."""
    rng = np.random.default_rng(0)
    control = {name: rng.normal(size=(2, 8)) for name in FIGURES if name != "motion KL"}
    tuned = {name: values + (edge if name == "edge error" else image) for name, values in control.items()}
    return {"image": control, "image-edge": tuned}


@pytest.mark.parametrize(
    ("edge", "verdict"), [(-0.5, "holds"), (0.5, "does not hold: the opposite"), (0.0, "not decided")]
)
def test_a_claim_is_judged_by_its_paired_difference(edge, verdict):
    text = report.claims(columns(0.0, edge))
    (line,) = [line for line in text.splitlines() if "the edge reward lowers" in line]
    assert verdict in line
    assert f"{edge:+.2f} [{edge:+.2f}, {edge:+.2f}]" in line


def test_the_table_has_a_line_per_row_that_was_scored():
    text = report.table(columns(1.0, 0.0), {"image": (1_500_000, 0.5)})
    lines = text.splitlines()
    assert len(lines) == 4
    assert "| stage 1 |" in lines[2]
    assert "1.50 M | 0.50 |" in lines[2]
    assert lines[3].count("-") >= 1


def test_a_reward_is_compared_where_it_acts():
    control = {"edge": np.full((2, 4), 0.5), "depth": np.ones((2, 4))}
    text = report.acting({"image": control, "image-edge": {name: values - 0.1 for name, values in control.items()}})
    (line,) = text.splitlines()[2:]
    assert "| stage 1 + edge | edge | 0.5000 | 0.4000 | -0.1000 [-0.1000, -0.1000]" in line


def test_every_reward_of_the_study_is_measured_where_it_acts():
    rewarded = {(row.key, name) for row in ROWS for name in REWARDS if name in row.changes.get("rewards", {})}
    assert rewarded == {(row, name) for row, _, name in PAIRS}
