"""Preference studies: what is compared, who stands where, what each judge sees next, and what is kept."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from showme.errors import InputError
from showme.judging import AnswerStore, Question, Study, make_study, open_study
from showme.judging.study import STUDY, next_showing, sides
from tests.evaluation.conftest import moving_square, write_set

CLIPS = [f"clip {n}" for n in range(6)]


@pytest.fixture
def folders(tmp_path) -> list[Path]:
    return [write_set(tmp_path / name, {clip: moving_square(1) for clip in CLIPS}) for name in ("a", "b", "c")]


@pytest.fixture
def study(folders, tmp_path) -> Study:
    return make_study(tmp_path / "study", folders, instructions={"clip 0": "push the red box"})


def test_every_clip_of_every_two_candidates_is_an_item(study):
    assert study.pairs == [("a", "b"), ("a", "c"), ("b", "c")]
    assert len(study.items) == len(set(study.items)) == 18
    assert [question.key for question in study.questions] == ["quality", "instruction", "consistency"]


def test_a_study_goes_on_where_it_was_and_no_other_takes_its_place(study, folders, tmp_path):
    assert make_study(tmp_path / "study", folders, instructions={"clip 0": "push the red box"}) == study
    assert open_study(tmp_path / "study") == study
    with pytest.raises(InputError, match="holds another study, 'Which is better\\?': choose another --out"):
        make_study(tmp_path / "study", folders[:2])


def test_candidates_are_called_by_their_folders(folders, tmp_path):
    rows = "".join(json.dumps({"id": clip, "file": f"{clip}.safetensors"}) + "\n" for clip in CLIPS)
    for folder in folders:
        (folder / "index.jsonl").write_text(rows)
    (folders[2] / "short.jsonl").write_text(rows)
    places = [folders[0], folders[1] / "index.jsonl", folders[2] / "short.jsonl"]
    study = make_study(tmp_path / "lists", places)
    assert [each.name for each in study.candidates] == ["a", "b", "short"]
    versions = [folder.rename(tmp_path / f"{folder.name}-0.5") for folder in folders[:2]]
    study = make_study(tmp_path / "versions", versions)
    assert [each.name for each in study.candidates] == ["a-0.5", "b-0.5"]
    same = [versions[0].rename(tmp_path / "same"), versions[1]]
    (tmp_path / "above").mkdir()
    same[1] = versions[1].rename(tmp_path / "above" / "same")
    study = make_study(tmp_path / "alike", same)
    assert [each.name for each in study.candidates] == [f"{tmp_path.name}/same", "above/same"]


def test_sides_are_drawn_for_every_showing_and_stay(study):
    left = [sides(study, "judge", item)[0] == item.first for item in study.items]
    assert left == [sides(study, "judge", item)[0] == item.first for item in study.items]
    many = [sides(study, f"judge {n}", item)[0] == item.first for n in range(40) for item in study.items]
    # 720 fair draws lie between these in all but one of a thousand studies.
    assert 0.44 < sum(many) / len(many) < 0.56
    # The pairs of one clip are drawn apart.
    assert len({tuple(many[n : n + 18]) for n in range(0, 720, 18)}) > 30


def test_judges_are_led_to_what_few_have_seen_in_orders_of_their_own(study, tmp_path):
    store = AnswerStore(tmp_path / "study", study)
    seen: list[list] = []
    for judge in ("one", "two"):
        items, answered = [], set()
        while (showing := next_showing(study, judge, answered, store.counts())) is not None:
            assert showing.left_over == 18 - len(items)
            assert {showing.left, showing.right} == {showing.item.first, showing.item.second}
            items.append(showing.item)
            if len(items) <= 9:
                store.add(judge, showing.item, dict.fromkeys(("quality", "instruction", "consistency"), "left"))
            answered.add(showing.item)
        seen.append(items)
    assert seen[0] != seen[1]
    # The second judge began with the nine that the first has not answered.
    assert set(seen[1][:9]) == set(seen[0][9:])
    assert Counter(store.counts().values()) == {1: 18}


def test_the_winner_is_kept_whatever_its_side(study, tmp_path):
    store = AnswerStore(tmp_path / "study", study)
    for item in study.items:
        left, right = sides(study, "judge", item)
        better = min(left, right)
        choice = "left" if better == left else "right"
        store.add("judge", item, {"quality": choice, "instruction": "tie", "consistency": choice}, 2.5)
    answers = store.answers()
    assert {answer.winner for answer in answers if answer.question == "quality"} == {"a", "b"}
    assert all(answer.winner == answer.item.first for answer in answers if answer.question == "quality")
    assert all(answer.winner is None for answer in answers if answer.question == "instruction")
    lines = store.as_csv().splitlines()
    assert len(lines) == 1 + 3 * 18
    assert lines[0] == "judge,clip,first,second,question,winner,shown_left,seconds,at"


def test_a_second_thought_takes_the_place_of_the_first(study, tmp_path):
    store, item = AnswerStore(tmp_path / "study", study), study.items[0]
    for choice in ("left", "right"):
        store.add("judge", item, dict.fromkeys(("quality", "instruction", "consistency"), choice))
    assert {answer.winner for answer in store.answers()} == {sides(study, "judge", item)[1]}
    assert store.answered_by("judge") == {item}
    assert store.answered_by("other") == set()


def test_many_judges_at_once_lose_nothing(study, tmp_path):
    store = AnswerStore(tmp_path / "study", study)

    def judge(name: str) -> None:
        mine = AnswerStore(tmp_path / "study", study)
        for item in study.items:
            mine.add(name, item, dict.fromkeys(("quality", "instruction", "consistency"), "tie"))

    threads = [threading.Thread(target=judge, args=(f"judge {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.answers()) == 8 * 18 * 3


def test_what_cannot_be_answered_is_refused(study, tmp_path):
    store, item = AnswerStore(tmp_path / "study", study), study.items[0]
    all_left = dict.fromkeys(("quality", "instruction", "consistency"), "left")
    with pytest.raises(InputError, match="Answer every question: quality, instruction, consistency"):
        store.add("judge", item, {"quality": "left"})
    with pytest.raises(InputError, match="'both' is no answer: choose left, right, tie"):
        store.add("judge", item, all_left | {"quality": "both"})
    with pytest.raises(InputError, match="none of this study's"):
        store.add("judge", replace(item, clip="../x"), all_left)
    assert store.answers() == []


def test_folders_that_do_not_go_together_are_refused(folders, tmp_path):
    write_set(folders[0], {"one more": moving_square(1)})
    with pytest.raises(InputError, match=r"has 1 clips that another folder lacks \('one more' first\): compare"):
        make_study(tmp_path / "study", folders)
    with pytest.raises(InputError, match="compares two folders of clips at least"):
        make_study(tmp_path / "study", folders[:1])
    with pytest.raises(InputError, match="two candidates have one name"):
        make_study(tmp_path / "study", folders[1:], names=["x", "x"])
    with pytest.raises(InputError, match="two questions have one name"):
        make_study(
            tmp_path / "study", folders[1:], questions=[Question(key="a", text="A?"), Question(key="a", text="B?")]
        )
    assert not (tmp_path / "study").exists()
    with pytest.raises(InputError, match="There is no study"):
        open_study(tmp_path / "study")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / STUDY).write_text("{}")
    with pytest.raises(InputError, match=r"study\.json is no study"):
        open_study(tmp_path / "study")
