"""Sentences that are longer than a text encoder reads: which words are cut off, and windows that hold them all.

Encoders with learned positions read no more tokens than they have positions for; a tokenizer that truncates drops the
others without a word. What it dropped is in the encoding that it returns, so that asking costs nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, get_args

from .errors import InstructionWarning, TruncationWarning

if TYPE_CHECKING:
    from tokenizers import Encoding

# cut: the end is left out, with a warning. chunk: all is read, in windows of the encoder's length. refuse: an error.
LongInstructions = Literal["cut", "chunk", "refuse"]
LONG_INSTRUCTIONS: tuple[str, ...] = get_args(LongInstructions)

# A word that begins farther back than this is none: Chinese has no spaces.
_WORD = 40
_SHOWN = 1_000


def unread(sentence: str, encoding: Encoding) -> str:
    """The end of a sentence that a truncated encoding leaves out; empty where all is read.

    Args:
        sentence: what was encoded.
        encoding: of the tokenizers library, truncated to what a network reads.

    Returns:
        The words from the first on that is not read whole, as the sentence has them.
    """
    if not encoding.overflowing:
        return ""
    # Special tokens stand for no characters.
    start = next((max(start, 1) for start, end in encoding.overflowing[0].offsets if end > start), len(sentence))
    return sentence[sentence.rfind(" ", max(start - _WORD, 0), start) + 1 or start :]


def unread_ends(sentences: Sequence[str], encodings: Sequence[Encoding]) -> dict[str, str]:
    """Sentence -> its end that is not read, for those that are too long, in their order."""
    ends = {sentence: unread(sentence, each) for sentence, each in zip(sentences, encodings, strict=True)}
    return {sentence: end for sentence, end in ends.items() if end}


def windows(sentence: str, encode: Callable[[str], Encoding]) -> list[str]:
    """A sentence in parts that are each read whole, divided between words where that is possible.

    Args:
        sentence: of any length.
        encode: a text -> its encoding, truncated to what a network reads.
    """
    parts, left = [], sentence.strip()
    while end := unread(left, encode(left)):
        parts.append(left.removesuffix(end).rstrip())
        left = end
    return [*parts, left]


def too_long(ends: Mapping[str, str], sentences: Sequence[str], longest: int, reader: str, place: str = "") -> str:
    """The beginning of a message: how many sentences are too long, and what is not read of the first.

    Args:
        ends: of :func:`unread_ends`; at least one.
        sentences: all of them, of which some may be equal.
        longest: tokens that are read.
        reader: what reads them.
        place: where the first stands, such as ``clip '7'``.
    """
    end = next(iter(ends.values()))
    beyond = f"{end[:_SHOWN]!r}{'...' if len(end) > _SHOWN else ''} is beyond them"
    if len(sentences) == 1:
        return f"The instruction is longer than the {longest} tokens that {reader} reads: {beyond}"
    count = sum(sentence in ends for sentence in sentences)
    first = f"the first, {place}," if place else "the first"
    return (
        f"{count} of {len(sentences)} instructions {'is' if count == 1 else 'are'} longer than the {longest} tokens "
        f"that {reader} reads: of {first} {beyond}"
    )


class TruncationNotice:
    """Says once what a network does not read: beforehand, to whoever knows all sentences, or when the first is cut.

    Args:
        reader: the network's name, for the sentence.
        longest: tokens that it reads.
    """

    def __init__(self, reader: str, longest: int):
        self.reader, self.longest, self.said = reader, longest, False

    def sentence(self, sentences: Sequence[str], encodings: Sequence[Encoding]) -> str | None:
        """What should be known of sentences as they were truncated; None where all are read whole."""
        self.said = True
        ends = unread_ends(sentences, encodings)
        return f"{too_long(ends, sentences, self.longest, self.reader)} and is not judged." if ends else None

    def warn(self, sentences: Sequence[str], encodings: Sequence[Encoding]) -> None:
        """Warn of sentences that were truncated, unless something was said before."""
        if not self.said and any(each.overflowing for each in encodings):
            warnings.warn(str(self.sentence(sentences, encodings)), TruncationWarning, stacklevel=3)


@contextmanager
def truncation_reported() -> Iterator[None]:
    """While open, pipelines do not warn of what they do not read: who opens it has reported all of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InstructionWarning)
        yield
