"""Which clips a report shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..results import Result
from ..tables import heads, title

MOST = 6


@dataclass(frozen=True)
class Group:
    """Clips that are shown together: a heading, what chose them, and their ids."""

    heading: str
    why: str
    ids: list[str]


def choose(result: Result) -> list[Group]:
    """The best and the worst clips, at most six of each and none twice, by the first metric that tells clips apart.

    That is the first, in the protocol's order, with values of clips; where there is none, clips evenly spread over all.
    """
    name, known = next(((name, known) for name in heads(result) if (known := _values(result, name))), ("", []))
    if not known:
        ids = [result.ids[place] for place in spread(len(result.ids), MOST)]
        return [Group("Some clips", f"{len(ids)} of {len(result.ids)}: no metric has values of single clips.", ids)]
    head = heads(result)[name]
    # Of equal values the earlier clip is the better one, so that the choice does not depend on ids.
    ordered = [clip for _, clip in sorted(known, key=lambda each: each[0], reverse=head.better == "higher")]
    best = ordered[: min(MOST, math.ceil(len(ordered) / 2))]
    worst = ordered[len(best) :][-MOST:][::-1]
    why = f"by {title(head)}, of the {len(known)} clips that have a value"
    return [
        Group("Best clips", f"{len(best)} {why}, the best first.", best),
        Group("Worst clips", f"{len(worst)} {why}, the worst first.", worst),
    ]


def _values(result: Result, name: str) -> list[tuple[float, str]]:
    pairs = zip(result.model.clips.get(name, []), result.ids, strict=False)
    return [(value, clip) for value, clip in pairs if value is not None and math.isfinite(value)]


def spread(count: int, wanted: int) -> list[int]:
    """``wanted`` of ``count`` places, first and last included, each once; all where there are fewer."""
    return np.unique(np.linspace(0, count - 1, min(wanted, count)).round().astype(int)).tolist()
