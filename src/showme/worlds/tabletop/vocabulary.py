"""Words of the tabletop world: colours, shapes, actions and instruction wordings."""

import re

# RGB in 0..1. Spread over hue and lightness so that names are unambiguous at 128 px.
COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.07, 0.08),
    "orange": (1.00, 0.47, 0.02),
    "yellow": (0.98, 0.86, 0.08),
    "green": (0.10, 0.62, 0.16),
    "turquoise": (0.05, 0.75, 0.74),
    "blue": (0.10, 0.26, 0.88),
    "purple": (0.46, 0.12, 0.66),
    "pink": (1.00, 0.50, 0.74),
    "white": (0.97, 0.97, 0.97),
}

SHAPES = ("box", "ball", "can", "mug", "bowl", "bottle", "cone", "tray", "case", "loaf")

# Things that lie on the table for some actions and are never the named object.
PROPS = ("knife", "cloth")

_MOVABLE = ("box", "ball", "can", "mug", "bowl", "bottle", "cone", "case")
_GRASPABLE = ("box", "ball", "can", "mug", "bottle", "cone")

# Shapes on which each action can be done.
ACTION_SHAPES: dict[str, tuple[str, ...]] = {
    "push_left": _MOVABLE,
    "push_right": _MOVABLE,
    "pull_closer": _MOVABLE,
    "move_away": _MOVABLE,
    "lift": _GRASPABLE,
    "put_next_to": _GRASPABLE,
    "put_on_top": ("box", "can", "mug", "cone"),
    "put_into": ("box", "ball", "can", "cone"),
    "turn_over": ("box", "mug", "bottle", "tray"),
    "open": ("case",),
    "close": ("case",),
    "cut": ("loaf",),
    "cover": ("box", "ball", "can", "mug"),
}
ACTIONS = tuple(ACTION_SHAPES)

# Shapes that can be the reference ("the Y") of a two-object action.
REFERENCE_SHAPES: dict[str, tuple[str, ...]] = {
    "put_next_to": ("box", "ball", "can", "mug", "bowl", "bottle", "cone", "case"),
    "put_on_top": ("box", "case"),
    "put_into": ("bowl", "tray"),
}

OPPOSITE = {
    "push_left": "push_right",
    "push_right": "push_left",
    "pull_closer": "move_away",
    "move_away": "pull_closer",
}

TEMPLATES: dict[str, tuple[str, ...]] = {
    "push_left": ("push the {x} to the left", "push the {x} left"),
    "push_right": ("push the {x} to the right", "push the {x} right"),
    "pull_closer": ("pull the {x} closer", "pull the {x} towards you"),
    "move_away": ("move the {x} away", "push the {x} away"),
    "lift": ("lift the {x} up", "lift up the {x}"),
    "put_next_to": ("put the {x} next to the {y}", "place the {x} next to the {y}"),
    "put_on_top": ("put the {x} on top of the {y}", "place the {x} on top of the {y}"),
    "put_into": ("put the {x} into the {y}", "place the {x} into the {y}"),
    "turn_over": ("turn the {x} upside down", "turn the {x} over"),
    "open": ("open the {x}", "open up the {x}"),
    "close": ("close the {x}", "close up the {x}"),
    "cut": ("cut the {x} into pieces", "cut up the {x}"),
    "cover": ("cover the {x} with the cloth", "cover the {x}"),
}


def phrase(action: str, name: str, reference: str | None, wording: int) -> str:
    """The instruction for an action on objects given by name, e.g. ``"red box"``."""
    templates = TEMPLATES[action]
    return templates[wording % len(templates)].format(x=name, y=reference)


def all_words() -> tuple[str, ...]:
    """Every word that can occur in an instruction, sorted, without duplicates."""
    words = set(COLOURS) | set(SHAPES)
    for templates in TEMPLATES.values():
        for template in templates:
            words.update(re.sub(r"\{.\}", " ", template).split())
    return tuple(sorted(words))
