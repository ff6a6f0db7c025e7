"""What a captioner said, read strictly: the four states of a process, or a description in prose.

Language models number their sentences as they please; nothing here guesses at what they left out. Every script is read:
digits of any script count, and sentences end where that script ends them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

STATES_COUNT = 4
MAX_ANSWER = 4_000
MAX_STATE = 500
_MAX_LEAD_IN = 300


class AnswerError(ValueError):
    """An answer that cannot be used; the message says what is wrong with it, beginning with "it"."""


# "1. ", "2) ", "(3) ", "4、", "State 1: ", "1. State 1: ", at the beginning of a line behind any bullet, or behind the
# end of a sentence: in the paper's figure all four states stand in one paragraph.
_MARKER = re.compile(
    r"""
    (?: ^[ \t>\#*•·–-]*  |  (?<=[.!?…:："”’)])\s+  |  (?<=[。！？।۔])\s* )
    (?:
        \(? (?P<number> \d{1,3} ) \s* [.)．）、:：] (?!\d)
        (?: \s* [^\s\d:：]{1,30} \s* (?P=number) \s* [:：] )?
      |
        [^\s\d:：.]{1,30} \s* (?P<labelled> \d{1,3} ) \s* [:：]
    )
    """,
    re.VERBOSE | re.MULTILINE,
)
# "1. **The beginning:** The box ...", "**1. The beginning:** The box ...": a heading in bold is not of the sentence.
_HEADING = re.compile(
    r"^([ \t>#*•·–-]*\(?\d{1,3}[.)．）、:：]\s*)(?:\*\*)?[^*\n]{1,80}(?:[:：]\*\*|\*\*[:：])", re.MULTILINE
)
# Where one sentence ends and another begins: a full stop, a space and no small letter; the full-width stops of Chinese
# and Japanese need no space.
_NEXT_SENTENCE = re.compile(r"""(?P<word>\S*)[.!?…؟۔।॥։።][^\w\s]*\s+(?=[^\W\d_])|[。！？][^\w\s]*(?=\w)""")
_ABBREVIATIONS = {"mr", "mrs", "ms", "dr", "st", "vs", "etc", "approx", "no", "fig"}

_REFUSAL = re.compile(
    r"(?:(?:i['’]m |i am |we['’]re |we are )?(?:very |so |really )?(?:sorry|afraid)\b|unfortunately,? (?:i|we)\b"
    r"|(?:i|we) (?:cannot|can['’]?t|can not|don['’]?t|do not)\b|i(?:['’]m| am) (?:unable|not able)\b|as an ai\b)",
    re.IGNORECASE,
)


def parse_states(text: str) -> tuple[str, ...]:
    """Four sentences in the order of their numbers, which need not be the order in which they stand.

    Numbers look like ``1.``, ``1)``, ``State 1:``, in bold or behind a bullet, each on a line of its own or one behind
    the other. Ahead of the first there may be a line that announces them and ends in a colon.

    Args:
        text: the captioner's answer.

    Returns:
        Four different sentences, each with a letter and of at most ``MAX_STATE`` characters, without line breaks.

    Raises:
        AnswerError: other numbers than 1 to 4, each once; a state that is empty, too long, not one sentence, or said
            twice; other words ahead of the states or behind them; an answer of more than ``MAX_ANSWER`` characters.
    """
    cleaned = _HEADING.sub(r"\1", _checked(text)).replace("**", "").replace("`", "")
    markers = list(_MARKER.finditer(cleaned))
    numbers = [int(marker["number"] or marker["labelled"]) for marker in markers]
    _check_numbers(numbers)
    lead_in = cleaned[: markers[0].start()].strip()
    if lead_in and (len(lead_in) > _MAX_LEAD_IN or lead_in[-1] not in ":："):
        raise AnswerError(f'it begins with other words, "{_short(lead_in)}"')
    ends = [marker.start() for marker in markers[1:]] + [len(cleaned)]
    found = {
        number: _state(number, cleaned[marker.end() : end])
        for number, marker, end in zip(numbers, markers, ends, strict=True)
    }
    states = tuple(found[number] for number in sorted(found))
    twice = [state for state, count in Counter(state.casefold() for state in states).items() if count > 1]
    if twice:
        raise AnswerError(f'it says "{_short(twice[0])}" more than once')
    return states


def parse_enrichment(text: str) -> str:
    """A description in prose, without the space around it.

    Args:
        text: the captioner's answer.

    Returns:
        At least one letter and at most ``MAX_ANSWER`` characters.

    Raises:
        AnswerError: nothing, no words, too much, or a refusal (recognised in English only).
    """
    prose = _checked(text)
    if _REFUSAL.match(prose):
        raise AnswerError(f'it is a refusal, "{_short(prose)}"')
    return prose


def _checked(text: str) -> str:
    """The trimmed text, of a usable length and without characters that no file can hold."""
    trimmed = "\n".join(text.split("\r\n")).strip()
    if not trimmed:
        raise AnswerError("it is empty")
    if len(trimmed) > MAX_ANSWER:
        raise AnswerError(f"it has {len(trimmed):,} characters, more than {MAX_ANSWER:,}")
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t" for char in trimmed):
        raise AnswerError("it holds control characters or broken ones")
    if not _has_letter(trimmed):
        raise AnswerError(f'it has no words, only "{_short(trimmed)}"')
    return trimmed


def _check_numbers(numbers: list[int]) -> None:
    if not numbers:
        raise AnswerError("it has no numbered states")
    if sorted(numbers) != list(range(1, STATES_COUNT + 1)):
        listed = ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
        raise AnswerError(f"its states are numbered {listed}, not 1 to {STATES_COUNT}, each once")


def _state(number: int, text: str) -> str:
    """One sentence of at most ``MAX_STATE`` characters."""
    lines = [line for line in (" ".join(line.split()).strip("*_ ") for line in text.splitlines()) if line]
    if not lines or not _has_letter(lines[0]):
        raise AnswerError(f"its state {number} is empty")
    if len(lines) > 1:
        raise AnswerError(f'its state {number} is followed by other words, "{_short(lines[1])}"')
    if len(lines[0]) > MAX_STATE:
        raise AnswerError(f"its state {number} has {len(lines[0])} characters, more than {MAX_STATE}")
    if _has_two_sentences(lines[0]):
        raise AnswerError(f"its state {number} has more than one sentence")
    return lines[0]


def _has_two_sentences(line: str) -> bool:
    for place in _NEXT_SENTENCE.finditer(line):
        word = (place["word"] or "").strip("([\"'“‘").casefold()
        if line[place.end()].islower() or word in _ABBREVIATIONS or re.search(r"\w\.\w", word):
            continue
        return True
    return False


def _has_letter(text: str) -> bool:
    return any(char.isalpha() for char in text)


def _short(text: str) -> str:
    """The beginning, for messages."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"
