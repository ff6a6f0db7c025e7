"""Shares, intervals, strengths and agreement, on answers whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from showme.judging.statistics import agreement, bradley_terry, interval_over_clips, preference
from showme.judging.store import Answer
from showme.judging.study import Item


def answer(clip: int, winner: str | None, first: str = "a", second: str = "b", judge: str = "j") -> Answer:
    return Answer(judge, Item(clip=str(clip), first=first, second=second), "quality", winner, first, None, "")


def test_ties_count_half_and_the_sign_test_leaves_them_out():
    answers = [*(answer(n, "a") for n in range(14)), *(answer(20 + n, "b") for n in range(4)),
               *(answer(40 + n, None) for n in range(2))]  # fmt: skip
    found = preference(answers, "a", "b")
    assert (found.wins, found.losses, found.ties, found.answers) == (14, 4, 2, 20)
    assert found.share == 0.75
    # 14 of 18: 2 sum of C(18, k) / 2^18 from 14 on.
    assert found.p_value == pytest.approx(0.030884, abs=1e-5)
    assert found.low > 0.5
    assert found.more == 0
    other = preference(answers, "b", "a")
    assert other.share == 0.25
    assert other.high == pytest.approx(1 - found.low)
    assert preference(answers, "a", "c") is None


def test_what_is_not_decided_says_how_much_more_is_needed():
    answers = [*(answer(n, "a") for n in range(11)), *(answer(20 + n, "b") for n in range(9))]
    found = preference(answers, "a", "b")
    assert found.low < 0.5 < found.high
    # Half the width is about 0.22, the distance from a half 0.05: some 18 times as many answers.
    assert 250 < found.more < 500
    even = preference([answer(0, "a"), answer(1, "b")], "a", "b")
    assert even.more is None


def test_answers_about_one_clip_are_not_independent():
    # Ten judges who say the same of each of eight clips know no more than one.
    alone = [[float(n % 4 == 0)] for n in range(8)]
    tenfold = [each * 10 for each in alone]
    assert interval_over_clips(tenfold) == pytest.approx(interval_over_clips(alone))
    low, high = interval_over_clips([[1.0] * 10])
    assert (low, high) == pytest.approx((0.2065, 1.0), abs=1e-3)


def test_bradley_terry_finds_the_strengths_that_made_the_answers():
    rng = np.random.default_rng(0)
    true = {"a": 0.5, "b": 0.0, "c": -0.5}
    answers = []
    for n in range(6000):
        first, second = [("a", "b"), ("a", "c"), ("b", "c")][n % 3]
        odds = 10 ** (true[first] - true[second])
        answers.append(answer(n, first if rng.random() < odds / (1 + odds) else second, first, second))
    found = bradley_terry(answers, ["a", "b", "c"])
    assert found == pytest.approx(true, abs=0.05)
    assert sum(found.values()) == pytest.approx(0, abs=1e-6)
    # Whoever never loses has no bound.
    assert bradley_terry([answer(0, "a")], ["a", "b"]) is None


def test_agreement_is_krippendorffs_alpha():
    def of(rows: list[str]) -> list[Answer]:
        return [
            answer(clip, {"-": None}.get(winner, winner), judge=f"judge {judge}")
            for clip, row in enumerate(rows)
            for judge, winner in enumerate(row)
            if winner != " "
        ]

    assert agreement(of(["aa", "bb", "--"])) == 1
    # By hand: coincidences a-a 4, a-b 1, b-a 1, b-b 2: alpha = 1 - 7 * 2 / (5 * 3 * 2).
    assert agreement(of(["aa", "aa", "ab", "bb"])) == pytest.approx(1 - 7 * 2 / 30)
    assert agreement(of(["aa", "aa"])) is None
    assert agreement(of(["a ", "b "])) is None


def test_independent_answers_have_wilsons_interval():
    from scipy.stats import binomtest

    # Two clips in three are judged once, the others twice, without regard to each other.
    rng = np.random.default_rng(0)
    values = [[float(rng.random() < 0.7) for _ in range(1 + (n % 3 == 0))] for n in range(3000)]
    wins, count = int(sum(map(sum, values))), sum(map(len, values))
    wilson = binomtest(wins, count).proportion_ci(method="wilson")
    assert interval_over_clips(values) == pytest.approx(wilson, abs=1e-3)


@pytest.mark.parametrize("higher", [0, 1, 20, 32, 63])
def test_intervals_cover_the_truth_as_often_as_they_say(higher):
    """A judge who prefers the higher PSNR in 80% of 64 scenes: every share that may come, weighed by its chance."""
    from scipy.stats import binom

    truth = (0.8 * higher + 0.2 * (64 - higher)) / 64
    chance = np.convolve(
        binom.pmf(np.arange(higher + 1), higher, 0.8), binom.pmf(np.arange(65 - higher), 64 - higher, 0.2)
    )
    covered = 0.0
    for wins in range(65):
        low, high = interval_over_clips([[float(n < wins)] for n in range(64)])
        covered += chance[wins] * (low <= truth <= high)
    # Scenes vary more than the judge does, and the interval, which is of scenes, is wider than it need be for these 64.
    assert 0.95 < covered < 0.995


def test_intervals_cover_the_truth_of_scenes_that_were_drawn():
    from scipy.stats import binom

    for truth in (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 0.95):
        covered = 0.0
        for wins in range(65):
            low, high = interval_over_clips([[float(n < wins)] for n in range(64)])
            covered += binom.pmf(wins, 64, truth) * (low <= truth <= high)
        assert 0.935 < covered < 0.975, truth
