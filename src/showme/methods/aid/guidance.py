"""Guidance by picture and by text apart, and the context that stands for a text that is not there."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import InputError

# What a branch is given: the text, the picture.
Branch = tuple[bool, bool]
_ALL: Branch = (True, True)


@dataclass(frozen=True)
class DualGuidance:
    """e(0,0) + s_V [e(0,V) - e(0,0)] + s_T [e(T,V) - e(0,V)], as InstructPix2Pix writes it (arXiv 2211.09800).

    Attributes:
        text: s_T.
        visual: s_V.
    """

    text: float
    visual: float

    @property
    def branches(self) -> list[Branch]:
        """(text, picture) of each pass that is needed, the whole last: a scale of 1 saves one."""
        if self.visual == 1:
            return [_ALL] if self.text == 1 else [(False, True), _ALL]
        return [(False, False), (False, True), _ALL] if self.text != self.visual else [(False, False), _ALL]

    def combine(self, predictions: Tensor) -> Tensor:
        """Predictions (K B, ...) of the branches in their order -> (B, ...)."""
        parts = predictions.chunk(len(self.branches))
        if len(parts) == 1:
            return parts[0]
        if len(parts) == 2:
            # Equal scales leave the middle out: e(0,0) + s [e(T,V) - e(0,0)].
            return parts[0] + self.text * (parts[1] - parts[0])
        nothing, picture, everything = parts
        return nothing + self.visual * (picture - nothing) + self.text * (everything - picture)


def null_context(tokens: Tensor, like: Tensor) -> Tensor:
    """The base's own tokens of an empty text (B, L, D), as often as fill a context (B, T', M, D).

    Attention to the same tokens several times over equals attention to them once, so that the base reads what it has
    always read there.

    Raises:
        InputError: M is no multiple of L.
    """
    times, rest = divmod(like.shape[2], tokens.shape[1])
    if rest:
        raise InputError(
            f"dqformer.queries gives every frame {like.shape[2]} tokens, which the {tokens.shape[1]} of an empty text "
            "do not fill: choose a multiple of these, or set null_context to dqformer."
        )
    return tokens.repeat(1, times, 1)[:, None].expand(-1, like.shape[1], -1, -1).to(like.dtype)


def chosen(condition: Tensor, if_true: Tensor, if_false: Tensor) -> Tensor:
    """Rows (B, ...) of either, by a bool (B,)."""
    return torch.where(condition.view(-1, *[1] * (if_true.ndim - 1)), if_true, if_false)
