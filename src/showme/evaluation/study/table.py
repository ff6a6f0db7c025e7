"""What a study found: means over seeds, and paired differences to the first row.

Rows stand in one table where protocol and true clips are the same; every other group gets a table of its own that says
what differs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ...fingerprint import digest_of
from ..compare.agreement import check_agreement
from ..intervals import Interval
from ..results import Column, Figure, Result, equal_figures
from ..tables import decimals, heads
from .notes import apart, notes, rule
from .paired import paired_interval, seeds_interval
from .plan import Cell

Noise = Literal["inside", "outside", "unknown"]
_LEAST_RESAMPLES = 1000


@dataclass(frozen=True)
class StudyCell:
    """A figure of a row.

    values: of each seed; NaN where it has none. mean: of them. spread: their standard deviation (N - 1); None of a
    single seed, and of baselines. difference: to the first row, with its 95% interval; None of the first row itself, or
    where it cannot be computed. noise: whether that interval holds zero; None of the first row, or
    where there is no mean.
    """

    values: tuple[float, ...]
    mean: float
    spread: float | None
    difference: Interval | None = None
    noise: Noise | None = None


@dataclass(frozen=True)
class StudyRow:
    """A row of the table. baseline: it needs no training. wrong: it was asked for with wrong instructions. cells: by
    metric; a metric that it has not is not among them."""

    name: str
    baseline: bool
    wrong: bool
    cells: dict[str, StudyCell]


@dataclass(frozen=True)
class StudyTable:
    """Rows that compare.

    protocol: all fields but the seed. reference: the place of the true clips, with its fields. apart: what differs from
    the first table; empty of that. heads: metric -> a figure to take title, unit and direction from. rule: how noise
    was judged. notes: what readers must know.
    """

    protocol: dict[str, Any]
    reference: str
    clips: int
    seeds: tuple[int, ...]
    heads: dict[str, Figure]
    rows: list[StudyRow]
    apart: list[str]
    rule: str
    notes: list[str]

    def places(self, metric: str) -> int:
        """Decimals for a metric."""
        return decimals(row.cells[metric].mean for row in self.rows if metric in row.cells)


@dataclass(frozen=True)
class _Columns:
    """A row before it is summed up: a column for each seed."""

    name: str
    baseline: bool
    wrong: bool
    columns: list[Column]


def tables_of(results: Sequence[tuple[Cell, Result]]) -> list[StudyTable]:
    """The tables, in the order of their first rows; differences in each are to its own first row.

    Args:
        results: of every cell, the same rows for each seed.

    Raises:
        InputError: results that were made with other networks, or of other clips, than those beside them.
    """
    groups: dict[str, list[tuple[Cell, Result]]] = {}
    for cell, result in results:
        key = digest_of([_protocol(result), cell.reference])
        groups.setdefault(key, []).append((cell, result))
    (cell, result), *_ = next(iter(groups.values()))
    tables = []
    for group in groups.values():
        other = group[0][0]
        places = None if other.reference == cell.reference else (_place(cell), _place(other))
        tables.append(_table(group, apart(_protocol(result), _protocol(group[0][1]), places)))
    return tables


def _table(group: Sequence[tuple[Cell, Result]], differs: list[str]) -> StudyTable:
    by_row: dict[str, list[tuple[Cell, Result]]] = {}
    for cell, result in group:
        by_row.setdefault(cell.row.name, []).append((cell, result))
    first_cell, first = group[0]
    seeds = tuple(dict.fromkeys(cell.seed for cell, _ in group))
    for seed in seeds:
        check_agreement({cell.row.name: result for cell, result in group if cell.seed == seed})
    rows = []
    for name, pairs in by_row.items():
        columns = [_ordered(result, result.model, first.ids) for _, result in pairs]
        rows.append(_Columns(name, False, pairs[0][0].row.instructions == "wrong", columns))
    # What was asked wrongly says nothing of what can be reached.
    asked = {name: pairs for name, pairs in by_row.items() if pairs[0][0].row.instructions == "own"} or by_row
    rows += _baselines({name: [result for _, result in pairs] for name, pairs in asked.items()}, first.ids)
    found: dict[str, Figure] = {}
    for _, result in group:
        found |= {name: head for name, head in heads(result).items() if name not in found}
    resamples = max(int(first.protocol["bootstrap"]), _LEAST_RESAMPLES)
    summed = []
    for row in rows:
        cells = {metric: _cell(metric, row, rows[0], resamples) for metric in found if _has(row, metric)}
        summed.append(StudyRow(row.name, row.baseline, row.wrong, cells))
    quirks = any(result.without_quirks for _, result in group)
    sentences = notes({row.name: row.columns for row in rows}, found, any(row.wrong for row in rows), quirks)
    return StudyTable(
        protocol=_protocol(first),
        reference=_place(first_cell),
        clips=len(first.ids),
        seeds=seeds,
        heads=found,
        rows=summed,
        apart=differs,
        rule=rule(len(seeds), resamples),
        notes=sentences,
    )


def _has(row: _Columns, metric: str) -> bool:
    return all(metric in column.figures for column in row.columns)


def _cell(metric: str, row: _Columns, first: _Columns, resamples: int) -> StudyCell:
    values = np.array([column.figures[metric].value for column in row.columns])
    # What needs no training has no seed.
    spread = float(values.std(ddof=1)) if len(values) > 1 and not row.baseline else None
    summary = tuple(values.tolist()), float(values.mean()), spread
    if row is first or not math.isfinite(summary[1]):
        return StudyCell(*summary)
    difference = _difference(metric, row, first, resamples) if _has(first, metric) else None
    if difference is None:
        return StudyCell(*summary, noise="unknown")
    return StudyCell(*summary, difference, "inside" if difference.low <= 0 <= difference.high else "outside")


def _difference(metric: str, row: _Columns, first: _Columns, resamples: int) -> Interval | None:
    if all(metric in column.clips for column in (*row.columns, *first.columns)):
        ours, theirs = (
            np.array([column.clips[metric] for column in each.columns], dtype=np.float64) for each in (row, first)
        )
        return paired_interval(ours - theirs, resamples, seed=0)
    ours, theirs = (np.array([column.figures[metric].value for column in each.columns]) for each in (row, first))
    return seeds_interval(ours - theirs)


def _ordered(result: Result, column: Column, ids: Sequence[str]) -> Column:
    """A column with its clips in the order of ``ids``."""
    if result.ids == ids:
        return column
    places = {name: place for place, name in enumerate(result.ids)}
    clips = {metric: [values[places[name]] for name in ids] for metric, values in column.clips.items()}
    return Column(column.name, column.figures, clips)


def _baselines(results: Mapping[str, Sequence[Result]], ids: Sequence[str]) -> list[_Columns]:
    """Each baseline once where all rows agree on it, and with the row's name where they do not."""
    found: dict[str, dict[str, list[Column]]] = {}
    for row, every in results.items():
        for number, column in enumerate(every[0].baselines):
            columns = [_ordered(result, result.baselines[number], ids) for result in every]
            found.setdefault(column.name, {})[row] = columns
    rows = []
    for name, by_row in found.items():
        first = next(iter(by_row.values()))
        if all(equal_figures(a, b) for columns in by_row.values() for a, b in zip(first, columns, strict=True)):
            by_row = {"": first}
        rows += [_Columns(f"{name} ({row})" if row else name, True, False, columns) for row, columns in by_row.items()]
    return rows


def _protocol(result: Result) -> dict[str, Any]:
    return {name: value for name, value in result.protocol.items() if name != "seed"}


def _place(cell: Cell) -> str:
    return " ".join([cell.request.reference, *cell.request.reference_fields])
