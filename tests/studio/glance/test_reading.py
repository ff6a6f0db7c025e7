"""A run's folder while it is written: whatever state its log is in, what can be known is shown, and nothing else."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from showme.errors import InputError
from showme.studio.glance.listing import find_runs
from showme.studio.glance.paths import file_below
from showme.studio.glance.reading import RunReader, read_run
from showme.studio.glance.render import render_figures, render_state
from showme.studio.glance.view import Watch


def row(step: int, **more) -> dict:
    return {
        "step": step, "seconds": 2.0 * step, "noise": 1 / step, "gradient_norm": 0.5, "rate": 1e-3,
        "samples_per_second": 4.0, "memory_mib": 100 + step, "progress": step / 100, **more,
    }  # fmt: skip


def write_run(folder: Path, steps: int = 10, **more) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("method: showme\nstage: state_image\nmodel: embedded\ntraining: {steps: 100}\n")
    (folder / "log.jsonl").write_text("".join(json.dumps(row(step, **more)) + "\n" for step in range(1, steps + 1)))
    return folder


def test_what_a_log_says(tmp_path):
    run = read_run(write_run(tmp_path / "run", edge=0.2))
    assert (run.method, run.stage, run.model, run.step) == ("showme", "state_image", "embedded", 10)
    assert [curve.name for curve in run.losses] == ["noise", "edge"]
    assert run.peak_memory_mib == 110
    assert run.bound.planned_steps == 100
    assert run.bound.seconds_left == pytest.approx(180, rel=0.05)
    assert run.alive
    assert not run.finished
    assert "10 of 100" in render_state(run)


def test_long_curves_are_means_and_end_where_the_log_ends(tmp_path):
    folder = write_run(tmp_path / "run", 5_000)
    curve = read_run(folder).losses[0]
    assert len(curve.steps) <= 500
    assert max(curve.steps) <= 5_000
    weighted = sum(mean for mean in curve.means) / len(curve.means)
    assert curve.count == 5_000
    assert 1 / 5_000 <= min(curve.means) <= weighted <= max(curve.means) <= 1


def test_only_what_was_added_is_read_again(tmp_path):
    folder = write_run(tmp_path / "run")
    reader = RunReader(folder)
    assert reader.read().step == 10
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps(row(11)) + "\n" + '{"step": 12, "noi')
    assert reader.read().step == 11
    with (folder / "log.jsonl").open("a") as log:
        log.write('se": 0.5}\n')
    assert reader.read().step == 12


@pytest.mark.parametrize(
    ("line", "damaged"),
    [
        ("{", 1), ("[1, 2]", 1), ("nothing", 1), ('{"step": "x", "noise": 1}', 1), ("\x00\x00", 1),
        ('{"step": 11, "noise": NaN, "seconds": 1}', 0), ('{"step": 11, "noise": Infinity}', 0),
    ],
)  # fmt: skip
def test_lines_of_any_kind(tmp_path, line, damaged):
    folder = write_run(tmp_path / "run")
    with (folder / "log.jsonl").open("a") as log:
        log.write(line + "\n" + json.dumps(row(12)) + "\n")
    run = read_run(folder)
    assert (run.step, run.damaged) == (12, damaged)
    assert "svg" in render_figures(run, log=True)


def test_a_loss_that_is_no_number_is_shown_as_that(tmp_path):
    folder = write_run(tmp_path / "run", 3)
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps(row(4) | {"noise": math.nan}) + "\n")
    run = read_run(folder)
    assert math.isnan(run.latest["noise"])
    assert "not a number" in render_figures(run, log=False)


def test_folders_that_are_no_runs(tmp_path):
    with pytest.raises(InputError, match="is no training run: choose a folder"):
        read_run(tmp_path)
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(InputError, match="is no training run"):
        read_run(tmp_path)


def test_runs_and_reports_are_listed_newest_first_and_caches_are_not(tmp_path):
    write_run(tmp_path / "old" / "run")
    report = tmp_path / "judged"
    report.mkdir()
    for name in ("result.json", "index.html"):
        (report / name).write_text("{}")
    write_run(tmp_path / "cache" / "hidden")
    write_run(tmp_path / ".hidden" / "run")
    write_run(tmp_path / "new")
    import os

    os.utime(tmp_path / "old" / "run" / "log.jsonl", (1, 1))
    (tmp_path / "link").symlink_to(tmp_path / "old")
    listing = find_runs(tmp_path)
    assert listing.complete
    assert [(entry.kind, entry.name) for entry in listing.entries if entry.kind == "training"] == [
        ("training", "new"),
        ("training", "old/run"),
    ]
    assert ("evaluation", "judged") in [(entry.kind, entry.name) for entry in listing.entries]


@pytest.mark.parametrize("name", ["..", "../x", "/etc/passwd", "a/../../x", "\0", "x" * 5000, "absent", "out"])
def test_nothing_outside_is_named(tmp_path, name):
    root = tmp_path / "root"
    write_run(root / "a")
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(InputError, match="choose one of the list"):
        file_below(root, name)
    shown = Watch(root, str).look(name, log=False)
    assert "choose one of the list" in shown.state
    assert not shown.figures


def test_markup_in_a_run_is_text(tmp_path):
    hostile = "<img src=x onerror=alert(1)> {{value}} ${1}"
    folder = write_run(tmp_path / "run")
    (folder / "config.yaml").write_text(json.dumps({"method": hostile, "stage": hostile, "model": hostile}))
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps(row(11) | {hostile: 0.5}) + "\n")
    html = render_state(read_run(folder)) + render_figures(read_run(folder), log=False)
    assert "<img" not in html
    assert not {"{", "$", "`"} & set(html)
