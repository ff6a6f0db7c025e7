"""What the judging page does, without the page: who is shown what, and what becomes of their answers."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ...judging import AnswerStore, open_study
from ...judging.study import Item, next_showing
from .clips import clip_name
from .secret import Secret, load_secret, same

_STALE = "This answer belongs to a page that was not given to you: load the page again."
_OUT_OF_ORDER = "The study's answers cannot be reached: try again, and if it stays so, ask whoever sent you the link."


@dataclass(frozen=True)
class Shown:
    """What a judge sees.

    Attributes:
        ticket: says what was shown to whom and when, signed; it comes back with the answers.
        left, right: names of the clips' files.
        instruction: what was asked for; empty where it is not known.
        number, total: of this pair and of all, counted from 1.
    """

    ticket: str
    left: str
    right: str
    instruction: str
    number: int
    total: int


class JudgeService:
    """One study, for all of its judges at once.

    Args:
        folder: of the study.

    Raises:
        InputError: there is no study, or its folder cannot be used.
    """

    def __init__(self, folder: Path):
        self.folder, self.study, self.secret = folder, open_study(folder), load_secret(folder)
        self.store = AnswerStore(folder, self.study)
        self.items = {_name(self.secret, item): item for item in self.study.items}
        self.names = {item: name for name, item in self.items.items()}

    def showing(self, judge: str) -> Shown | None:
        """What a judge is shown now; None: they have seen everything.

        Raises:
            InputError: the answers cannot be read.
        """
        with _for_judges():
            found = next_showing(self.study, judge, self.store.answered_by(judge), self.store.counts())
        if found is None:
            return None
        return Shown(
            ticket=self._ticket(judge, self.names[found.item], str(_now())),
            left=clip_name(self.secret, found.left, found.item.clip),
            right=clip_name(self.secret, found.right, found.item.clip),
            instruction=found.instruction,
            number=len(self.items) - found.left_over + 1,
            total=len(self.items),
        )

    def answer(self, judge: str, ticket: str, choices: Mapping[str, str | None]) -> None:
        """Keep a judge's answers.

        Args:
            judge: who.
            ticket: of what they were shown.
            choices: question's key -> ``left``, ``right`` or ``tie``; None: not answered.

        Raises:
            InputError: another judge's ticket, a question without an answer, or answers that cannot be kept; the
                sentence is for the judge.
        """
        name, at = (*ticket.split("."), "", "")[:2]
        if not same(ticket, self._ticket(judge, name, at)) or name not in self.items:
            raise InputError(_STALE)
        open_questions = [question.text for question in self.study.questions if not choices.get(question.key)]
        if open_questions:
            raise InputError(f"Answer this question too: {open_questions[0]}")
        given = {key: choice for key, choice in choices.items() if choice}
        with _for_judges():
            self.store.add(judge, self.items[name], given, seconds=(_now() - int(at)) / 1000)

    def _ticket(self, judge: str, name: str, at: str) -> str:
        return f"{name}.{at}.{self.secret.digest('ticket', judge, name, at)}"


@contextmanager
def _for_judges() -> Iterator[None]:
    """What is wrong with the file of answers is the owner's business, path and all."""
    try:
        yield
    except InputError as error:
        if not isinstance(error.__cause__, sqlite3.Error):
            raise
        logging.getLogger(__name__).error("%s", error)
        raise InputError(_OUT_OF_ORDER) from error


def _now() -> int:
    """Milliseconds."""
    return time.time_ns() // 1_000_000


def _name(secret: Secret, item: Item) -> str:
    """Of a pair: their numbers would say which of several candidates are compared."""
    return secret.digest("item", item.clip, item.first, item.second)[:16]
