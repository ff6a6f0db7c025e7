"""Whole studies of a tiny model: what is trained and judged, what a second run does, and what a kill leaves behind."""

from __future__ import annotations

import csv
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from showme.bundle import open_bundle
from showme.cli.evaluate.study import study as command
from showme.config import load_config
from showme.errors import InputError, ShowMeWarning
from showme.evaluation.results import FILE, read_result
from showme.evaluation.study import StudyConfig
from showme.evaluation.study.plan import Cell, plan
from showme.evaluation.study.run import run_study
from showme.evaluation.study.writers import Written
from showme.methods.showme.config import ShowMeConfig

from .conftest import CLIPS, write_clips

ROOT = Path(__file__).parents[3]
SEEDS = (0, 100)
TWO_STAGES = [{"recipe": "state_image.yaml"}, {"recipe": "state_video.yaml"}]


def run(file: Path, out: Path, *fields: str, **kwargs) -> Written:
    return run_study(load_config(file, StudyConfig, fields), file, out, **kwargs)


def planned(file: Path, out: Path, *fields: str) -> list[Cell]:
    return plan(load_config(file, StudyConfig, fields), file, out)


def of(cells: list[Cell], name: str, seed: int = 0) -> Cell:
    return next(cell for cell in cells if (cell.row.name, cell.seed) == (name, seed))


@pytest.fixture
def studied(study_file, tmp_path) -> tuple[Path, Path, Written]:
    """A finished study: its file, its folder, what it wrote."""
    file, out = study_file(), tmp_path / "out"
    return file, out, run(file, out)


def test_a_study_trains_judges_and_reports_what_it_found(studied, monkeypatch, tiny_bundle):
    file, out, written = studied
    cells = planned(file, out)
    _check_trainings(cells, tiny_bundle)
    _check_figures(cells, written)
    _check_costs(cells, out, written)
    assert "study.yaml" in {path.name for path in out.iterdir()}
    assert load_config(out / "study.yaml", StudyConfig) == load_config(file, StudyConfig)
    _check_that_a_second_run_computes_nothing(file, out, written, monkeypatch)
    _check_that_a_change_redoes_what_it_touches_alone(file, out)
    _check_that_trainings_on_other_clips_are_no_part_of_it(file, out, cells)


def _check_trainings(cells: list[Cell], tiny_bundle: Path) -> None:
    assert [(cell.row.name, cell.seed) for cell in cells] == [(n, s) for s in SEEDS for n in ("plain", "tuned")]
    for seed in SEEDS:
        first, second = of(cells, "tuned", seed).trainings
        kept = [load_config(each.config.out / "config.yaml", ShowMeConfig) for each in (first, second)]
        assert [each.training.seed for each in kept] == [seed, seed]
        assert [each.model for each in kept] == [str(tiny_bundle), str(first.model)]
        assert of(cells, "tuned", seed).request.model == str(second.model)
    hashes = {open_bundle(of(cells, "tuned", seed).request.model).hash for seed in SEEDS}
    assert len(hashes) == 2, "each seed has a model of its own"


def _check_figures(cells: list[Cell], written: Written) -> None:
    results = {(cell.row.name, cell.seed): read_result(cell.request.out / FILE) for cell in cells}
    assert {result.protocol["seed"] for result in results.values()} == set(SEEDS)
    (table,) = (path for path in written.csv if path.name.startswith("table"))
    rows = {row["name"]: row for row in csv.DictReader(table.open())}
    assert list(rows) == ["plain", "tuned", "first frame repeated", "true clip through the codec"]
    for metric in ("psnr", "ssim"):
        values = {n: np.array([results[n, seed].model.clips[metric] for seed in SEEDS]) for n in ("plain", "tuned")}
        assert values["tuned"].shape == (2, CLIPS)
        means = values["tuned"].mean(axis=1)
        assert float(rows["tuned"][metric]) == pytest.approx(means.mean())
        assert float(rows["tuned"][f"{metric}_spread"]) == pytest.approx(means.std(ddof=1))
        assert float(rows["tuned"][f"{metric}_seed_100"]) == pytest.approx(means[1])
        difference = float(rows["tuned"][f"{metric}_difference"])
        assert difference == pytest.approx((values["tuned"] - values["plain"]).mean())
        low, high = (float(rows["tuned"][f"{metric}_difference_{side}"]) for side in ("low", "high"))
        assert low <= difference <= high
        assert rows["tuned"][f"{metric}_noise"] == ("inside" if low <= 0 <= high else "outside")


def _check_costs(cells: list[Cell], out: Path, written: Written) -> None:
    rows = list(csv.DictReader((out / "computation.csv").open()))
    assert [row["name"] for row in rows] == ["training 1 of tuned", "training 2 of tuned"]
    assert {row["seeds"] for row in rows} == {"2"}
    assert all(row["largest_batch"] == "" for row in rows)
    assert "there is no CUDA device here" in written.table


def _check_that_a_second_run_computes_nothing(file: Path, out: Path, written: Written, monkeypatch) -> None:
    before = {path: path.read_bytes() for path in out.glob("*.*")}
    with monkeypatch.context() as patch:
        for name in ("train", "evaluate", "WronglyAsked"):
            patch.setattr(f"showme.evaluation.study.run.{name}", lambda *_: pytest.fail("computed anew"))
        assert run(file, out) == written
    assert {path: path.read_bytes() for path in out.glob("*.*")} == before


def _check_that_a_change_redoes_what_it_touches_alone(file: Path, out: Path) -> None:
    before = planned(file, out)
    tree = yaml.safe_load(file.read_text())
    tree["rows"][1]["trainings"][1]["fields"] = ["training.optimizer.learning_rate=0.5"]
    file.write_text(yaml.safe_dump(tree))
    after = planned(file, out)
    assert of(after, "plain").request.out == of(before, "plain").request.out
    old, new = of(before, "tuned"), of(after, "tuned")
    assert [a.config.out == b.config.out for a, b in zip(old.trainings, new.trainings, strict=True)] == [True, False]
    assert old.request.out != new.request.out
    tree["rows"][1]["trainings"][1]["fields"] = ["training.workers=1", "training.checkpoint_seconds=9"]
    file.write_text(yaml.safe_dump(tree))
    assert of(planned(file, out), "tuned").request.out == old.request.out, "neither decides the weights"


def _check_that_trainings_on_other_clips_are_no_part_of_it(file: Path, out: Path, cells: list[Cell]) -> None:
    record = of(cells, "tuned").trainings[0].config.out / "clips.jsonl"
    kept = record.read_text()
    record.write_text(kept.replace("push the red box", "lift the red box", 1))
    with pytest.raises(InputError, match=r"row 'tuned': .* was begun with other clips \(1 has another instruction"):
        run(file, out)
    record.unlink()
    with pytest.warns(ShowMeWarning, match=f"1 finished trainings, such as {record.parent}, kept no record of their"):
        run(file, out)
    record.write_text(kept)


def test_other_clips_for_the_nearest_are_judged_anew(study_file, tmp_path):
    nearest = write_clips(tmp_path / "nearest")
    file = study_file(training_clips=str(nearest))
    before = [cell.request.out for cell in planned(file, tmp_path / "out")]
    assert [cell.request.out for cell in planned(file, tmp_path / "out")] == before
    index = nearest / "index.jsonl"
    index.write_text(index.read_text().replace("red", "blue"))
    assert not {cell.request.out for cell in planned(file, tmp_path / "out")} & set(before)


def test_a_killed_study_ends_as_an_unbroken_one_and_repeats_nothing(study_file, tmp_path):
    rows = [{"name": "plain", "model": yaml.safe_load(study_file().read_text())["codec"]},
            {"name": "tuned", "trainings": TWO_STAGES[:1]}]  # fmt: skip
    file, whole, broken = study_file(rows=rows, seeds=[0]), tmp_path / "whole", tmp_path / "broken"
    words = (
        "import sys, torch; torch.set_num_threads(1); from pathlib import Path; from showme.config import load_config; "
    )
    words += "from showme.evaluation.study import StudyConfig; from showme.evaluation.study.run import run_study; "
    words += "file, out = map(Path, sys.argv[1:]); "
    words += "run_study(load_config(file, StudyConfig), file, out)"
    child = subprocess.Popen([sys.executable, "-c", words, str(file), str(broken)], cwd=ROOT, stderr=subprocess.DEVNULL)
    while child.poll() is None and not list(broken.glob("trainings/*/log.jsonl")):
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    (found,) = broken.glob(f"cells/*/{FILE}")
    finished = found.stat().st_mtime_ns
    resumed, unbroken = run(file, broken), run(file, whole)
    assert found.stat().st_mtime_ns == finished
    assert (broken / "table-1.csv").read_bytes() == (whole / "table-1.csv").read_bytes()
    assert [path.name for path in resumed.csv] == [path.name for path in unbroken.csv]


def test_rows_that_begin_alike_share_their_trainings(study_file, tmp_path):
    edge = {"recipe": "state_image.yaml", "fields": ["rewards.edge=sobel"]}
    file = study_file(rows=[
        {"name": "image", "trainings": TWO_STAGES[:1]},
        {"name": "video", "trainings": TWO_STAGES},
        {"name": "edge", "trainings": [TWO_STAGES[0], edge]},
    ])  # fmt: skip
    cells = planned(file, tmp_path / "out")
    first = {cell.row.name: cell.trainings[0].config.out for cell in cells if cell.seed == 0}
    assert len(set(first.values())) == 1
    assert of(cells, "image").trainings[0].config.out != of(cells, "image", 100).trainings[0].config.out
    assert of(cells, "image").trainings[0].kind == of(cells, "image", 100).trainings[0].kind
    chained = of(cells, "edge").trainings
    assert chained[1].config.model == str(chained[0].model)
    assert chained[1].config.rewards.edge == "sobel"


def test_wrong_instructions_reach_the_model_and_nothing_else(study_file, tmp_path, tiny_bundle, monkeypatch):
    from showme.evaluation import models

    asked: list[str] = []
    prompt_for = models.prompt_for
    monkeypatch.setattr(models, "prompt_for", lambda text, *rest: prompt_for(asked.append(text) or text, *rest))
    model = str(tiny_bundle)
    rows = [{"name": "own", "model": model}, {"name": "wrong", "model": model, "instructions": "wrong"}]
    file, out = study_file(rows=rows, seeds=[3]), tmp_path / "out"
    run(file, out)
    # Every clip's is looked at for its length first.
    own, wrong = asked[: 2 * CLIPS], asked[2 * CLIPS :]
    assert own == ["push the red box", "push the blue box"] * 4
    assert wrong == ["push the blue box", "push the red box"] * 4
    cells = planned(file, out)
    a, b = (read_result(of(cells, name, 3).request.out / FILE) for name in ("own", "wrong"))
    assert a.ids == b.ids
    assert a.baselines == b.baselines
    assert "instructions" in b.record
    assert "wrong (asked wrongly)" in (out / "study.txt").read_text()


def test_other_clips_at_the_same_place_are_judged_anew(study_file, tmp_path, tiny_bundle):
    place = write_clips(tmp_path / "other", level=180)
    file = study_file(rows=[{"name": "a", "model": str(tiny_bundle)}], reference=str(place))
    before = of(planned(file, tmp_path), "a")
    write_clips(tmp_path / "newer", level=90)
    (tmp_path / "newer" / "0.safetensors").replace(place / "0.safetensors")
    after = of(planned(file, tmp_path), "a")
    assert before.request.out != after.request.out


def test_two_processes_do_not_share_a_study(study_file, tmp_path, monkeypatch):
    file, out = study_file(), tmp_path / "out"
    out.mkdir()
    with (out / "study.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="Another process is at work on the study in"):
            run(file, out)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="A study runs in one process"):
        run(file, out)
    monkeypatch.delenv("WORLD_SIZE")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file cannot be written to .*choose another --out"):
        run(file, tmp_path / "file")


def test_the_command_says_where_everything_is(study_file, tmp_path, tiny_bundle):
    file, out = study_file(rows=[{"name": "a", "model": str(tiny_bundle)}]), tmp_path / "out"
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [str(file), "seeds=[5]", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert f"tables:  {out / 'study.txt'}, study.tex, table-1.csv\n" in result.stdout
    assert result.stdout.endswith(f"look at: {out / 'index.html'}\n")
    assert "a, seed 5: evaluation, in" in result.stderr
    assert "a" in (out / "index.html").read_text()


def test_a_stack_lays_the_models_of_other_rows_over_one_another(study_file, tmp_path):
    rows = [
        {"name": "picture", "trainings": [{"recipe": "state_image.yaml", "fields": ["bundle=thin"]}]},
        {"name": "video", "trainings": [{"recipe": "state_video.yaml", "fields": ["bundle=thin"]}]},
        {"name": "both", "stack": ["picture", "video"]},
    ]

    picture, video, both = planned(study_file(rows=rows), tmp_path / "out")[:3]
    assert both.request.model == f"{picture.request.model}+{video.request.model}"
    assert both.trainings == (*picture.trainings, *video.trainings)
    rows[0]["trainings"][0]["fields"] = ["bundle=thin", "training.steps=2"]
    other = planned(study_file(rows=rows), tmp_path / "out")[2]
    assert other.request.out != both.request.out
    assert other.trainings[1] == both.trainings[1]
