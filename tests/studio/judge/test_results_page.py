"""What the owner's page shows of a study's figures."""

from __future__ import annotations

import re
from pathlib import Path

from showme.judging import Question, Study
from showme.judging.results import study_result
from showme.judging.store import Answer
from showme.judging.study import Candidate, Item
from showme.studio.judge.results_page import results_page

NAMES = ("a<b>", "../b", "c")


def study() -> Study:
    return Study(
        title="<i>Which?</i>",
        candidates=tuple(Candidate(name=name, place=Path(name)) for name in NAMES),
        questions=(Question(key="quality", text="Which is <better>?"), Question(key="rest", text="And the rest?")),
        clips=tuple(str(n) for n in range(12)),
        token="0123456789abcdef",
    )


def answers() -> list[Answer]:
    """Of two judges: the first of a pair wins in three of four clips, and both agree but for clip 0."""
    return [
        Answer(judge, Item(str(n), first, second), "quality", second if n % 4 == 0 and (n or judge == "j") else first,
               first, 2.0, "")
        for first, second in study().pairs for n in range(12) for judge in ("j", "k")
    ]  # fmt: skip


def test_every_pair_has_its_figures_and_a_bar():
    found = study_result(study(), answers())
    page = results_page(found, {"all <answers>": "results.csv?token=a&b"})
    assert page.count("<svg") == 3
    for each in found.questions[0].preferences:
        assert f"{each.low:.1%} to {each.high:.1%}" in page
        assert f'<td class="number">{each.wins}</td><td class="number">{each.losses}</td>' in page
    assert f"Agreement between judges: {found.questions[0].agreement:.2f}." in page
    assert re.search(
        r"Strengths: <bdi>a&lt;b&gt;</bdi> \+0\.\d\d, <bdi>../b</bdi> [+-]0\.\d\d, <bdi>c</bdi> -0\.\d\d", page
    )
    assert "No answers yet." in page
    assert "2 judges have judged 72 times; 36 of 36 pairs" in page


def test_no_name_is_markup():
    page = results_page(study_result(study(), answers()), {"all <answers>": "results.csv?token=a&b"})
    assert not re.search(r"<i>Which|a<b>|<better>|all <answers>", page)
    assert "results.csv?token=a&amp;b" in page


def test_bars_stay_on_their_line():
    found = study_result(study(), [each for each in answers() if each.winner == each.item.first])
    page = results_page(found, {})
    assert "100.0%" in page
    places = [float(value) for value in re.findall(r'c?x[12]?="([\d.]+)"', page)]
    assert all(0 <= value <= 220 for value in places)
    assert "some candidate has won or lost everything" in page


def test_a_study_that_nobody_has_answered_says_so():
    page = results_page(study_result(study(), []), {})
    assert "Nobody has judged yet. There are 36 pairs." in page
    assert page.count("No answers yet.") == 2
