"""What readers of a study's table must know: what sets it apart, how noise was judged, what the figures are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...data.media.base import one_line
from ..compare.agreement import short
from ..results import Column, Figure
from ..tables import coverage, flat


def apart(ours: Mapping[str, Any], theirs: Mapping[str, Any], places: tuple[str, str] | None) -> list[str]:
    """What differs between the groups of two tables, one text per field.

    Args:
        ours, theirs: the fields of both protocols.
        places: of both references, where their clips differ.
    """
    ours, theirs = flat(ours), flat(theirs)
    differs = [
        f"{field} is {short(theirs.get(field, 'not given'))} instead of {short(ours.get(field, 'not given'))}"
        for field in dict.fromkeys([*ours, *theirs])
        if ours.get(field) != theirs.get(field) and field != "published"
    ]
    reference = [] if places is None else [f"reference is {short(places[1])} instead of {short(places[0])}"]
    return reference + differs


def rule(seeds: int, resamples: int) -> str:
    """How the noise of a table was judged."""
    several = seeds > 1
    spread = "After ± stands the standard deviation over seeds. " if several else "One seed: its spread is not known. "
    both = "seeds and clips" if several else "clips alone, so that it leaves the seed out of account"
    return (
        f"{spread}Δ is the mean difference to the first row, paired by clip and seed, with its 95% interval: where "
        f"clips have values, of {resamples} bootstrap resamples of {both}; where only the set has one, Student's over "
        "seeds. ≈ is not told apart from the first row: the interval holds zero. ? is undecided: there are fewer "
        "than two seeds, or clips."
    )


def notes(rows: Mapping[str, Sequence[Column]], heads: Mapping[str, Figure], wrong: bool, quirks: bool) -> list[str]:
    """What is not as readers would think.

    Args:
        rows: the columns of each row, one per seed, by its name.
        heads: metric -> a figure to take the title from.
        wrong: whether a row was asked with wrong instructions.
        quirks: whether the protocol has quirks.
    """
    sentences = []
    for metric, head in heads.items():
        least: dict[str, Figure] = {}
        for name, columns in rows.items():
            figures = [column.figures[metric] for column in columns if metric in column.figures]
            lowest = min(figures, key=lambda figure: figure.coverage, default=None)
            if lowest is not None and lowest.coverage and coverage(lowest):
                least[name] = lowest
        if least:
            shares = ", ".join(f"{coverage(figure)} ({name})" for name, figure in least.items())
            sentences.append(f"{head.title} is the mean of those that have a value, at least {shares}.")
    if wrong:
        sentences.append(
            "Of rows asked wrongly, metrics of pixels compare with the true clips all the same, and fall where the "
            "model listens; metrics of text read what was asked."
        )
    if quirks:
        sentences.append("The figures follow the protocol's quirks; the results hold them without these as well.")
    return [one_line(each) for each in sentences]
