"""Results side by side: only what was measured alike, and what the measurement can tell apart.

The rule for differences: with values of the same clips, a bootstrap of the paired difference; with one value per set,
such as FVD, whether the intervals overlap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ...data.media.base import one_line
from ...errors import InputError
from ..intervals import Interval, bootstrap
from ..results import Column, Figure, Result, equal_figures
from ..tables import coverage, decimals, flat, heads
from .agreement import check_agreement, short

Noise = Literal["inside", "outside", "unknown"]


@dataclass(frozen=True)
class Cell:
    """A figure in its column.

    figure: None where the row has none. rank: among the models; equal values share it. noise: whether the difference to
    the best model is inside the noise; None for the best itself and where there is no figure. difference: of the row's
    clips to the best model's, with its 95% interval; None where the intervals decided.
    """

    figure: Figure | None
    rank: Literal["best", "second"] | None = None
    noise: Noise | None = None
    difference: Interval | None = None


@dataclass(frozen=True)
class Row:
    """A model or a baseline. cells: by metric."""

    name: str
    baseline: bool
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Comparison:
    """The table.

    protocol: all fields, the same for all. clips: how many. heads: metric -> a figure to take title, unit and direction
    from. rows: models in their order, then baselines. rule: how noise was judged, in words. notes: what differs and is
    still comparable.
    """

    protocol: dict[str, Any]
    clips: int
    heads: dict[str, Figure]
    rows: list[Row]
    rule: str
    notes: list[str]

    def places(self, name: str) -> int:
        """Decimals for a metric."""
        figures = [row.cells[name].figure for row in self.rows]
        return decimals(figure.value for figure in figures if figure is not None)


def compare(results: Mapping[str, Result]) -> Comparison:
    """Put results of one protocol, and of the same clips, into one table.

    Args:
        results: by the name that the table gives each; at least two.

    Raises:
        InputError: fewer than two; other protocols, clips, or networks behind a figure.
    """
    if len(results) < 2:
        raise InputError("A comparison needs at least two results: give their files.")
    check_agreement(results)
    reference = next(iter(results.values()))
    models = {name: _ordered(result, reference.ids, result.model) for name, result in results.items()}
    baselines = _baselines({name: _sorted(result, reference.ids) for name, result in results.items()})
    found: dict[str, Figure] = {}
    for result in results.values():
        found |= {name: head for name, head in heads(result).items() if name not in found}
    every = [(name, column, False) for name, column in models.items()]
    every += [(name, column, True) for name, column in baselines.items()]
    resamples, seed = int(reference.protocol.get("bootstrap", 1000)), int(reference.protocol.get("seed", 0))
    cells = {name: _cells(name, every, found[name].better, resamples, seed) for name in found}
    rows = [
        Row(name, baseline, {metric: cells[metric][place] for metric in found})
        for place, (name, _, baseline) in enumerate(every)
    ]
    return Comparison(reference.protocol, len(reference.ids), found, rows, _rule(resamples), _notes(results, rows))


def _sorted(result: Result, ids: Sequence[str]) -> list[Column]:
    return [_ordered(result, ids, column) for column in result.baselines]


def _ordered(result: Result, ids: Sequence[str], column: Column) -> Column:
    """A column with its clips in the order of ``ids``."""
    if result.ids == ids:
        return column
    places = {name: place for place, name in enumerate(result.ids)}
    clips = {metric: [values[places[name]] for name in ids] for metric, values in column.clips.items()}
    return replace(column, clips=clips)


def _baselines(columns: Mapping[str, Sequence[Column]]) -> dict[str, Column]:
    """Each baseline once where all results agree on it, and with the result's name where they do not."""
    found: dict[str, dict[str, Column]] = {}
    for result, baselines in columns.items():
        for column in baselines:
            found.setdefault(column.name, {})[result] = column
    rows: dict[str, Column] = {}
    for name, by_result in found.items():
        first = next(iter(by_result.values()))
        if all(equal_figures(first, column) for column in by_result.values()):
            # One may have been asked for more metrics than another.
            figures = {metric: each for column in by_result.values() for metric, each in column.figures.items()}
            clips = {metric: each for column in by_result.values() for metric, each in column.clips.items()}
            rows[name] = replace(first, figures=figures, clips=clips)
        else:
            rows |= {f"{name} ({result})": column for result, column in by_result.items()}
    return rows


def _cells(
    metric: str, every: Sequence[tuple[str, Column, bool]], better: str, resamples: int, seed: int
) -> list[Cell]:
    figures = [column.figures.get(metric) for _, column, _ in every]
    known = [each is not None and math.isfinite(each.value) for each in figures]
    models = [place for place, (_, _, baseline) in enumerate(every) if known[place] and not baseline]
    values = {place: figure.value for place, figure in enumerate(figures) if figure is not None and known[place]}
    if not models:
        return [Cell(figure) for figure in figures]
    levels = sorted({values[place] for place in models}, reverse=better == "higher")
    best = next(place for place in models if values[place] == levels[0])
    cells = []
    for place, figure in enumerate(figures):
        rank = _rank(values[place], levels) if place in models else None
        if figure is None or place not in values or rank == "best":
            cells.append(Cell(figure, rank))
            continue
        noise, difference = _noise(metric, every[place][1], every[best][1], resamples, seed)
        cells.append(Cell(figure, rank, noise, difference))
    return cells


def _rank(value: float, levels: Sequence[float]) -> Literal["best", "second"] | None:
    if value == levels[0]:
        return "best"
    return "second" if value == levels[1] else None


def _noise(metric: str, column: Column, best: Column, resamples: int, seed: int) -> tuple[Noise, Interval | None]:
    if metric in column.clips and metric in best.clips:
        ours, theirs = (np.array(each.clips[metric], dtype=np.float64) for each in (column, best))
        differences = (ours - theirs)[np.isfinite(ours) & np.isfinite(theirs)]
        if len(differences) < 2:
            return "unknown", None
        interval = bootstrap(differences, resamples, seed)
        return ("inside" if interval.low <= 0 <= interval.high else "outside"), interval
    one, other = column.figures[metric], best.figures[metric]
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return "unknown", None
    return ("inside" if one.low <= other.high and other.low <= one.high else "outside"), None


def _rule(resamples: int) -> str:
    return (
        "≈ is not told apart from the best model: where clips have values, the 95% interval of the mean difference, "
        f"over the clips that have both, holds zero ({resamples} bootstrap resamples of the pairs); where only the set "
        "has one, the two intervals overlap. ? is undecided: there is no interval, or there are fewer than two such "
        "clips. Baselines take no part in best and second."
    )


def _notes(results: Mapping[str, Result], rows: Sequence[Row]) -> list[str]:
    (first, reference), *others = results.items()
    notes = []
    for metric in dict.fromkeys(metric for row in rows for metric in row.cells):
        figures = {row.name: row.cells[metric].figure for row in rows}
        partly = {name: coverage(each) for name, each in figures.items() if each is not None and coverage(each)}
        if partly:
            title = next(each.title for each in figures.values() if each is not None)
            shares = [f"{share} ({name})" for name, share in partly.items()]
            if len(partly) == len(figures) and len(set(partly.values())) == 1:
                shares = [f"{next(iter(partly.values()))} in each row"]
            notes.append(f"{title} is the mean of {', '.join(shares)}.")
        # What is said of every figure of a column; what is said of some alone stands in their results.
        texts = [each.note for each in figures.values() if each is not None and math.isfinite(each.value)]
        if texts and texts[0] and len(set(texts)) == 1:
            title = next(each.title for each in figures.values() if each is not None)
            notes.append(f"{title}: {texts[0].removesuffix('.')}.")
    if any(result.without_quirks for result in results.values()):
        notes.append("The figures follow the protocol's quirks; the results hold them without these as well.")
    came = {name: _came(result.record) for name, result in results.items()}
    if len(set(came.values())) > 1:
        notes.append(f"Clips came as {'; '.join(f'{way} ({name})' for name, way in came.items())}.")
    ours = _shared(reference)
    for name, result in others:
        theirs = _shared(result)
        notes += [
            f"{key}: {short(ours.get(key, 'not given'))} in {first}, {short(theirs.get(key, 'not given'))} in {name}."
            for key in [*ours, *(key for key in theirs if key not in ours)]
            if ours.get(key) != theirs.get(key)
        ]
    return [one_line(note) for note in notes]


def _came(record: Mapping[str, Any]) -> str:
    """How a result's clips came: what a video's coding costs is charged to its model."""
    generated = record.get("generated", {})
    files, sizes = generated.get("files"), generated.get("sizes", {})
    if not files:
        return str(generated.get("kept as", "unknown"))
    return f"{', '.join(f'{count} {kind}' for kind, count in files.items())} of {', '.join(sizes)}"


def _shared(result: Result) -> dict[str, str]:
    """What of the record is the same for all results that were made alike, whichever model they judge."""
    return flat({name: value for name, value in result.record.items() if name != "generated"})
