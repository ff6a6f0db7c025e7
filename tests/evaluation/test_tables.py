"""Tables of results: CSV read back, LaTeX counted and set apart from its special characters, text lined up."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace

import pytest

from showme.evaluation.results import Column, Figure, Result
from showme.evaluation.tables import as_csv, as_latex, as_text, coverage, decimals, flat, say

_SPECIAL = r"50% of $x_1$ & {a} #1 ~ ^ \ <b>|[c]"


def _figure(name: str, value: float, low: float | None = None, high: float | None = None, **others) -> Figure:
    fields = {"title": name.upper(), "count": 4, "coverage": 1.0, "better": "lower"} | others
    return Figure(name, value=value, low=low, high=high, **fields)


def _result(model: str = "ours") -> Result:
    figures = {
        "psnr": _figure("psnr", 23.456789, 22.0, 24.5, better="higher", unit="dB"),
        "fvd": _figure("fvd", 412.34567, 390.1, 433.9, note="Of 4 clips."),
        "hands": _figure("hands", math.nan, coverage=0.0),
    }
    still = {"psnr": _figure("psnr", 9.1, -0.5, 10.5, better="higher", unit="dB"), "fvd": _figure("fvd", 99.9)}
    quirk = {"fvd": _figure("fvd", 1000.5, 900.0, 1100.0)}
    return Result(
        {"name": "seer", "metrics": ["fvd", "psnr", "hands"], "frames": 8, "kvd_centred": False},
        ["a", "b"],
        Column(model, figures, {}),
        [Column("still", still, {})],
        [Column(model, quirk, {})],
        {},
    )


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\"))]


def test_csv_holds_every_number_with_all_digits_in_the_protocols_order():
    rows = list(csv.DictReader(io.StringIO(as_csv(_result()))))
    assert [row["name"] for row in rows] == ["ours", "still", "ours, without quirks"]
    assert {row["protocol"] for row in rows} == {"seer with frames=8, kvd_centred=false"}
    assert list(rows[0]) == ["name", "protocol"] + [
        name + end for name in ("fvd", "psnr", "hands") for end in ("", "_low", "_high", "_count", "_coverage")
    ]
    assert float(rows[0]["fvd"]) == 412.34567
    assert (float(rows[0]["psnr_low"]), float(rows[0]["psnr_high"])) == (22.0, 24.5)
    assert (rows[0]["hands"], rows[0]["hands_coverage"]) == ("", "0.0")
    assert rows[1]["fvd_low"] == rows[2]["psnr"] == ""


@pytest.mark.parametrize("name", ['comma, "quote"', "two\nlines", "=1+1", "نموذج", "half \ud83d"])
def test_csv_keeps_one_line_for_each_row_whatever_a_name_holds(name):
    text = as_csv(_result(name))
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == len(text.splitlines()) == 4
    assert {len(row) for row in rows} == {17}
    assert text.encode("utf-8")
    if name.isprintable():
        assert rows[1][0] == name


def test_latex_has_a_cell_for_every_column_and_arrows():
    lines = as_latex(_result()).splitlines()
    assert lines[:2] == ["% seer with frames=8, kvd_centred=false, 2 clips", r"\begin{tabular}{lrrr}"]
    assert lines[2:4] == [r"\toprule", r" & FVD $\downarrow$ & PSNR (dB) $\uparrow$ & HANDS $\downarrow$ \\"]
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    rows = [line for line in lines if line.endswith(r"\\")]
    assert {len(_cells(row)) for row in rows} == {4}
    assert _cells(rows[1]) == ["ours", "412.3", "23.46", "--"]
    assert lines.count(r"\midrule") == 2


def test_latex_gives_intervals_when_asked_with_true_minus_signs():
    rows = as_latex(_result(), intervals=True).splitlines()
    assert r"412.3 {\scriptsize [390.1, 433.9]}" in rows[5]
    assert r"9.10 {\scriptsize [$-$0.50, 10.50]}" in rows[7]


def test_latex_escapes_names():
    row = next(line for line in as_latex(_result(_SPECIAL)).splitlines() if line.startswith("50"))
    assert len(_cells(row)) == 4
    bare = re.sub(r"\\(?:textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar)\{\}", "", row)
    bare = re.sub(r"\\[&%$#_{}]|\{[\[\]]\}|\\\\$", "", bare.rsplit(" & ", 3)[0])
    assert not re.search(r"[\\$#_^~{}<>|%&\[\]]", bare)


def test_powers_of_ten_are_typeset():
    result = _result()
    result.model.figures["fvd"] = _figure("fvd", 1.25e-9)
    result.baselines.clear()
    result.without_quirks.clear()
    assert r"1.3$\cdot10^{-9}$" in as_latex(result)


def test_text_lines_up_with_notes_and_coverage():
    result = _result("模型")
    result.model.figures["psnr"] = replace(result.model.figures["psnr"], coverage=0.5)
    text = as_text(result)
    caption, *lines = text.splitlines()
    assert caption == "seer with frames=8, kvd_centred=false, 2 clips"
    assert lines[1].split() == ["FVD", "↓", "412.3", "99.9", "1000.5"]
    assert "[390.1, 433.9]" in lines[2]
    # Two wide letters take four places: the ends of the columns agree.
    assert lines[0].index("模型") + 4 == lines[1].index("412.3") + 5
    assert text.count("% of clips") == text.count("50% of clips") == 1
    assert "FVD: Of 4 clips." in lines


def test_text_has_no_control_characters():
    assert "\x1b" not in as_text(_result("\x1b[31mred"))


@pytest.mark.parametrize(
    ("values", "digits"),
    [
        ([1234.5], 1),
        ([412.3, 0.001], 1),
        ([23.4], 2),
        ([0.91], 4),
        ([0.00123], 6),
        ([0.0], 2),
        ([math.nan], 2),
        ([], 2),
    ],
)
def test_the_largest_value_has_four_digits(values, digits):
    assert decimals(values) == digits


def test_numbers_are_said_so_that_none_looks_like_another():
    assert say(None, 2) == say(math.nan, 2) == say(math.inf, 2) == "–"
    assert say(-0.0, 2) == "0.00"
    assert say(0.001, 2) == "1.0e-03"
    assert say(-12.345, 1) == "-12.3"


def test_coverage_just_below_one_is_reported():
    assert coverage(_figure("a", 1.0)) == ""
    assert coverage(_figure("a", 1.0, coverage=0.99999)) == "99.9% of clips"
    assert coverage(_figure("a", 1.0, coverage=0.5)) == "50% of clips"
    assert coverage(_figure("a", math.nan, coverage=0.0)) == ""


def test_leaves_have_dotted_names():
    tree = {"a": {"b": 1, "c": {}}, "d": "text", "e": [1, "x"], "f": None}
    assert flat(tree) == {"a.b": "1", "a.c": "{}", "d": "text", "e": '[1, "x"]', "f": "null"}
