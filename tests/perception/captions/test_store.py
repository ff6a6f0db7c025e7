"""Answers are asked once, kept, checked when read, and asked again when they are damaged."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest
from PIL import Image

from showme.errors import InputError
from showme.perception.captions import ENRICHMENT, STATES, AnswerError, AnswerStore, Prompt, ask
from showme.perception.captions.answers import parse_enrichment

_STATES = ("The lid is shut.", "The hand comes.", "手打开盖子。", "The lid is open.")
_RAW = "Here they are:\n" + "\n".join(f"{number}) {state}" for number, state in enumerate(_STATES, 1))


class Speaker:
    """Says what it is given, one after the other, and counts."""

    def __init__(self, *answers: str | Exception, name: str = "speaker"):
        self.name, self.answers = name, list(answers)
        self.asked: list[tuple] = []

    def answer(self, picture, prompt, instruction, attempt=0) -> str:
        self.asked.append((picture.mode, prompt.name, instruction, attempt))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def picture() -> Image.Image:
    return Image.new("RGB", (6, 4), (10, 20, 30))


@pytest.fixture
def store(tmp_path) -> AnswerStore:
    return AnswerStore(tmp_path / "captions")


def _only_file(store: AnswerStore) -> Path:
    (path,) = [path for path in store.folder.rglob("*") if path.is_file()]
    return path


def test_an_answer_is_asked_once(store, picture):
    speaker = Speaker(_RAW)
    assert ask(speaker, STATES, picture, "open the box", store) == _STATES
    assert ask(speaker, STATES, picture, "open the box", AnswerStore(store.folder)) == _STATES
    assert speaker.asked == [("RGB", "states", "open the box", 0)]


def test_the_file_holds_the_question_the_raw_answer_and_what_it_says(store, picture):
    ask(Speaker(_RAW), STATES, picture, "öffne", store)
    entry = json.loads(_only_file(store).read_text(encoding="utf-8"))
    assert entry["raw"] == _RAW
    assert entry["answer"] == list(_STATES)
    assert entry["key"]["captioner"] == "speaker"
    assert entry["key"]["prompt"] == "states"
    assert entry["key"]["text"] == STATES.text
    assert entry["key"]["instruction"] == "öffne"


def test_everything_that_decides_the_answer_is_in_the_key(store, picture):
    other = picture.copy()
    other.putpixel((5, 3), (10, 20, 31))
    questions = [
        (Speaker("prose a"), ENRICHMENT, picture, "open"),
        (Speaker("prose b", name="other"), ENRICHMENT, picture, "open"),
        (Speaker("prose c"), Prompt("enrichment", "How to [instruction]?", parse_enrichment), picture, "open"),
        (Speaker("prose d"), Prompt("mine", ENRICHMENT.text, parse_enrichment), picture, "open"),
        (Speaker("prose e"), ENRICHMENT, other, "open"),
        (Speaker("prose f"), ENRICHMENT, Image.new("RGB", (4, 6), (10, 20, 30)), "open"),
        (Speaker("prose g"), ENRICHMENT, picture, "shut"),
    ]
    first = [ask(*question, store) for question in questions]
    assert len(set(first)) == len(questions)
    # The speakers have nothing left to say: everything comes from the store.
    assert [ask(*question, store) for question in questions] == first


def test_pictures_of_other_modes_are_seen_in_rgb(store, picture):
    speaker = Speaker("prose")
    ask(speaker, ENRICHMENT, picture.convert("RGBA"), "open", store)
    assert ask(speaker, ENRICHMENT, picture, "open", store) == "prose"
    assert speaker.asked[0][0] == "RGB"


def test_it_is_asked_again_until_an_answer_can_be_used(store, picture):
    speaker = Speaker("I cannot.", AnswerError("it did not end"), _RAW)
    assert ask(speaker, STATES, picture, "open", store) == _STATES
    assert [attempt for *_, attempt in speaker.asked] == [0, 1, 2]
    assert json.loads(_only_file(store).read_text())["raw"] == _RAW


def test_after_the_last_attempt_it_says_who_was_asked_what_and_what_was_wrong(store, picture):
    speaker = Speaker("none", "1. A.\n2. B.", name="server:http://localhost/v1#small")
    with pytest.raises(
        InputError,
        match=r"^server:http://localhost/v1#small was asked for states for clip 00042 2 times and its last answer "
        r"cannot be used because its states are numbered 1, 2, not 1 to 4",
    ):
        ask(speaker, STATES, picture, "open", store, attempts=2, clip="00042")
    assert not store.folder.exists()
    with pytest.raises(InputError, match="states once and"):
        ask(Speaker("none"), STATES, picture, "open", store, attempts=1)
    with pytest.raises(ValueError, match="once at least"):
        ask(Speaker(), STATES, picture, "open", store, attempts=0)


def test_what_the_captioner_cannot_help_is_not_tried_again(store, picture):
    speaker = Speaker(InputError("the server is down"), _RAW)
    with pytest.raises(InputError, match="the server is down"):
        ask(speaker, STATES, picture, "open", store)
    assert len(speaker.asked) == 1


def _swap_two_states(text: str) -> str:
    entry = json.loads(text)
    entry["answer"] = entry["answer"][::-1]
    return json.dumps(entry)


def _another_key(text: str) -> str:
    entry = json.loads(text)
    entry["key"]["instruction"] = "shut"
    return json.dumps(entry)


def _raw_number(text: str) -> str:
    return json.dumps(json.loads(text) | {"raw": 7})


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("The hand comes", "The hand goes", 1),
        lambda text: "[" * 100_000,
        lambda text: "null",
        lambda text: "[1]",
        lambda text: text + " " * 2**20,
        lambda text: "\udcff" + text,
        _swap_two_states,
        _another_key,
        _raw_number,
    ],
)
def test_damaged_answers_are_asked_again(store, picture, damage):
    ask(Speaker(_RAW), STATES, picture, "open", store)
    path = _only_file(store)
    whole = path.read_bytes()
    path.write_bytes(damage(path.read_text(encoding="utf-8")).encode(errors="surrogateescape"))
    again = Speaker(_RAW)
    assert ask(again, STATES, picture, "open", store) == _STATES
    assert len(again.asked) == 1
    assert _only_file(store).read_bytes() == whole


def test_a_store_that_cannot_be_used_is_an_input_error(tmp_path, picture):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written to .*file .*: choose a folder"):
        ask(Speaker(_RAW), STATES, picture, "open", AnswerStore(tmp_path / "file"))


def test_broken_characters_in_an_instruction_do_no_harm(store, picture):
    assert ask(Speaker("prose"), ENRICHMENT, picture, "open \ud800 the box", store) == "prose"
    assert ask(Speaker(), ENRICHMENT, picture, "open \ud800 the box", store) == "prose"


def _ask_many(folder: str, name: str) -> list[tuple[str, ...]]:
    store, picture = AnswerStore(folder), Image.new("RGB", (2, 2))
    states = [f"1. a{n}.\n2. b.\n3. c.\n4. d." for n in range(40)]
    return [ask(Speaker(raw), STATES, picture, f"do {n}", store) for n, raw in enumerate(states)]


def test_processes_share_a_store(tmp_path):
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        answers = pool.starmap(_ask_many, [(str(tmp_path), f"process {n}") for n in range(4)])
    assert answers[0] == answers[1] == answers[2] == answers[3]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 40
    assert {path.suffix for path in files} == {".json"}


def test_questions():
    assert STATES.question(" push [instruction] & <image> ").startswith(
        'I have a prompt "push [instruction] & <image>" for video generation. This prompt guides the process of '
        "generating a video from the given image. Can you describe"
    )
    assert STATES.text.count("<image>") == 1
    assert ENRICHMENT.question("open the drawer") == (
        "How does the person properly open the drawer that is displayed in the video frame?"
    )
    with pytest.raises(InputError, match="instruction is empty"):
        STATES.question(" \n")
