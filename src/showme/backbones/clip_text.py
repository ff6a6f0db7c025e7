"""Sentences read by CLIP's text encoder, for the families that have one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..long_text import LongInstructions
from .base import Backbone
from .instructions import InstructionReader, common_windows


class ClipText(Backbone):
    """A backbone whose ``parts`` hold ``text_encoder`` and ``tokenizer``."""

    @property
    def vocabulary(self) -> Any:
        tokenizer = self.parts.tokenizer
        return [sorted(tokenizer.get_vocab().items()), tokenizer.model_max_length]

    @property
    def text_length(self) -> int:
        return self.parts.tokenizer.model_max_length

    def reader(self, long_instructions: LongInstructions | None = None) -> InstructionReader:
        """What reads sentences for the text encoder; ``long_instructions`` as for :meth:`encode_text`."""
        return InstructionReader(self.parts.tokenizer, long_instructions or self.parts.config.long_instructions)

    def encode_text(  # type: ignore[override]  # it takes no other choices
        self,
        sentences: Sequence[str],
        *,
        device: torch.device | None = None,
        long_instructions: LongInstructions | None = None,
        windows: int | None = None,
    ) -> Tensor:
        """Sentences -> text tokens (n, k L, D): L of the encoder, k = 1 unless ``chunk`` needs more windows.

        A text of fewer windows than k, such as the empty one of guidance, is repeated until it fills them: attention to
        the same tokens several times over equals attention to them once.

        Args:
            sentences: that their end is cut off is not said here, but by the reader's ``check``.
            device: of the encoder when None.
            long_instructions: ``cut``, ``chunk`` or ``refuse``; None: as the model's settings say.
            windows: k, a multiple of each text's own number of windows; None: the least.

        Raises:
            InputError: k would be more than 60.
        """
        reader = self.reader(long_instructions)
        parts = reader.windows(sentences)
        windows = windows or common_windows(parts)
        ids = reader.ids([window for text in parts for window in text])
        device = device or next(self.parts.text_encoder.parameters()).device
        states = self.parts.text_encoder(ids.to(device)).last_hidden_state
        rows = states.split([len(text) for text in parts])
        return torch.stack([row.flatten(0, 1).repeat(windows // len(row), 1) for row in rows])

    def text_choices(self, sentences: Sequence[str]) -> dict[str, Any]:
        return {"windows": common_windows(self.reader().windows(sentences))}

    def check_lengths(
        self,
        sentences: Sequence[str],
        places: Sequence[str] | None = None,
        long_instructions: LongInstructions | None = None,
    ) -> None:
        self.reader(long_instructions).check(sentences, places)
