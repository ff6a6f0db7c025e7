"""The instruction: is it one, and which of its words has the model never seen?"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from .arguments import a_kind
from .errors import InputError, InstructionWarning
from .long_text import LongInstructions, too_long, unread

MAX_LENGTH = 1_000
_EXAMPLE = 'like "push the red box to the left"'
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
# Invisible but part of the spelling of some languages: zero-width non-joiner and joiner.
_KEPT_FORMAT = "\u200c\u200d"


@dataclass(frozen=True)
class UnknownWord:
    """A word that the model has never seen: what it means in known words, and known words that look like it."""

    word: str
    meaning: str | None
    nearest: tuple[str, ...]


def check_instruction(text: str) -> str:
    """The instruction without control characters and surplus space.

    Raises:
        InputError: empty, too long, or without a single letter.
    """
    cleaned = _cleaned(text)
    if len(cleaned) > MAX_LENGTH:
        raise InputError(f"The instruction has {len(cleaned):,} characters: say it in at most {MAX_LENGTH:,}.")
    return cleaned


def check_says_something(instruction: object) -> None:
    """Refuse an argument ``instruction`` that is no text, or says nothing. Of any length: see :mod:`.long_text`.

    Raises:
        InputError: it is no string, or empty, or without a single letter.
    """
    if not isinstance(instruction, str):
        raise InputError(f"instruction is {a_kind(instruction)}: give one sentence, {_EXAMPLE}.")
    _cleaned(instruction)


def _cleaned(text: str) -> str:
    spaced = "".join(" " if char.isspace() else char for char in text)
    visible = "".join(
        char for char in spaced if char in _KEPT_FORMAT or unicodedata.category(char) not in ("Cc", "Cf", "Cs")
    )
    cleaned = unicodedata.normalize("NFC", " ".join(visible.split()))
    if not cleaned:
        raise InputError(f"The instruction is empty: say what is to be done, {_EXAMPLE}.")
    if not any(char.isalpha() for char in cleaned):
        raise InputError(f"The instruction has no words: say what is to be done, {_EXAMPLE}.")
    return cleaned


@dataclass(frozen=True)
class KnownWords:
    """What a model knows of language: fields of its bundle's description (:class:`showme.bundle.BundleInfo`)."""

    vocabulary: tuple[str, ...] | None
    synonyms: Mapping[str, str]
    examples: tuple[str, ...]

    def warn(self, instruction: str) -> None:
        """Warn of words that the model has never seen, of an instruction that it gets as it is."""
        unknown = unknown_words(instruction, self.vocabulary, self.synonyms)
        if sentences := warnings_for(unknown, self.examples, replaced=False):
            warnings.warn(InstructionWarning(" ".join(sentences)), stacklevel=3)


def split_words(text: str) -> list[str]:
    """Lower-cased words of a text without punctuation; hyphens and apostrophes inside a word stay."""
    return _WORD.findall(text.lower())


def unknown_words(text: str, vocabulary: Collection[str] | None, synonyms: Mapping[str, str]) -> list[UnknownWord]:
    """The words of ``text`` outside ``vocabulary``, each once, in order; none for a model that knows every word.

    Args:
        text: the instruction.
        vocabulary: known words, lower-case; None: all.
        synonyms: other words -> known words.
    """
    if vocabulary is None:
        return []
    known = set(vocabulary)
    return [
        UnknownWord(word, synonyms.get(word), tuple(difflib.get_close_matches(word, sorted(known), n=3, cutoff=0.7)))
        for word in dict.fromkeys(split_words(text))
        if word not in known
    ]


def prompt_for(text: str, vocabulary: Collection[str] | None, synonyms: Mapping[str, str]) -> str:
    """What the model reads: the text; for a small vocabulary its bare words, with synonyms put in."""
    if vocabulary is None:
        return text
    known = set(vocabulary)
    return " ".join(word if word in known else synonyms.get(word, word) for word in split_words(text))


def warnings_for(unknown: Collection[UnknownWord], examples: Collection[str], replaced: bool = True) -> list[str]:
    """What a user should know about words that the model has never seen: what it reads instead, or that it does not.

    Args:
        unknown: of :func:`unknown_words`.
        examples: instructions that the model was trained on.
        replaced: whether the model gets known words for their synonyms, by :func:`prompt_for`.
    """
    sentences = [_sentence(word, replaced) for word in unknown if word.meaning or word.nearest]
    strangers = [f'"{word.word}"' for word in unknown if not (word.meaning or word.nearest)]
    if strangers:
        sentences.append(f"The model has never seen {', '.join(strangers)}, nor any word alike, and passes over that.")
    if any(word.meaning is None for word in unknown) and examples:
        sentences.append(f'It was trained on instructions like "{next(iter(examples))}".')
    return sentences


def note_on_length(prompt: str, path: Callable[[str], Path], long_instructions: LongInstructions | None) -> str | None:
    """What a user should know about a prompt that is longer than the model reads; None where all is read, or where the
    model has no tokenizer that could show it.

    The tokenizer alone is opened, so that a prompt is refused before any network is loaded.

    Args:
        prompt: of :func:`prompt_for`.
        path: where a file of the bundle lies.
        long_instructions: ``cut``, ``chunk`` or ``refuse``; None: what the model says.

    Raises:
        InputError: it is too long, with ``refuse``.
    """
    from tokenizers import Tokenizer

    settings = json.loads(path("model_index.json").read_text())
    choice = long_instructions or settings.get("long_instructions", "cut")
    if choice == "chunk" or not path("tokenizer/tokenizer.json").is_file():
        return None
    tokenizer = Tokenizer.from_file(str(path("tokenizer/tokenizer.json")))
    longest = json.loads(path("tokenizer/tokenizer_config.json").read_text())["model_max_length"]
    tokenizer.enable_truncation(longest)
    end = unread(prompt, tokenizer.encode(prompt))
    if not end:
        return None
    sentence = too_long({prompt: end}, [prompt], longest, "the model")
    if choice == "refuse":
        raise InputError(f"{sentence}: say it shorter, or choose --long-instructions chunk or cut.")
    return f"{sentence} and was cut off: say it shorter, or choose --long-instructions chunk, which reads it in parts."


def _sentence(unknown: UnknownWord, replaced: bool) -> str:
    begin = f'The model has never seen the word "{unknown.word}"'
    if unknown.meaning is not None:
        reads = f'it reads "{unknown.meaning}" instead' if replaced else f'write "{unknown.meaning}" instead'
        return f"{begin}: {reads}."
    return f"{begin} and passes over it; the nearest that it knows: {', '.join(unknown.nearest)}."
