"""Tables of a study: numbers as numpy and scipy give them, and never two protocols or references in one column."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from showme.errors import InputError
from showme.evaluation.protocol import load_protocol
from showme.evaluation.request import Request
from showme.evaluation.results import Column, Figure, Result
from showme.evaluation.study import RowConfig, StudyConfig
from showme.evaluation.study.computation import Computation
from showme.evaluation.study.page import render_study
from showme.evaluation.study.paired import paired_interval, seeds_interval
from showme.evaluation.study.plan import Cell
from showme.evaluation.study.table import tables_of
from showme.evaluation.study.writers import computation_csv, study_latex, study_text, table_csv

from ...pages import Page

SEEDS = (0, 1000, 2000)


def column(name: str, psnr: np.ndarray, fvd: float | None = None) -> Column:
    known = np.isfinite(psnr)
    mean = float(psnr[known].mean()) if known.any() else math.nan
    share = float(known.mean())
    figures = {"psnr": Figure("psnr", "PSNR", mean, mean - 1, mean + 1, len(psnr), share, "higher", "dB")}
    if fvd is not None:
        figures["fvd"] = Figure("fvd", "FVD", fvd, fvd - 1, fvd + 1, len(psnr), 1.0, "lower")
    return Column(name, figures, {"psnr": [float(x) if good else None for x, good in zip(psnr, known, strict=True)]})


def cells(name: str, values: np.ndarray, fvd=None, baseline=None, reference: str = "clips", seeds=SEEDS, **fields):
    """Results of a row: values (seeds, clips), one FVD per seed."""
    instructions = fields.pop("instructions", "own")
    row = RowConfig(name=name, model="m", instructions=instructions)
    pairs = []
    for number, seed in enumerate(seeds):
        protocol = load_protocol("embedded", ["metrics=[psnr,fvd]"]).model_copy(update={"seed": seed, **fields})
        model = column(name, values[number], None if fvd is None else fvd[number])
        baselines = [] if baseline is None else [column("first frame repeated", baseline)]
        ids = [f"clip {n}" for n in range(values.shape[1])]
        result = Result(protocol.model_dump(mode="json"), ids, model, baselines, [], {})
        request = Request(reference=reference, protocol=protocol, out=Path("out"), model="m")
        pairs.append((Cell(row, seed, (), request, f"digest of {reference}"), result))
    return pairs


def values(seed: int, clips: int = 20) -> np.ndarray:
    """Clips differ much, seeds a little."""
    rng = np.random.default_rng(seed)
    return rng.normal(20, 3, (1, clips)) + rng.normal(0, 0.2, (len(SEEDS), 1)) + rng.normal(0, 0.5, (len(SEEDS), clips))


def test_means_spreads_and_differences_are_numpys():
    a, b = values(0), values(0) + np.random.default_rng(1).normal(0.8, 0.3, (3, 20))
    (table,) = tables_of(cells("a", a, (300, 310, 305)) + cells("b", b, (200, 220, 195)))
    first, second = table.rows
    assert first.cells["psnr"].values == pytest.approx(a.mean(axis=1))
    assert first.cells["psnr"].mean == pytest.approx(a.mean())
    assert first.cells["psnr"].spread == pytest.approx(np.std(a.mean(axis=1), ddof=1))
    assert (first.cells["psnr"].difference, first.cells["psnr"].noise) == (None, None)
    cell = second.cells["psnr"]
    assert cell.difference.mean == pytest.approx((b - a).mean())
    assert (cell.noise, cell.difference.count) == ("outside", 60)
    # FVD has no value of single clips: Student's interval over seeds, as scipy's paired test has it.
    oracle = stats.ttest_rel((200, 220, 195), (300, 310, 305)).confidence_interval()
    difference = second.cells["fvd"].difference
    assert (difference.low, difference.high) == pytest.approx((oracle.low, oracle.high))
    assert difference.mean == pytest.approx(-100)


def test_the_interval_is_that_of_naive_resampling():
    differences = values(3) - 20
    interval = paired_interval(differences, 4000, seed=0)
    rng, means = np.random.default_rng(99), []
    for _ in range(4000):
        seeds, clips = rng.choice(3, 3), rng.choice(20, 20)
        means.append(np.mean([[differences[s, c] for c in clips] for s in seeds]))
    low, high = np.quantile(means, [0.025, 0.975])
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.06 * (high - low))
    assert interval.mean == pytest.approx(differences.mean())


def test_one_seed_is_the_bootstrap_over_clips():
    differences = values(4)[:1] - 20
    interval = paired_interval(differences, 4000, seed=0)
    oracle = stats.bootstrap(
        (differences[0],), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    assert (interval.low, interval.high) == pytest.approx(
        (oracle.low, oracle.high), abs=0.06 * (oracle.high - oracle.low)
    )


def test_a_difference_of_seeds_alone_counts_each_seed_once():
    # All clips of a seed differ alike: 60 pairs say no more than three.
    differences = np.repeat([[1.0], [-1.0], [0.6]], 20, axis=1)
    interval = paired_interval(differences, 4000, seed=0)
    assert interval.low == pytest.approx(-1.0)
    assert interval.high == pytest.approx(1.0)


def test_clips_without_a_value_are_left_out_of_their_pair():
    a, b = values(0), values(1)
    a[0, 3] = b[2, 5] = np.nan
    interval = paired_interval(b - a, 200, seed=0)
    assert interval.mean == pytest.approx(np.nanmean(b - a))
    assert interval.count == 58
    assert paired_interval(np.full((3, 4), np.nan), 200, seed=0) is None
    assert seeds_interval(np.array([1.0])) is None
    (table,) = tables_of(cells("a", a) + cells("b", b))
    assert table.notes == ["PSNR is the mean of those that have a value, at least 95% of clips (a), 95% of clips (b)."]


def test_noise_is_marked_and_one_seed_does_not_decide_fvd():
    a = values(0)
    noisy = a + np.random.default_rng(2).normal(0, 0.5, a.shape)
    (table,) = tables_of(cells("a", a, (3, 4, 5)) + cells("b", noisy, (3, 4.5, 4)))
    assert table.rows[1].cells["psnr"].noise == table.rows[1].cells["fvd"].noise == "inside"
    assert "≈" in study_text([table], [])
    (table,) = tables_of(cells("a", a, (3,), seeds=(7,)) + cells("b", noisy, (4,), seeds=(7,)))
    cell = table.rows[1].cells["fvd"]
    assert (cell.noise, cell.difference, cell.spread) == ("unknown", None, None)
    assert "One seed: its spread is not known." in table.rule


def test_baselines_stand_once_where_they_agree():
    still = np.linspace(10, 12, 20)
    (table,) = tables_of(cells("a", values(0), baseline=still) + cells("b", values(1), baseline=still))
    assert [row.name for row in table.rows] == ["a", "b", "first frame repeated"]
    last = table.rows[-1].cells["psnr"]
    assert (last.mean, last.spread) == (pytest.approx(11), None)
    assert last.difference.mean == pytest.approx((still - values(0)).mean())
    (table,) = tables_of(cells("a", values(0), baseline=still) + cells("b", values(1), baseline=still + 1))
    assert [row.name for row in table.rows[2:]] == ["first frame repeated (a)", "first frame repeated (b)"]


def test_other_protocols_and_references_get_tables_that_say_why():
    every = cells("a", values(0)) + cells("b", values(1), reference="novel") + cells("c", values(2))
    every += cells("d", values(3), motion_intensive=0.1, samples=20)
    tables = tables_of(every)
    assert [[row.name for row in table.rows] for table in tables] == [["a", "c"], ["b"], ["d"]]
    assert tables[0].apart == []
    assert tables[1].apart == ["reference is novel instead of clips"]
    assert tables[2].apart == ["samples is 20 instead of null", "motion_intensive is 0.1 instead of null"]
    assert all(table.rows[0].cells["psnr"].difference is None for table in tables)
    assert "Table 2: 20 clips of novel" in study_text(tables, [])
    for table in tables:
        assert {row["name"] for row in csv.DictReader(io.StringIO(table_csv(table)))} == {r.name for r in table.rows}


def test_wrongly_asked_rows_stand_beside_the_others_and_are_named():
    (table,) = tables_of(cells("a", values(0)) + cells("b", values(1), instructions="wrong"))
    assert [row.wrong for row in table.rows] == [False, True]
    assert "b (asked wrongly)" in study_text([table], [])
    assert "fall where the model listens" in table.notes[0]


def test_baselines_of_rows_asked_wrongly_stand_only_where_there_are_no_others():
    still = np.linspace(10, 12, 20)
    own = cells("a", values(0), baseline=still)
    wrong = cells("b", values(1), baseline=still + 1, instructions="wrong")
    (table,) = tables_of(own + wrong)
    assert [row.name for row in table.rows] == ["a", "b", "first frame repeated"]
    assert table.rows[2].cells["psnr"].mean == pytest.approx(11)
    (table,) = tables_of(wrong)
    assert table.rows[1].cells["psnr"].mean == pytest.approx(12)


def test_a_row_without_any_value_has_no_number_and_no_mark():
    (table,) = tables_of(cells("a", values(0)) + cells("b", np.full((3, 20), np.nan)))
    assert table.rows[1].cells["psnr"].noise is None
    assert table.notes == []
    assert [line.split()[-1] for line in study_text([table], []).splitlines() if line.startswith("b")] == ["–"]


def test_figures_of_other_networks_are_refused():
    a, b = cells("a", values(0), (3, 4, 5)), cells("b", values(1), (3, 4, 5))
    b[0][1].model.figures["fvd"].fingerprint["i3d"] = "other"
    with pytest.raises(InputError, match="fvd is made of different things"):
        tables_of(a + b)


def test_every_form_gives_the_same_numbers_and_escapes_names():
    name = r"<script>&_\\'"
    a, b = values(0), values(0) + 1 + values(5) / 100
    tables = tables_of(cells(name, a, (300, 310, 305)) + cells("b", b, (200, 220, 195)))
    line = Computation(
        "training 1 of b", "<r>.yaml", 3, 64, 1_500_000, 2_000_000, 1.25, 3.5, 2048, "the GPU", 96, ["x"]
    )
    rows = list(csv.DictReader(io.StringIO(table_csv(tables[0]))))
    assert float(rows[1]["psnr"]) == pytest.approx(b.mean())
    assert float(rows[1]["psnr_seed_1000"]) == pytest.approx(b[1].mean())
    assert float(rows[1]["psnr_difference"]) == pytest.approx((b - a).mean())
    assert rows[1]["psnr_noise"] == "outside"
    assert rows[0]["psnr_difference"] == rows[0]["psnr_noise"] == ""
    said = f"{b.mean():.2f} ± {np.std(b.mean(axis=1), ddof=1):.2f}"
    assert said in study_text(tables, [line])
    assert said.replace("±", r"$\pm$") in study_latex(tables, [line])
    assert r"\textless{}script\textgreater{}\&\_" in study_latex(tables, [line])
    study = StudyConfig(seeds=SEEDS, reference="r", rows=[RowConfig(name=name, model="<b>")], title="<i>")
    page = Page(render_study(study, tables, [line]))
    text = "".join(text for _, text in page.texts)
    assert said in text
    assert name in text
    assert {"script", "i", "b", "r"}.isdisjoint(tag for tag, _ in page.elements)
    assert "96" in text
    (record,) = csv.DictReader(io.StringIO(computation_csv([line])))
    assert (record["trainable"], record["minutes"], record["largest_batch"]) == ("1500000", "1.25", "96")
