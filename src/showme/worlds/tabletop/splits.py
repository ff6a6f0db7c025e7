"""Seed ranges of the splits, and the combinations kept for ``test_novel``."""

import hashlib
from functools import cache

from showme.worlds.tabletop.vocabulary import ACTION_SHAPES, COLOURS

# Each split owns the half-open range of seeds [start, start + 10 million).
SPLITS: dict[str, range] = {
    "train": range(0, 10_000_000),
    "validation": range(10_000_000, 20_000_000),
    "test": range(20_000_000, 30_000_000),
    "test_novel": range(30_000_000, 40_000_000),
}

# A (colour, shape, action) combination.
Combo = tuple[str, str, str]


def all_combos() -> tuple[Combo, ...]:
    """Every possible (colour, shape, action) of the named object."""
    return tuple(
        (colour, shape, action) for action, shapes in ACTION_SHAPES.items() for shape in shapes for colour in COLOURS
    )


@cache
def is_novel(combo: Combo) -> bool:
    """True for the one colour in nine that is held out for each shape and action.

    Such combinations occur in ``test_novel`` only. Every action has some, and a hash of
    the names picks them, so that adding a shape or an action moves no other one.
    """
    colour, shape, action = combo

    def rank(name: str) -> bytes:
        return hashlib.sha256(f"{name} {shape} {action}".encode()).digest()

    return colour == min(COLOURS, key=rank)


def split_seed(split: str, seed: int) -> int:
    """The seed inside the range of ``split`` that ``seed`` stands for.

    A seed already inside the range is kept; a smaller one counts from its start.

    Raises:
        ValueError: unknown split, or a seed in another split's range.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
    owned = SPLITS[split]
    if seed in owned:
        return seed
    if 0 <= seed < len(owned):
        return owned.start + seed
    raise ValueError(f"seed {seed} belongs to another split than {split!r}")
