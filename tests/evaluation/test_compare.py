"""The paper's table: what may not be compared is refused, and noise is judged as an independent computation does."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from showme.errors import InputError
from showme.evaluation.compare import compare, comparison_csv, comparison_html, comparison_latex, comparison_text
from showme.evaluation.results import Column, Figure, Result

from ..pages import Page

_RESAMPLES = 500


def _column(name: str, psnr, fvd: tuple[float, float | None, float | None] | None = None, fingerprint=None) -> Column:
    psnr = np.asarray(psnr, dtype=float)
    known = np.isfinite(psnr)
    mean = float(psnr[known].mean()) if known.any() else math.nan
    figures = {
        "psnr": Figure("psnr", "PSNR", mean, mean - 1, mean + 1, int(known.sum()), float(known.mean()), "higher", "dB")
    }
    if fvd is not None:
        figures["fvd"] = Figure("fvd", "FVD", *fvd, len(psnr), 1.0, "lower", fingerprint=fingerprint or {"i3d": "ab12"})
    values = [float(value) if good else None for value, good in zip(psnr, known, strict=True)]
    return Column(name, figures, {"psnr": values})


def _result(psnr, fvd=None, fingerprint=None, baselines=(), ids=None, record=None, **fields) -> Result:
    protocol = {"name": "seer", "published": "a paper", "metrics": ["psnr", "fvd"], "frames": 16}
    protocol |= {"bootstrap": _RESAMPLES, "seed": 3, **fields}
    ids = ids or [f"clip {number}" for number in range(len(psnr))]
    return Result(protocol, ids, _column("model", psnr, fvd, fingerprint), list(baselines), [], record or {})


def _values(seed: int = 0, count: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).normal(20, 3, count)


def test_best_and_second_follow_each_metrics_direction():
    results = {"a": _result([20, 21], (300, 290, 310)), "b": _result([25, 26], (200, 190, 210))}
    results["c"] = _result([22, 23], (100, 90, 110))
    ranks = {row.name: {name: cell.rank for name, cell in row.cells.items()} for row in compare(results).rows}
    assert ranks == {
        "a": {"psnr": None, "fvd": None},
        "b": {"psnr": "best", "fvd": "second"},
        "c": {"psnr": "second", "fvd": "best"},
    }


def test_results_with_other_metrics_share_the_columns_that_both_have():
    still = _column("still", [10, 11], (400, 390, 410)), _column("still", [10, 11])
    both = _result([20, 21], (300, 290, 310), baselines=[still[0]])
    alone = _result([25, 26], baselines=[still[1]], metrics=["psnr"])
    rows = {row.name: row.cells for row in compare({"both": both, "alone": alone}).rows}
    assert list(rows) == ["both", "alone", "still"]
    assert rows["alone"]["psnr"].rank == "best"
    assert rows["alone"]["fvd"].figure is None
    assert rows["still"]["fvd"].figure.value == 400


def test_equal_values_share_a_rank():
    rows = compare({name: _result(psnr) for name, psnr in (("a", [5, 5]), ("b", [5, 5]), ("c", [3, 4]))}).rows
    assert [row.cells["psnr"].rank for row in rows] == ["best", "best", "second"]
    assert rows[1].cells["psnr"].noise is None


def test_the_paired_interval_is_the_bootstraps():
    best, other = _values(), _values() - np.random.default_rng(1).normal(0.2, 1, 40)
    difference = compare({"best": _result(best), "other": _result(other)}).rows[1].cells["psnr"].difference
    differences = other - best
    rows = np.random.default_rng(3).integers(40, size=(_RESAMPLES, 40))
    low, high = np.percentile([differences[row].mean() for row in rows], [2.5, 97.5])
    assert difference.mean == pytest.approx(differences.mean(), rel=1e-12)
    assert (difference.low, difference.high) == pytest.approx((low, high), rel=1e-9)
    library = stats.bootstrap(
        (other, best), lambda a, b, axis: (a - b).mean(axis), paired=True, method="percentile", n_resamples=9999, rng=0
    ).confidence_interval
    assert (difference.low, difference.high) == pytest.approx((library.low, library.high), abs=0.05)


@pytest.mark.parametrize(("shift", "noise"), [(0.0, "inside"), (-0.5, "outside")])
def test_pairs_decide_what_intervals_cannot(shift, noise):
    # Clips differ by 3 dB among themselves and by 0.2 dB between the models: the intervals of the means overlap widely.
    best = _values()
    other = best + shift + np.random.default_rng(2).normal(0, 0.2, 40)
    other += shift - 1e-3 - (other - best).mean()
    rows = compare({"best": _result(best), "other": _result(other)}).rows
    assert rows[1].cells["psnr"].noise == noise
    one, two = (row.cells["psnr"].figure for row in rows)
    assert one.low < two.high


@pytest.mark.parametrize(
    ("fvd", "noise"),
    [((220, 205, 235), "inside"), ((220, 211, 235), "outside"), ((220, None, None), "unknown")],
)
def test_distances_of_sets_are_told_apart_by_their_intervals(fvd, noise):
    rows = compare({"best": _result(_values(), (200, 190, 210)), "other": _result(_values(), fvd)}).rows
    assert rows[1].cells["fvd"].noise == noise
    assert rows[1].cells["fvd"].difference is None


def test_only_clips_that_both_have_are_paired_and_coverage_is_reported():
    best, other = _values(), _values() - 1
    best[:10], other[5:20] = math.nan, math.nan
    comparison = compare({"best": _result(best), "other": _result(other)})
    cells = [row.cells["psnr"] for row in comparison.rows]
    difference = next(cell.difference for cell in cells if cell.difference is not None)
    assert difference.count == 20
    assert abs(difference.mean) == pytest.approx(1)
    assert "PSNR is the mean of 75% of clips (best), 62.5% of clips (other)." in comparison.notes
    best[20:] = math.nan
    rows = compare({"best": _result(best), "other": _result(other)}).rows
    assert {row.cells["psnr"].noise for row in rows} == {None, "unknown"}


def test_clips_are_paired_by_id_whatever_their_order():
    best, other = _values(), _values(1)
    order = np.random.default_rng(4).permutation(40)
    shuffled = _result(other[order], ids=[f"clip {number}" for number in order])
    cell = compare({"a": _result(best), "b": _result(other)}).rows[1].cells["psnr"]
    again = compare({"a": _result(best), "b": shuffled}).rows[1].cells["psnr"]
    assert (cell.noise, cell.difference) == (again.noise, again.difference)


def test_other_protocols_are_refused_by_the_first_field_that_differs():
    with pytest.raises(InputError) as error:
        compare({"A.json": _result([1, 2]), "B.json": _result([1, 2], name="aid", frames=12)})
    sentence = str(error.value)
    assert "A.json and B.json follow different protocols, frames is 16 in the one and 12 in the other" in sentence
    with pytest.raises(InputError, match='name is "seer" in the one and "aid" in the other'):
        compare({"A.json": _result([1, 2]), "B.json": _result([1, 2], name="aid")})
    with pytest.raises(InputError, match="fit is not given in the one and"):
        compare({"A.json": _result([1, 2]), "B.json": _result([1, 2], fit="crop")})


def test_other_clips_are_refused_with_their_number_and_one_of_them():
    a, b = _result([1, 2, 3], ids=["x", "y", "z"]), _result([1, 2], ids=["x", "w"])
    with pytest.raises(InputError, match=r"2 of the 3 in A are not in B, such as y:"):
        compare({"A": a, "B": b})
    with pytest.raises(InputError, match=r"1 of the 3 in B are not in A, such as z:"):
        compare({"A": _result([1, 2], ids=["x", "y"]), "B": a})


def test_figures_of_other_networks_are_refused_by_metric_and_what_differs():
    a = _result([1, 2], (10, 9, 11), {"network": {"weights": "ab12"}, "size": 224})
    b = _result([1, 2], (10, 9, 11), {"network": {"weights": "cd34"}, "size": 224})
    with pytest.raises(InputError, match=r"fvd is made of .*, network\.weights is ab12 in A and cd34 in B:"):
        compare({"A": a, "B": b})
    # Also where the first result has no such figure.
    with pytest.raises(InputError, match="ab12 in A and cd34 in B"):
        compare({"first": _result([1, 2]), "A": a, "B": b})


def test_one_result_is_refused():
    with pytest.raises(InputError, match="at least two"):
        compare({"A": _result([1, 2])})


def test_any_text_makes_one_sentence():
    with pytest.raises(InputError) as error:
        compare({"A\n\x1b": _result([1, 2], fit="a\nb" * 1000), "B": _result([1, 2])})
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 1000


def test_a_baseline_stands_once_where_results_agree_and_twice_where_not():
    still, codec = _column("still", [9, 9]), _column("codec", [30, 30])
    nearest = replace(codec, figures={"psnr": replace(codec.figures["psnr"], value=31.0)})
    results = {"A": _result([1, 2], baselines=[still, codec]), "B": _result([2, 3], baselines=[still, nearest])}
    rows = compare(results).rows
    assert [row.name for row in rows] == ["A", "B", "still", "codec (A)", "codec (B)"]
    assert [row.baseline for row in rows] == [False, False, True, True, True]
    # The truth through the codec beats every model, and is none.
    assert {row.cells["psnr"].rank for row in rows if row.baseline} == {None}
    assert rows[1].cells["psnr"].rank == "best"
    assert rows[2].cells["psnr"].noise == "outside"


def test_how_clips_came_is_noted_once_and_what_decides_models_is_not():
    videos = {"generated": {"files": {"Video": 2}, "sizes": {"128x128": 2}}, "torch": "2"}
    model = {"generated": {"model": {"weights": "ab12"}, "kept as": "arrays"}, "torch": "2"}
    results = {"A": _result([1, 2], record=videos), "B": _result([1, 2], record=model)}
    assert compare(results).notes == ["Clips came as 2 Video of 128x128 (A); arrays (B)."]
    other = {"generated": {"model": {"weights": "cd34"}, "kept as": "arrays"}, "torch": "2"}
    assert compare({"A": _result([1, 2], record=model), "B": _result([1, 2], record=other)}).notes == []


def test_what_differs_beside_is_noted():
    results = {"A": _result([1, 2], record={"dtype": "float32", "n": {"x": 1}}), "B": _result([1, 2], record={"n": {}})}
    notes = compare(results).notes
    assert "dtype: float32 in A, not given in B." in notes
    quirky = replace(results["B"], without_quirks=[results["B"].model])
    assert any("quirks" in note for note in compare({"A": results["A"], "B": quirky}).notes)


def test_a_metric_that_no_model_has_and_one_that_some_have():
    only = _result([1, 2], (10.0, 9, 11))
    rows = compare({"A": _result([math.nan, math.nan]), "B": _result([math.nan, math.nan]), "C": only}).rows
    assert [row.cells["fvd"].figure is None for row in rows] == [True, True, False]
    assert rows[2].cells["fvd"].rank == "best"
    rows = compare({"A": _result([math.nan, math.nan]), "B": _result([math.nan, math.nan])}).rows
    assert {row.cells["psnr"].rank for row in rows} == {None}


def _three():
    still = _column("still & <b>", _values(9) - 10, (900, 880, 920))
    best = _values()
    near = best + np.random.default_rng(5).normal(-0.05, 1, 40)
    results = {"ours_1": _result(best, (200, 190, 210), baselines=[still]), "near": _result(near, (205, 195, 215))}
    results["far"] = _result(best - 3, (400, None, None))
    return compare(results)


def test_csv_is_read_back():
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(comparison_csv(_three())))}
    assert [row["kind"] for row in rows.values()] == ["model"] * 3 + ["baseline"]
    assert (rows["ours_1"]["fvd"], rows["ours_1"]["fvd_rank"], rows["ours_1"]["fvd_noise"]) == ("200", "best", "")
    assert (rows["near"]["fvd_rank"], rows["near"]["fvd_noise"]) == ("second", "inside")
    assert (rows["far"]["fvd_noise"], rows["far"]["fvd_low"], rows["far"]["psnr_noise"]) == ("unknown", "", "outside")
    assert float(rows["ours_1"]["psnr"]) == _values().mean()


def test_latex_is_bold_underlined_and_says_the_rule():
    text = comparison_latex(_three())
    lines = text.splitlines()
    rows = [line for line in lines if line.endswith(r"\\")]
    assert lines[:2] == ["% seer with frames=16, bootstrap=500, seed=3, 40 clips", r"\begin{tabular}{lrr}"]
    assert {row.count(" & ") for row in rows} == {2}
    assert rows[1].startswith(r"ours\_1 & \textbf{")
    assert r"\underline{205.0}\rlap{$^{\approx}$}" in rows[2]
    assert rows[3].endswith(r"400.0\rlap{$^{?}$} \\")
    assert rows[4].startswith(r"still \& \textless{}b\textgreater{} & ")
    assert lines.count(r"\midrule") == 2
    assert r"95\% interval" in text.split(r"\end{tabular}")[1]
    assert "≈" not in text


def test_text_has_a_line_for_each_row_and_the_rule():
    caption, *lines = comparison_text(_three()).splitlines()
    assert caption.startswith("seer with frames=16")
    assert lines[0].split() == ["PSNR", "(dB)", "↑", "FVD", "↓"]
    assert lines[1].split()[0] == "ours_1"
    assert lines[1].split()[-2:] == ["*", "200.0"]
    assert lines[2].split()[-2:] == ["+≈", "205.0"]
    assert lines[3].split()[-2:] == ["?", "400.0"]
    assert "bootstrap" in lines[5]


def test_the_page_marks_the_same_and_runs_nothing():
    page = Page(comparison_html(_three()))
    texts = page.texts
    assert ("b", "200.0") in texts
    assert ("u", "205.0") in texts
    assert ("bdi", "still & <b>") in texts
    assert ("span", "≈") in texts
    assert any("holds zero" in text for _, text in texts)
    assert not page.all("script")
    assert not any(
        name.startswith("on") or name in ("src", "href") for _, attributes in page.elements for name in attributes
    )


def test_a_comparison_is_the_same_every_time():
    assert comparison_csv(_three()) == comparison_csv(_three())
