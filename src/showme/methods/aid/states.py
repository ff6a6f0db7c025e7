"""The states between beginning and end: of the clips of a training, and of one photo."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...data.cache import Part
from ...data.rows import ClipRows
from ...data.sources.lists import read_states
from ...errors import InputError
from ...fingerprint import code_digest, digest_of, weights_digest
from ...perception.captions.template import tabletop_states
from ..cached import code_of

_TABLETOP, _TABLETOP_STATES = "tabletop", 4


def state_texts(rows: ClipRows, source: str) -> list[tuple[str, ...]]:
    """The states of every row, in their order.

    Args:
        rows: the clips.
        source: ``tabletop``, or a list of ``showme data annotate labels=[states]``.

    Raises:
        InputError: no such list, one that lacks clips, or an instruction that is none of the rendered world's.
    """
    records = [rows.record(row) for row in range(len(rows))]
    if source == _TABLETOP:
        return [tabletop_states(record.instruction) for record in records]
    known = read_states(Path(source))
    lacking = [record.id for record in records if record.id not in known]
    if lacking:
        raise InputError(
            f"states {source} has none of {len(lacking)} of {len(records)} clips, {lacking[0]!r} first: run "
            "`showme data annotate` with labels=[states] and the same source."
        )
    return [known[record.id] for record in records]


def world_states(instruction: str) -> tuple[str, ...] | None:
    """The rendered world's states of an instruction; None: it is none of that world's."""
    try:
        return tabletop_states(instruction)
    except InputError:
        return None


def encode_states(backbone: Any, texts: Sequence[Sequence[str]], most: int, **choices: Any) -> tuple[Tensor, Tensor]:
    """Tokens (n, S, L, D) of the states of n clips, and which of them are there (n, S): bool, S = ``most``."""
    flat = [text for states in texts for text in (*states, *[""] * (most - len(states)))]
    tokens = backbone.encode_text(flat, **choices).unflatten(0, (len(texts), most))
    there = torch.tensor([[number < len(states) for number in range(most)] for states in texts])
    return tokens, there.to(tokens.device)


def states_part(backbone: Any, rows: ClipRows, source: str) -> Part:
    """``states`` (S, L, D) in half precision and ``states_there`` (S,) of every clip.

    Raises:
        InputError: as :func:`state_texts`.
    """
    texts = state_texts(rows, source)
    most = max(map(len, texts))
    words = sorted({text for states in texts for text in states} | {""})
    choices = backbone.text_choices(words)
    backbone.check_lengths([text for states in texts for text in states])
    fingerprint = choices | {
        "text encoder": weights_digest(backbone.encoders["text"]),
        "vocabulary": digest_of(backbone.vocabulary),
        "states": most,
        "code of the states": code_digest((sys.modules[__name__], *code_of(backbone))),
    }

    @torch.no_grad()
    def encode(numbers: Sequence[int]) -> dict[str, Tensor]:
        tokens, there = encode_states(backbone, [texts[number] for number in numbers], most, **choices)
        return {"states": tokens.half(), "states_there": there}

    identities = [digest_of([name, states]) for name, states in zip(rows.identities, texts, strict=True)]
    return Part("states", fingerprint, identities, encode, chunk=64)


def blank_states(backbone: Any, source: str) -> dict[str, Tensor]:
    """What :func:`states_part` keeps of one clip, in zeros: as many states as the clip that has most.

    Raises:
        InputError: no such list.
    """
    most = _TABLETOP_STATES if source == _TABLETOP else max(map(len, read_states(Path(source)).values()), default=1)
    tokens = torch.zeros(most, backbone.text_length, backbone.widths[0], dtype=torch.half)
    return {"states": tokens, "states_there": torch.ones(most, dtype=torch.bool)}
