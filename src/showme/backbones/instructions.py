"""Instructions as the text encoder reads them: whole, without their end, or in several windows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..errors import InputError, TruncationWarning
from ..long_text import LONG_INSTRUCTIONS, LongInstructions, too_long, unread_ends, windows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from .plain_video_unet import PlainTokenizer

# Laid end to end; each costs the cross-attention to text as much as the first.
_MOST_WINDOWS = 60
# Texts that are asked about at a time: of a data set's, the encodings of all would not be small.
_TOGETHER = 1024


class InstructionReader:
    """A tokenizer, and what becomes of instructions of more tokens than the text encoder has positions for.

    Args:
        tokenizer: whose ``model_max_length`` is what the encoder reads, its start and end tokens among them.
        long_instructions: ``cut`` leaves their end out; ``chunk`` divides them into windows that are each read whole;
            ``refuse`` is an error.

    Raises:
        ValueError: no such choice.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase | PlainTokenizer, long_instructions: LongInstructions):
        if long_instructions not in LONG_INSTRUCTIONS:
            raise ValueError(f"long_instructions {long_instructions!r}: choose {', '.join(LONG_INSTRUCTIONS)}.")
        self.tokenizer, self.long_instructions = tokenizer, long_instructions

    def check(self, instructions: Sequence[str], places: Sequence[str] | None = None) -> None:
        """Warn, once, of all instructions whose end is cut off; or refuse them.

        Args:
            instructions: any number.
            places: where each stands, such as ``clip '7'``, for the message.

        Raises:
            InputError: one is too long, with ``refuse``.
        """
        if self.long_instructions == "chunk" or not instructions:
            return
        ends = self._unread(list(dict.fromkeys(instructions)))
        if not ends:
            return
        place = places[list(instructions).index(next(iter(ends)))] if places else ""
        sentence = too_long(ends, instructions, self.tokenizer.model_max_length, "the model", place)
        if self.long_instructions == "refuse":
            raise InputError(f"{sentence}: shorten what is too long, or set long_instructions to chunk or cut.")
        remedy = "shorten what is too long, or set long_instructions to chunk"
        warnings.warn(f"{sentence} and is cut off: {remedy}.", TruncationWarning, stacklevel=3)

    def windows(self, texts: Sequence[str]) -> list[list[str]]:
        """Each text in the parts that the encoder reads one by one; but for ``chunk``, the text itself."""
        long = self._unread(texts) if self.long_instructions == "chunk" else {}
        return [windows(text, self._encoding) if text in long else [text] for text in texts]

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Token ids (B, L), padded and cut to what the encoder reads."""
        return self._tokens(texts, return_tensors="pt").input_ids

    def _unread(self, texts: Sequence[str]) -> dict[str, str]:
        ends: dict[str, str] = {}
        for start in range(0, len(texts), _TOGETHER):
            part = texts[start : start + _TOGETHER]
            ends |= unread_ends(part, self._tokens(part).encodings)
        return ends

    def _encoding(self, text: str) -> Any:
        return self._tokens([text]).encodings[0]

    def _tokens(self, texts: Sequence[str], **options: Any) -> Any:
        # Always the same settings: threads share the tokenizer, and these are a part of its state.
        longest = self.tokenizer.model_max_length
        return self.tokenizer(list(texts), padding="max_length", truncation=True, max_length=longest, **options)


def common_windows(parts: Sequence[Sequence[str]]) -> int:
    """The least number of windows that every text, repeated, fills exactly.

    Raises:
        InputError: more than 60.
    """
    count = math.lcm(*(len(text) for text in parts))
    if count > _MOST_WINDOWS:
        sizes = ", ".join(map(str, sorted({len(text) for text in parts})))
        raise InputError(
            f"The instructions fill {sizes} windows of the text encoder, and to be read together they would need "
            f"{count} each, more than {_MOST_WINDOWS}: shorten the longest, or set long_instructions to cut."
        )
    return count
