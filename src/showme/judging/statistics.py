"""What the answers of a study say, and how surely."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..optional import needed
from .store import Answer

# Of 95%.
_Z = 1.959963984540054
# Bradley-Terry's iteration: far below what is shown of strengths.
_ROUNDS, _CLOSE = 1000, 1e-9


@dataclass(frozen=True)
class Preference:
    """How often one candidate is preferred to another.

    Attributes:
        first, second: their names.
        wins, losses, ties: answers for the first, for the second, for neither.
        share: (wins + ties / 2) / answers.
        low, high: its 95% interval, by clips: answers about one clip are not independent.
        p_value: of the two-sided sign test on the answers that are no ties, that both are preferred equally often.
        more: further answers, at this share, until the interval leaves a half; 0: it does; None: the share is a half.
    """

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    share: float
    low: float
    high: float
    p_value: float
    more: int | None

    @property
    def answers(self) -> int:
        """All of them."""
        return self.wins + self.losses + self.ties


def preference(answers: Sequence[Answer], first: str, second: str) -> Preference | None:
    """The preference between two candidates, of the answers to one question; None: nobody has been asked.

    Raises:
        InputError: scipy is not installed.
    """
    with needed("scipy", "scipy", "evaluation", "The statistics of a study"):
        from scipy.stats import binomtest
    of_clip: dict[str, list[float]] = defaultdict(list)
    for answer in answers:
        if {answer.item.first, answer.item.second} == {first, second}:
            of_clip[answer.item.clip].append(_value(answer, first))
    values = [value for clip in of_clip.values() for value in clip]
    if not values:
        return None
    wins, losses = values.count(1.0), values.count(0.0)
    share = float(np.mean(values))
    low, high = interval_over_clips(list(of_clip.values()))
    return Preference(
        first=first,
        second=second,
        wins=wins,
        losses=losses,
        ties=len(values) - wins - losses,
        share=share,
        low=low,
        high=high,
        p_value=float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0,
        more=_more(share, low, high, len(values)),
    )


def _value(answer: Answer, first: str) -> float:
    if answer.winner is None:
        return 0.5
    return float(answer.winner == first)


def interval_over_clips(values: Sequence[Sequence[float]]) -> tuple[float, float]:
    """95% interval of the mean of all answers, given those about each clip: Wilson's (1927), for so many answers as
    would, if they were independent, spread as the clips do (Kish 1965: share (1 - share) / variance).

    Resampling clips instead falls short of 95% where the mean is far from a half: ``scripts/scripted_judge.py``.
    """
    sums = np.array([sum(each) for each in values])
    counts = np.array([len(each) for each in values])
    clips, answers = len(values), int(counts.sum())
    share = float(sums.sum()) / answers
    spread = float(np.square(sums - share * counts).sum())
    if spread < 1e-9:
        # One clip, or one opinion of all: whether answers about a clip differ by more than chance is not known.
        return _wilson(share, clips)
    variance = clips / (clips - 1) * spread / answers**2
    return _wilson(share, min(share * (1 - share) / variance, answers))


def _wilson(share: float, count: float) -> tuple[float, float]:
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _more(share: float, low: float, high: float, count: int) -> int | None:
    """By the width of the interval, which falls with the root of the number of answers."""
    if low > 0.5 or high < 0.5:
        return 0
    away = abs(share - 0.5)
    if away < 1e-9:
        return None
    half = max(high - share, share - low)
    return max(math.ceil(count * (half / away) ** 2) - count, 1)


def bradley_terry(answers: Sequence[Answer], names: Sequence[str]) -> dict[str, float] | None:
    """Strengths of candidates, log10 odds with a mean of 0: 1 apart means ten to one. Ties are half a win each.

    By the minorisation of Hunter (2004). None: some candidate has won or lost everything, or is compared with none, so
    that its strength has no bound.
    """
    place = {name: index for index, name in enumerate(names)}
    wins = np.zeros((len(names), len(names)))
    for answer in answers:
        first, second = place[answer.item.first], place[answer.item.second]
        value = _value(answer, answer.item.first)
        wins[first, second] += value
        wins[second, first] += 1 - value
    if not _connected(wins > 0):
        return None
    games, total = wins + wins.T, wins.sum(1)
    strength = np.ones(len(names))
    for _ in range(_ROUNDS):
        fresh = total / (games / (strength[:, None] + strength)).sum(1)
        fresh /= np.exp(np.log(fresh).mean())
        done = np.abs(np.log(fresh / strength)).max() < _CLOSE
        strength = fresh
        if done:
            break
    return {name: float(np.log10(strength[index])) for name, index in place.items()}


def _connected(beats: np.ndarray) -> bool:
    """Whether everyone is reached from everyone by wins: Ford's condition, without which there is no maximum."""
    reach = beats | np.eye(len(beats), dtype=bool)
    for _ in range(len(beats)):
        reach = reach | (reach.astype(int) @ reach.astype(int) > 0)
    return bool(reach.all())


def agreement(answers: Sequence[Answer]) -> float | None:
    """Krippendorff's alpha of nominal answers (2004) to one question: 1 for judges of one mind, 0 for chance.

    None: no pair was judged twice, or all answers are one.
    """
    units: dict[object, list[str]] = defaultdict(list)
    for answer in answers:
        units[answer.item].append(answer.winner or "")
    rated = [values for values in units.values() if len(values) > 1]
    together = [value for values in rated for value in values]
    labels = sorted(set(together))
    if len(labels) < 2:
        return None
    index = {label: number for number, label in enumerate(labels)}
    pairs = np.zeros((len(labels), len(labels)))
    for values in rated:
        for i, a in enumerate(values):
            for j, b in enumerate(values):
                if i != j:
                    pairs[index[a], index[b]] += 1 / (len(values) - 1)
    counts = pairs.sum(1)
    count = counts.sum()
    observed = count - np.trace(pairs)
    expected = (count**2 - np.square(counts).sum()) / (count - 1)
    return float(1 - observed / expected)
