"""Instructions: refused when they say nothing, cleaned, and compared with what the model knows."""

from __future__ import annotations

import pytest

from showme.errors import InputError
from showme.instruction import check_instruction, prompt_for, unknown_words, warnings_for

KNOWN = ("push", "the", "red", "blue", "box", "bottle", "to", "left")
SYNONYMS = {"jar": "bottle"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (" \t\n ", "is empty"),
        ("\x00\x1b\u200b", "is empty"),
        ("push the box " * 800, "characters"),
        ("x" * 10_000, "10,000 characters"),
        ("\U0001f600\U0001f680", "no words"),
        ("12 + 3?!", "no words"),
    ],
)
def test_refused(text, words):
    with pytest.raises(InputError, match=words):
        check_instruction(text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  push\tthe\nbox ", "push the box"),
        ("push\x00 the\x1b[31m box", "push the[31m box"),
        ("\u202epush the box\udcff", "push the box"),
        ("schiebe die Schachtel nach links", "schiebe die Schachtel nach links"),
        ("推开盒子 \U0001f600", "推开盒子 \U0001f600"),
        ("x" * 1000, "x" * 1000),
    ],
)
def test_cleaned(text, clean):
    assert check_instruction(text) == clean


def test_unknown_words_synonyms_first_then_likeness():
    unknown = unknown_words("Push the jar, the bottl and the giraffe to the LEFT! jar", KNOWN, SYNONYMS)
    assert [word.word for word in unknown] == ["jar", "bottl", "and", "giraffe"]
    sentences = warnings_for(unknown, ["push the red box to the left"])
    assert sentences[0] == 'The model has never seen the word "jar": it reads "bottle" instead.'
    assert "nearest that it knows: bottle" in sentences[1]
    assert sentences[2] == 'The model has never seen "and", "giraffe", nor any word alike, and passes over that.'
    assert sentences[-1] == 'It was trained on instructions like "push the red box to the left".'


def test_a_model_without_a_vocabulary_knows_every_word():
    assert unknown_words("frobnicate the jar", None, {}) == []
    assert prompt_for("Frobnicate, the jar!", None, SYNONYMS) == "Frobnicate, the jar!"


def test_a_small_vocabulary_reads_bare_words_with_synonyms_put_in():
    assert prompt_for("Push the JAR, to the left.", KNOWN, SYNONYMS) == "push the bottle to the left"


def test_scripts_of_earlier_versions_find_the_check_where_it_was():
    from showme.generation.instruction import check_instruction as before

    assert before is check_instruction
