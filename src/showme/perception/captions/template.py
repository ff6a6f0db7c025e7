"""The tabletop world's own captions: its instructions are all known, so that their states can be written down.

Every sentence holds for every clip that :mod:`showme.worlds.tabletop.actions` plays: which side the hand touches, where
a thing is put, how many pieces a loaf falls into.
"""

from __future__ import annotations

import re

from PIL import Image

from ...errors import InputError
from ...worlds.tabletop.vocabulary import ACTION_SHAPES, COLOURS, REFERENCE_SHAPES, SHAPES, TEMPLATES
from .prompts import Prompt

# The others stand.
_LYING = ("ball", "tray", "loaf")

# {x}, {y}: the things' names; {stands}: how the first is on the table.
_TAKES_HOLD = "The hand takes hold of the {x}."
_AT_REST = "The {x} {stands} on the table."
_BOTH = "The {x} and the {y} are both on the table."
_STATES: dict[str, tuple[str, str, str, str]] = {
    "push_left": (
        _AT_REST,
        "The hand touches the right side of the {x}.",
        "The hand pushes the {x} to the left.",
        "The {x} {stands} further to the left.",
    ),
    "push_right": (
        _AT_REST,
        "The hand touches the left side of the {x}.",
        "The hand pushes the {x} to the right.",
        "The {x} {stands} further to the right.",
    ),
    "pull_closer": (
        _AT_REST,
        _TAKES_HOLD,
        "The hand pulls the {x} closer to the viewer.",
        "The {x} {stands} closer to the viewer.",
    ),
    "move_away": (
        _AT_REST,
        "The hand touches the near side of the {x}.",
        "The hand pushes the {x} away from the viewer.",
        "The {x} {stands} further away from the viewer.",
    ),
    "lift": (_AT_REST, _TAKES_HOLD, "The hand lifts the {x} off the table.", "The hand holds the {x} above the table."),
    "put_next_to": (
        _BOTH,
        _TAKES_HOLD,
        "The hand carries the {x} over to the right side of the {y}.",
        "The {x} {stands} on the table just to the right of the {y}.",
    ),
    "put_on_top": (
        _BOTH,
        _TAKES_HOLD,
        "The hand carries the {x} over to the {y} and lowers it.",
        "The {x} {stands} on top of the {y}.",
    ),
    "put_into": (
        _BOTH,
        _TAKES_HOLD,
        "The hand carries the {x} over to the {y} and lowers it.",
        "The {x} {stands} in the {y}.",
    ),
    "turn_over": (
        "The {x} {stands} right side up on the table.",
        _TAKES_HOLD,
        "The hand lifts the {x} a little and turns it over.",
        "The {x} {stands} upside down on the table.",
    ),
    "open": (
        "The {x} {stands} on the table with its lid shut.",
        "The hand touches the front edge of the {x}'s lid.",
        "The hand raises the lid of the {x}.",
        "The {x} {stands} on the table with its lid open.",
    ),
    "close": (
        "The {x} {stands} on the table with its lid open.",
        "The hand touches the edge of the {x}'s raised lid.",
        "The hand lowers the lid of the {x}.",
        "The {x} {stands} on the table with its lid shut.",
    ),
    "cut": (
        "The {x} and a knife are on the table.",
        "The hand holds the knife above the {x}.",
        "The hand cuts the {x} with the knife.",
        "The {x} {stands} on the table in four pieces.",
    ),
    "cover": (
        "The {x} and a folded cloth are on the table.",
        "The hand picks up the cloth.",
        "The hand carries the cloth over to the {x} and lowers it.",
        "The cloth is draped over the {x}.",
    ),
}

_PUSHES = "The person places a hand against the {side} side of the {x} and pushes it {way} across the table."
_LIFTS = "The person takes hold of the {x}, lifts it off the table"
_ENRICHMENT: dict[str, str] = {
    "push_left": _PUSHES.replace("{side}", "right").replace("{way}", "to the left"),
    "push_right": _PUSHES.replace("{side}", "left").replace("{way}", "to the right"),
    "pull_closer": "The person takes hold of the {x} and pulls it closer across the table.",
    "move_away": _PUSHES.replace("{side}", "near").replace("{way}", "away"),
    "lift": "The person takes hold of the {x} and lifts it straight up off the table.",
    "put_next_to": _LIFTS + " and sets it down just to the right of the {y}.",
    "put_on_top": _LIFTS + " and sets it down on top of the {y}.",
    "put_into": _LIFTS + ", carries it over to the {y} and lowers it inside.",
    "turn_over": "The person takes hold of the {x}, lifts it a little, turns it over in the air and sets it down "
    "upside down.",
    "open": "The person puts a fingertip to the front edge of the {x}'s lid and raises it until the case stands open.",
    "close": "The person puts a fingertip to the edge of the {x}'s raised lid and lowers it until the case is shut.",
    "cut": "The person picks up the knife and cuts down through the {x} three times, so that it falls into four "
    "pieces.",
    "cover": "The person picks up the folded cloth, carries it over to the {x} and lays it over the top.",
}

_THING = rf"(?:{'|'.join(COLOURS)}) (?:{'|'.join(SHAPES)})"
_PATTERNS = [
    (
        action,
        re.compile(re.escape(template).replace(r"\{x\}", f"(?P<x>{_THING})").replace(r"\{y\}", f"(?P<y>{_THING})")),
    )
    for action, templates in TEMPLATES.items()
    for template in templates
]


class TabletopWords:
    """A captioner that reads the instruction and looks at no picture; for the tabletop world only."""

    name = "tabletop"

    def answer(self, picture: Image.Image, prompt: Prompt, instruction: str, attempt: int = 0) -> str:
        """What happens, in four numbered sentences or in one.

        Args:
            picture: is not looked at.
            prompt: ``states`` or ``enrichment``.
            instruction: one of the world's, in any case.
            attempt: makes no difference.

        Raises:
            InputError: another prompt, or an instruction that is not of the tabletop world.
        """
        if prompt.name == "states":
            return "\n".join(f"{number}. {state}" for number, state in enumerate(tabletop_states(instruction), 1))
        if prompt.name == "enrichment":
            return tabletop_enrichment(instruction)
        raise InputError(f"The captioner tabletop answers states and enrichment, not {prompt.name}: choose a model.")


def tabletop_states(instruction: str) -> tuple[str, str, str, str]:
    """Four sentences: before, with the hand there, while it acts, and after.

    Raises:
        InputError: an instruction that is not of the tabletop world.
    """
    action, words = _read(instruction)
    first, second, third, fourth = (state.format(**words) for state in _STATES[action])
    return first, second, third, fourth


def tabletop_enrichment(instruction: str) -> str:
    """How the action is done, in one sentence.

    Raises:
        InputError: an instruction that is not of the tabletop world.
    """
    action, words = _read(instruction)
    return _ENRICHMENT[action].format(**words)


def _read(instruction: str) -> tuple[str, dict[str, str]]:
    """The action and the words that go into its sentences."""
    plain = " ".join(instruction.casefold().split()).rstrip(" .!")
    for action, pattern in _PATTERNS:
        found = pattern.fullmatch(plain)
        if found is None:
            continue
        names = found.groupdict()
        x, y = names["x"], names.get("y")
        shape = x.split()[1]
        fits = shape in ACTION_SHAPES[action] and (y is None or y.split()[1] in REFERENCE_SHAPES[action])
        if fits and x != y:
            return action, {"x": x, "y": y or "", "stands": "lies" if shape in _LYING else "stands"}
    raise InputError(
        f'"{instruction[:80]}" is not an instruction of the tabletop world, the only one that the captioner tabletop '
        "knows: choose transformers:MODEL or server:ADDRESS#MODEL."
    )
