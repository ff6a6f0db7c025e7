"""What a judge may do: see pairs blind, answer what they were shown, and nothing in another's name."""

from __future__ import annotations

import logging
import re
import shutil
import sqlite3
import threading
from collections import Counter

import pytest

from showme.errors import InputError
from showme.studio.judge.clips import clip_name
from showme.studio.judge.secret import new_judge
from showme.studio.judge.service import JudgeService

KEYS = ("quality", "instruction", "consistency")


@pytest.fixture
def service(folder, tmp_path) -> JudgeService:
    """Of a copy that nobody has answered."""
    return JudgeService(shutil.copytree(folder, tmp_path / "copy"))


def answers(choice: str) -> dict[str, str]:
    return dict.fromkeys(KEYS, choice)


def test_a_judge_sees_every_pair_once_and_goes_on_where_they_were(service):
    judge, seen = new_judge(), []
    while (shown := service.showing(judge)) is not None:
        assert (shown.number, shown.total) == (len(seen) + 1, 10)
        again = JudgeService(service.folder).showing(judge)
        assert (again.left, again.right, again.number) == (shown.left, shown.right, shown.number)
        seen.append(frozenset((shown.left, shown.right)))
        service.answer(judge, shown.ticket, answers("left"))
    assert len(set(seen)) == 10
    assert service.showing(new_judge()).number == 1


def test_what_is_shown_says_nothing_of_the_candidates(service):
    shown = service.showing(new_judge())
    assert re.fullmatch(r"[0-9a-f]{16}\.\d+\.[0-9a-f]{32}", shown.ticket)
    assert re.fullmatch(r"[0-9a-f]{32}\.mp4", shown.left)
    assert len(set(service.names.values())) == len(service.items) == 10


def test_sides_are_swapped_about_half_the_time(service):
    firsts = {clip_name(service.secret, "a", clip) for clip in service.study.clips}
    left = [service.showing(new_judge()).left in firsts for _ in range(300)]
    # Fair draws leave this in one of a thousand studies.
    assert 0.40 < sum(left) / len(left) < 0.60


def test_the_choice_is_of_the_candidate_whatever_its_side(service):
    judge = new_judge()
    brighter = {clip_name(service.secret, "b", clip) for clip in service.study.clips}
    while (shown := service.showing(judge)) is not None:
        service.answer(judge, shown.ticket, answers("left" if shown.left in brighter else "right"))
    assert Counter(answer.winner for answer in service.store.answers()) == {"b": 30}


def test_the_ticket_of_another_judge_or_pair_is_refused(service):
    mine, other = new_judge(), new_judge()
    ticket = service.showing(mine).ticket
    name, at, signature = ticket.split(".")
    another = next(each for each in service.items if each != name)
    forged = ["", "..", "a.b.c", f"{another}.{at}.{signature}", f"{name}.{int(at) - 1}.{signature}", f"{ticket}.x"]
    for each in forged:
        with pytest.raises(InputError, match="not given to you: load the page again"):
            service.answer(mine, each, answers("left"))
    with pytest.raises(InputError, match="not given to you"):
        service.answer(other, ticket, answers("left"))
    assert service.store.answers() == []


def test_every_question_is_answered(service):
    judge = new_judge()
    shown = service.showing(judge)
    with pytest.raises(InputError, match="Answer this question too: Which video follows the instruction"):
        service.answer(judge, shown.ticket, {**answers("left"), "instruction": None})
    with pytest.raises(InputError, match="'sideways' is no answer"):
        service.answer(judge, shown.ticket, answers("sideways"))
    assert service.store.answers() == []
    assert service.showing(judge).number == 1


def test_judges_are_not_shown_what_fails_on_the_owners_disk(service, monkeypatch, caplog):
    judge = new_judge()
    shown = service.showing(judge)

    def full(*_):
        try:
            raise sqlite3.OperationalError("database or disk is full")
        except sqlite3.Error as error:
            raise InputError(f"{service.folder} cannot be used ({error}): make room.") from error

    monkeypatch.setattr("showme.judging.store.opened", full)
    with caplog.at_level(logging.ERROR):
        for act in (lambda: service.answer(judge, shown.ticket, answers("tie")), lambda: service.showing(judge)):
            with pytest.raises(InputError, match="answers cannot be reached: try again") as refusal:
                act()
            assert str(service.folder) not in str(refusal.value)
    assert caplog.text.count("disk is full") == 2


def test_many_judges_at_once_lose_nothing(service):
    wrong = []

    def work() -> None:
        # Each as a server of its own would: threads share nothing but the folder.
        mine, judge = JudgeService(service.folder), new_judge()
        try:
            while (shown := mine.showing(judge)) is not None:
                mine.answer(judge, shown.ticket, answers("tie"))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(service.store.answers()) == 12 * 10 * 3
    assert set(service.store.counts().values()) == {12}
