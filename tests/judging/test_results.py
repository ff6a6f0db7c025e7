"""What a study's owner reads: every question and every two candidates, in figures and in a sentence."""

from __future__ import annotations

import json

import pytest

from showme.judging import Question, Study
from showme.judging.results import sentence, study_result
from showme.judging.statistics import preference
from showme.judging.store import Answer
from showme.judging.study import Candidate, Item


def answer(clip: int, winner: str | None, first: str = "a", second: str = "b", judge: str = "j", key: str = "quality"):
    return Answer(judge, Item(str(clip), first, second), key, winner, first, None, "")


@pytest.fixture
def study(tmp_path) -> Study:
    return Study(
        title="Two of three",
        candidates=tuple(Candidate(name=name, place=tmp_path / name) for name in "abc"),
        questions=(Question(key="quality", text="Which?"), Question(key="motion", text="Which moves?")),
        clips=tuple(str(n) for n in range(20)),
        token="0123456789abcdef",
    )


def test_every_question_has_its_own_figures(study):
    answers = [answer(n, "a" if n < 15 else "b") for n in range(20)]
    answers += [answer(n, "b" if n < 15 else "a", judge="k") for n in range(2)]
    answers += [answer(n, None, key="motion") for n in range(20)]
    found = study_result(study, answers)
    assert (found.pairs, found.judged, found.judgements, found.judges) == (60, 20, 22, 2)
    quality, motion = found.questions
    assert [(each.first, each.second, each.answers) for each in quality.preferences] == [("a", "b", 22)]
    assert (quality.preferences[0].wins, quality.preferences[0].losses) == (15, 7)
    # c was compared with nobody.
    assert quality.strengths is None
    assert quality.agreement is not None
    assert motion.preferences[0].ties == 20
    assert motion.agreement is None


def test_a_study_that_nobody_answered_has_nothing_to_say(study):
    found = study_result(study, [])
    assert (found.judged, found.judges) == (0, 0)
    assert [each.preferences for each in found.questions] == [[], []]


def test_the_figures_are_json_with_their_sentences(study):
    written = json.loads(json.dumps(study_result(study, [answer(n, "a") for n in range(20)]).as_json()))
    row = written["questions"][0]["preferences"][0]
    assert row["share"] == 1.0
    assert row["answers"] == 20
    assert row["sentence"].startswith("a is preferred to b in 100.0% of 20 answers (95% interval ")
    assert written["questions"][1] == {
        "question": {"key": "motion", "text": "Which moves?"}, "preferences": [], "strengths": None, "agreement": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("winners", "words"),
    [
        ("aaaaaaaaaabb", "a is preferred to b in 83.3% of 12 answers"),
        ("bbbbbbbbbbaa", "b is preferred to a in 83.3% of 12 answers"),
        ("aaabb", "It is not decided between a and b: a has 60.0% of 5 answers"),
        ("ab", "no number of answers decides a share of a half."),
        ("a", "a has 100.0% of 1 answer (95% interval 20.7% to 100.0%); if the share stays, some "),
    ],
)
def test_sentences_name_the_preferred_first(winners, words):
    found = preference([answer(n, winner) for n, winner in enumerate(winners)], "a", "b")
    assert words in sentence(found)
