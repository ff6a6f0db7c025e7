"""Figures of a log over its steps, as means over bins: every value counts, however long the log."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Points of a curve, at most.
MOST_POINTS = 500
# Names in a log, at most: a damaged one may have a new name in every line.
MOST_NAMES = 32
# Beyond it a value counts as infinite, so that no sum is.
_MOST = 1e280


@dataclass(frozen=True)
class Curve:
    """One figure over the steps.

    name: in the log. steps, means: a point for each bin of steps that has the figure: the mean of its steps and of its
    values; None where none of them is a finite number. width: steps of a bin. count: finite values in all.
    not_finite: the others, which are in no mean. greatest: of the finite values, -inf where there are none.
    """

    name: str
    steps: tuple[float, ...]
    means: tuple[float | None, ...]
    width: int
    count: int
    not_finite: int
    greatest: float


@dataclass
class _Bin:
    """Values of one figure in one bin: finite ones, their sum, the sum of all steps, and values that are not finite."""

    count: int = 0
    total: float = 0.0
    steps: int = 0
    not_finite: int = 0

    def add(self, other: _Bin) -> None:
        self.count += other.count
        self.total += other.total
        self.steps += other.steps
        self.not_finite += other.not_finite


class Curves:
    """Sums over bins of steps that grow as the log does.

    A bin is as many steps wide as a power of two. Where there would be more than ``most`` bins, each two neighbours
    become one, so that what is read in parts gives the curves of what is read at once.
    """

    def __init__(self, most: int = MOST_POINTS):
        self.most = most
        self.left_out: set[str] = set()
        self._shift = 0
        self._bins: dict[int, dict[str, _Bin]] = {}
        self._greatest: dict[str, float] = {}

    def add(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Lines of a log, each with an integer ``step``, which is no figure; what is no number is passed over."""
        for row in rows:
            step: int = row["step"]  # type: ignore[assignment]
            place = step >> self._shift
            cells = self._bins.get(place)
            if cells is None:
                cells = self._bins[place] = {}
                if len(self._bins) > self.most:
                    self._widen()
                    cells = self._bins[step >> self._shift]
            for name, value in row.items():
                # No bool, which is an int as well.
                if (type(value) is float or type(value) is int) and name != "step":
                    self._put(cells, name, step, value)  # type: ignore[arg-type]

    def _put(self, cells: dict[str, _Bin], name: str, step: int, value: float) -> None:
        if name not in self._greatest:
            if len(self._greatest) == MOST_NAMES:
                # Names, too, are bounded.
                if len(self.left_out) < MOST_NAMES:
                    self.left_out.add(name)
                return
            self._greatest[name] = -math.inf
        cell = cells.get(name)
        if cell is None:
            cell = cells[name] = _Bin()
        cell.steps += step
        # NaN is between no two numbers.
        if -_MOST < value < _MOST:
            cell.count += 1
            cell.total += value
            if value > self._greatest[name]:
                self._greatest[name] = value
        else:
            cell.not_finite += 1

    def _widen(self) -> None:
        while len(self._bins) > self.most:
            self._shift += 1
            wider: dict[int, dict[str, _Bin]] = {}
            for place, cells in self._bins.items():
                merged = wider.setdefault(place >> 1, {})
                for name, cell in cells.items():
                    merged.setdefault(name, _Bin()).add(cell)
            self._bins = wider

    @property
    def names(self) -> list[str]:
        """Figures in the order of the log's lines."""
        return list(self._greatest)

    def curve(self, name: str) -> Curve:
        """One figure; without points where the log has none of that name."""
        cells = [cells[name] for _, cells in sorted(self._bins.items()) if name in cells]
        return Curve(
            name=name,
            steps=tuple(each.steps / (each.count + each.not_finite) for each in cells),
            means=tuple(each.total / each.count if each.count else None for each in cells),
            width=1 << self._shift,
            count=sum(each.count for each in cells),
            not_finite=sum(each.not_finite for each in cells),
            greatest=self._greatest.get(name, -math.inf),
        )
