"""Reading answers: the paper's own examples, every way of numbering, every script, and what is refused."""

from __future__ import annotations

import time

import pytest

from showme.perception.captions.answers import MAX_ANSWER, MAX_STATE, AnswerError, parse_enrichment, parse_states

_FOUR = ("The box is open.", "The hand reaches the lid.", "The hand shuts the lid.", "The box is shut.")


def test_the_three_answers_of_figure_14():
    paper = (
        "1. The person is holding a piece of paper. 2. The person is tearing the paper into two pieces. "
        "3. The person has torn the paper into two pieces. 4. The two pieces of paper are on the red carpet."
    )
    assert parse_states(paper) == (
        "The person is holding a piece of paper.",
        "The person is tearing the paper into two pieces.",
        "The person has torn the paper into two pieces.",
        "The two pieces of paper are on the red carpet.",
    )
    ball = (
        "1. The tennis ball is held in a hand. 2. The hand moves the tennis ball closer to the opening of the mug. "
        "4. The hand pulls the tennis ball away from the mug. "
        "3. The tennis ball is aligned above the mug as if to be dropped in."
    )
    assert parse_states(ball) == (
        "The tennis ball is held in a hand.",
        "The hand moves the tennis ball closer to the opening of the mug.",
        "The tennis ball is aligned above the mug as if to be dropped in.",
        "The hand pulls the tennis ball away from the mug.",
    )
    box = (
        "- 1. The box is initially positioned away from the car.\n- 2. The box is being moved closer to the car. "
        "3. The box is now in close proximity to the car. 4. The box is now positioned next to the car.\n"
    )
    assert parse_states(box)[2] == "The box is now in close proximity to the car."
    assert parse_states(box)[3] == "The box is now positioned next to the car."


@pytest.mark.parametrize(
    "form",
    [
        "{n}. {s}",
        "{n}) {s}",
        "({n}) {s}",
        "{n}.{s}",
        "{n}: {s}",
        "State {n}: {s}",
        "state {n}:{s}",
        "State {n}:\n{s}\n",
        "### State {n}:\n\n{s}\n",
        "**State {n}:** {s}",
        "**State {n}**: {s}",
        "**{n}.** {s}",
        "{n}. **{s}**",
        "{n}. *{s}*",
        "{n}. **State {n}:** {s}",
        "{n}. State {n}: {s}",
        "{n}. **In the beginning:** {s}",
        "**{n}. In the beginning:** {s}",
        "{n}. **In the beginning**: {s}",
        "- {n}. {s}",
        "* {n}) {s}",
        "• State {n}: {s}",
        "> {n}. {s}",
        "  {n}.   {s}  ",
    ],
)
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\n\n"])
def test_every_form_of_numbers(form, line_break):
    answer = line_break.join(form.format(n=n, s=s) for n, s in enumerate(_FOUR, 1))
    assert parse_states(answer) == _FOUR
    assert parse_states("Sure! Here are the four states:\n\n" + answer) == _FOUR


@pytest.mark.parametrize(
    ("answer", "states"),
    [
        (
            "状态1：盒子在桌子上。\n状态2：手拿起了盒子。\n状态3：手把盒子移到右边。\n状态4：盒子在右边。",
            ("盒子在桌子上。", "手拿起了盒子。", "手把盒子移到右边。", "盒子在右边。"),
        ),
        (
            "1、盒子在桌子上。2、手拿起了盒子。3、手把盒子移到右边。4、盒子在右边。",
            ("盒子在桌子上。", "手拿起了盒子。", "手把盒子移到右边。", "盒子在右边。"),
        ),
        (
            "١. الكرة على الطاولة.\n٢. اليد تمسك الكرة.\n٣. اليد ترفع الكرة.\n٤. الكرة في الهواء.",
            ("الكرة على الطاولة.", "اليد تمسك الكرة.", "اليد ترفع الكرة.", "الكرة في الهواء."),
        ),
        (
            "१. गेंद मेज पर है।\n२. हाथ गेंद पकड़ता है।\n३. हाथ गेंद उठाता है।\n४. गेंद हवा में है।",
            ("गेंद मेज पर है।", "हाथ गेंद पकड़ता है।", "हाथ गेंद उठाता है।", "गेंद हवा में है।"),
        ),
        (
            "Состояние 1: Мяч на столе. Состояние 2: Рука берёт мяч. "
            "Состояние 3: Рука поднимает мяч. Состояние 4: Мяч в воздухе.",
            ("Мяч на столе.", "Рука берёт мяч.", "Рука поднимает мяч.", "Мяч в воздухе."),
        ),
        (
            "1. ลูกบอลอยู่บนโต๊ะ\n2. มือจับลูกบอล\n3. มือยกลูกบอล\n4. ลูกบอลลอยอยู่",
            ("ลูกบอลอยู่บนโต๊ะ", "มือจับลูกบอล", "มือยกลูกบอล", "ลูกบอลลอยอยู่"),
        ),
    ],
)
def test_every_script(answer, states):
    assert parse_states(answer) == states


@pytest.mark.parametrize(
    "state",
    [
        "The hand pours approx. Half a cup of water.",
        "Dr. Brown lifts 2.5 kg of flour, e.g. Rye flour.",
        'The sign says "stop." and the hand stops.',
        "The box is... open.",
        "The hand moves box 3 onto box 2.",
        "手拿起杯子2、杯子3。",
    ],
)
def test_full_stops_and_numbers_within_a_sentence(state):
    assert parse_states(f"1. {_FOUR[0]}\n2. {state}\n3. {_FOUR[2]}\n4. {_FOUR[3]}")[1] == state


def _numbered(*states: str) -> str:
    return "\n".join(f"{number}. {state}" for number, state in enumerate(states, 1))


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("", "it is empty"),
        (" \n\t ", "it is empty"),
        ("The box is open and then it is shut.", "it has no numbered states"),
        ("I'm sorry, but I can't see a picture.", "it has no numbered states"),
        (_numbered(*_FOUR[:3]), "its states are numbered 1, 2, 3, not 1 to 4"),
        (_numbered(*_FOUR, "The hand leaves."), "numbered 1, 2, 3, 4, 5, not 1 to 4"),
        ("1. A box.\n2. A lid.\n4. A hand.\n5. A table.", "numbered 1, 2, 4, 5,"),
        ("1. A box.\n2. A lid.\n2. A hand.\n4. A table.", "numbered 1, 2, 2, 4,"),
        ("0. A box.\n1. A lid.\n2. A hand.\n3. A table.", "numbered 0, 1, 2, 3,"),
        ("\n".join(f"{n}. x" for n in range(1, 200)), r"numbered 1, 2, 3, 4, 5, 6, 7, 8, \.\.\., not"),
        (_numbered(_FOUR[0], "", *_FOUR[2:]), "its state 2 is empty"),
        (_numbered(*_FOUR[:3], ""), "its state 4 is empty"),
        (_numbered(*_FOUR[:3], "..."), "its state 4 is empty"),
        (_numbered(_FOUR[0], "The hand comes. It shuts the lid.", *_FOUR[2:]), "its state 2 has more than one sent"),
        (_numbered(_FOUR[0], "手来了。手关上盖子。", *_FOUR[2:]), "its state 2 has more than one sentence"),
        (_numbered(_FOUR[0], "हाथ आता है। हाथ बंद करता है।", *_FOUR[2:]), "its state 2 has more than one sentence"),
        (_numbered(_FOUR[0], "اليد تأتي. اليد تغلق الصندوق.", *_FOUR[2:]), "its state 2 has more than one sentence"),
        (_numbered(*_FOUR) + "\n\nI hope this helps!", 'its state 4 is followed by other words, "I hope this'),
        (_numbered(_FOUR[0], "**Reaching**\nThe hand comes.", *_FOUR[2:]), "its state 2 is followed by other words"),
        ("I see a box.\n" + _numbered(*_FOUR), 'it begins with other words, "I see a box."'),
        (_numbered(_FOUR[0], _FOUR[0].upper(), *_FOUR[2:]), 'it says "the box is open." more than once'),
        (_numbered(_FOUR[0], "so " * MAX_STATE, *_FOUR[2:]), f"its state 2 has .* characters, more than {MAX_STATE}"),
        (_numbered(*_FOUR[:3], "box " * MAX_ANSWER), "it has 16,0.. characters, more than 4,000"),
        (_numbered(*_FOUR[:3], "The \x1b[31mbox."), "control characters"),
        (_numbered(*_FOUR[:3], "The \ud800 box."), "control characters or broken ones"),
    ],
)
def test_other_answers_are_refused(answer, fault):
    with pytest.raises(AnswerError, match=fault) as caught:
        parse_states(answer)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("piece", ["1. ", "**", "a ", "(", "1", "- ", ". ", "State ", "1. **a", "。", "\n", "A. "])
def test_hostile_answers_are_read_in_no_time(piece):
    start = time.process_time()
    with pytest.raises(AnswerError):
        parse_states("x" + piece * (MAX_ANSWER // len(piece) - 1) + "x")
    assert time.process_time() - start < 1.0


def test_prose_is_trimmed_and_otherwise_left_alone():
    assert parse_enrichment("  The person grips the handle.\nThen they pull.  \r\n") == (
        "The person grips the handle.\nThen they pull."
    )
    assert parse_enrichment("人はレバーを引く。") == "人はレバーを引く。"
    assert parse_enrichment("The person cannot see it and is sorry.") == "The person cannot see it and is sorry."
    assert len(parse_enrichment("a" * MAX_ANSWER)) == MAX_ANSWER


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("", "it is empty"),
        ("\u3000\n", "it is empty"),
        ("1 2 3 !", "it has no words"),
        ("a" * (MAX_ANSWER + 1), "it has 4,001 characters, more than 4,000"),
        ("I'm sorry, but I cannot help with that.", "it is a refusal"),
        ("I’m unable to see the picture.", "it is a refusal"),
        ("Sorry, I can't.", "it is a refusal"),
        ("I am very sorry.", "it is a refusal"),
        ("I cannot identify people.", "it is a refusal"),
        ("I don't see a person.", "it is a refusal"),
        ("As an AI model I have no hands.", "it is a refusal"),
        ("Unfortunately, I cannot tell.", "it is a refusal"),
        ("The\x00person", "control characters"),
    ],
)
def test_other_prose_is_refused(answer, fault):
    with pytest.raises(AnswerError, match=fault):
        parse_enrichment(answer)
