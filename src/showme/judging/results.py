"""What a study has found, as its owner reads it: figures of every question, and one sentence of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .statistics import Preference, agreement, bradley_terry, preference
from .store import Answer
from .study import Question, Study


@dataclass(frozen=True)
class QuestionResult:
    """What the answers to one question say.

    Attributes:
        question: that was asked.
        preferences: of every two candidates that somebody has been asked about.
        strengths: Bradley-Terry's, log10 odds by candidate; None where they have no bound.
        agreement: Krippendorff's alpha; None where no pair was judged twice, or all answers are one.
    """

    question: Question
    preferences: list[Preference]
    strengths: dict[str, float] | None
    agreement: float | None


@dataclass(frozen=True)
class StudyResult:
    """What a study has found so far.

    Attributes:
        title: of the study.
        candidates: names.
        pairs: that there are to judge.
        judged: pairs that were judged, each counted once.
        judgements: pairs that were judged, counted for every judge.
        judges: who have judged one at least.
        questions: in the order in which they are asked.
    """

    title: str
    candidates: list[str]
    pairs: int
    judged: int
    judgements: int
    judges: int
    questions: list[QuestionResult]

    def as_json(self) -> dict[str, Any]:
        """Values that JSON has; each preference with its sentence."""
        values = asdict(self)
        for result, written in zip(self.questions, values["questions"], strict=True):
            written["question"] = result.question.model_dump()
            for each, row in zip(result.preferences, written["preferences"], strict=True):
                row |= {"answers": each.answers, "sentence": sentence(each)}
        return values


def study_result(study: Study, answers: Sequence[Answer]) -> StudyResult:
    """All figures of a study.

    Args:
        study: that was answered.
        answers: to it, in any order.

    Raises:
        InputError: scipy is not installed.
    """
    return StudyResult(
        title=study.title,
        candidates=[each.name for each in study.candidates],
        pairs=len(study.items),
        judged=len({answer.item for answer in answers}),
        judgements=len({(answer.judge, answer.item) for answer in answers}),
        judges=len({answer.judge for answer in answers}),
        questions=[
            _question_result(study, question, [answer for answer in answers if answer.question == question.key])
            for question in study.questions
        ],
    )


def _question_result(study: Study, question: Question, answers: list[Answer]) -> QuestionResult:
    found = [preference(answers, first, second) for first, second in study.pairs]
    return QuestionResult(
        question=question,
        preferences=[each for each in found if each is not None],
        strengths=bradley_terry(answers, [each.name for each in study.candidates]) if answers else None,
        agreement=agreement(answers),
    )


def sentence(found: Preference) -> str:
    """What a preference says, in words."""
    first, second, share, low, high = found.first, found.second, found.share, found.low, found.high
    if share < 0.5:
        first, second, share, low, high = second, first, 1 - share, 1 - high, 1 - low
    width = f"95% interval {_percent(low)} to {_percent(high)}"
    if low > 0.5:
        return f"{first} is preferred to {second} in {_percent(share)} of {_answers(found)} ({width})."
    words = (
        f"It is not decided between {first} and {second}: {first} has {_percent(share)} of {_answers(found)} ({width})"
    )
    if found.more is None:
        return f"{words}, and no number of answers decides a share of a half."
    return f"{words}; if the share stays, some {found.more:,} more answers decide it."


def _answers(found: Preference) -> str:
    return f"{found.answers} answer{'' if found.answers == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{share:.1%}"
