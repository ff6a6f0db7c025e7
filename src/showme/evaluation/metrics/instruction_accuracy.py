"""Whether a clip of the tabletop world shows the action that its instruction asks for."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError
from ...fingerprint import weights_digest
from ...worlds.tabletop.vocabulary import ACTIONS, COLOURS, SHAPES, TEMPLATES
from ..networks.instruction_classifier import InstructionClassifier
from .base import ClipMetric, Pairs


class InstructionAccuracy(ClipMetric):
    """1 where the classifier sees the action of the clip's instruction in the generated clip, else 0.

    The classifier sees changes since the first frame and what lies right beside them, and a clip that stands still
    shows no action, so that a model cannot score by what its first frame gives away. It looks at the action alone:
    whether it is done to the right object, :class:`ObjectNear` says. The classifier errs as well: its accuracy on true
    renders of 16 frames is in the record.

    Args:
        classifier: None for the packaged one.

    Raises:
        InputError: an instruction that is none of the tabletop world's, or clips of one frame.
    """

    better = "higher"

    def __init__(self, classifier: InstructionClassifier | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.classifier = InstructionClassifier.from_assets() if classifier is None else classifier

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {
            "weights": weights_digest(self.classifier),
            "accuracy_on_true_renders": self.classifier.accuracy,
        }

    def score(self, pairs: Pairs) -> Tensor:
        asked = [_asked(sentence, name) for sentence, name in zip(pairs.instructions, pairs.ids, strict=True)]
        clips = pairs.generated
        if pairs.first is not None and not torch.equal(pairs.first, pairs.reference[:, 0]):
            # The frame that changes are counted from was left out of what is compared.
            clips = torch.cat([pairs.first[:, None], clips], dim=1)
        seen = self.classifier.actions(clips)
        return torch.tensor([a == b for a, b in zip(asked, seen, strict=True)], dtype=torch.float64)


def action_of(instruction: str) -> str | None:
    """The action that a sentence of the tabletop world asks for; None for a sentence of another kind."""
    words = " ".join(instruction.lower().rstrip(" .").split())
    return next((action for action in ACTIONS if _pattern(action).fullmatch(words)), None)


@cache
def _pattern(action: str) -> re.Pattern[str]:
    thing = rf"(?:{'|'.join(COLOURS)}) (?:{'|'.join(SHAPES)})"
    return re.compile("|".join(template.format(x=thing, y=thing) for template in TEMPLATES[action]))


def _asked(instruction: str, name: str) -> str:
    action = action_of(instruction)
    if action is None:
        raise InputError(
            f"The instruction {instruction!r} of the clip {name!r} names no action of the tabletop world: leave "
            "instruction accuracy to that world's clips."
        )
    return action
