"""Answers in SQLite: many judges at once, each answer whole or not there, and one of each judge, pair and question."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..database import create, opened
from ..errors import InputError
from .study import ANSWERS, Item, Study, sides

LEFT, RIGHT, TIE = "left", "right", "tie"
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
  judge TEXT NOT NULL, clip TEXT NOT NULL, first TEXT NOT NULL, second TEXT NOT NULL, question TEXT NOT NULL,
  winner TEXT, shown_left TEXT NOT NULL, seconds REAL, at TEXT NOT NULL,
  PRIMARY KEY (judge, clip, first, second, question)
)
"""


@dataclass(frozen=True)
class Answer:
    """One judge's answer to one question about one clip of two candidates. winner: a candidate; None: a tie."""

    judge: str
    item: Item
    question: str
    winner: str | None
    shown_left: str
    seconds: float | None
    at: str


class AnswerStore:
    """The answers of a study.

    Args:
        folder: of the study.
        study: whose answers they are.

    Raises:
        InputError: the folder cannot be written to, or holds something else in the place of the answers.
    """

    def __init__(self, folder: Path, study: Study):
        self.file, self.study = folder / ANSWERS, study
        create(self.file, _TABLE)

    def add(self, judge: str, item: Item, choices: Mapping[str, str], seconds: float | None = None) -> None:
        """Keep a judge's answers about one pair; those given before are replaced.

        Args:
            judge: who.
            item: what was shown.
            choices: question -> ``left``, ``right`` or ``tie``.
            seconds: that it took.

        Raises:
            InputError: a pair or question that is none of the study's, a question without an answer, or a tie where
                there are none.
        """
        if item not in self.study.items:
            raise InputError("That pair is none of this study's: load the page again.")
        asked = [question.key for question in self.study.questions]
        if sorted(choices) != sorted(asked):
            raise InputError(f"Answer every question: {', '.join(asked)}.")
        allowed = (LEFT, RIGHT, TIE) if self.study.ties else (LEFT, RIGHT)
        wrong = next((choice for choice in choices.values() if choice not in allowed), None)
        if wrong is not None:
            raise InputError(f"{wrong!r} is no answer: choose {', '.join(allowed)}.")
        left, right = sides(self.study, judge, item)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [
            (
                judge,
                item.clip,
                item.first,
                item.second,
                question,
                {LEFT: left, RIGHT: right}.get(choice),
                left,
                seconds,
                at,
            )
            for question, choice in choices.items()
        ]
        with opened(self.file) as base:
            base.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def answers(self) -> list[Answer]:
        """All of them, in the order in which they were given."""
        with opened(self.file) as base:
            rows = base.execute("SELECT * FROM answers ORDER BY at, judge, clip, first, second, question").fetchall()
        return [Answer(row[0], Item(clip=row[1], first=row[2], second=row[3]), *row[4:]) for row in rows]

    def answered_by(self, judge: str) -> set[Item]:
        """Pairs that a judge has answered."""
        with opened(self.file) as base:
            rows = base.execute("SELECT DISTINCT clip, first, second FROM answers WHERE judge = ?", [judge]).fetchall()
        return {Item(*row) for row in rows}

    def counts(self) -> dict[Item, int]:
        """How many judges have answered each pair."""
        with opened(self.file) as base:
            rows = base.execute("SELECT clip, first, second, COUNT(DISTINCT judge) FROM answers GROUP BY 1, 2, 3")
            return {Item(*row[:3]): row[3] for row in rows}

    def as_csv(self) -> str:
        """A line per answer."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["judge", "clip", "first", "second", "question", "winner", "shown_left", "seconds", "at"])
        writer.writerows(_row(answer) for answer in self.answers())
        return out.getvalue()


def _row(answer: Answer) -> Sequence[object]:
    item = answer.item
    return [
        answer.judge, item.clip, item.first, item.second, answer.question, answer.winner or TIE, answer.shown_left,
        answer.seconds, answer.at,
    ]  # fmt: skip
