"""From values to places on a plot, and where its axes are labelled."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

# Places are shares of the plot, in so many parts.
SIDE = 1000
_GAPS = 4


@dataclass(frozen=True)
class Axis:
    """One axis; low, high: the values at its ends, low < high; both above zero on a logarithmic one."""

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """0 at the low end to ``SIDE`` at the high one."""
        low, high, value = (math.log(each) if self.log else each for each in (self.low, self.high, value))
        return SIDE * (value - low) / (high - low)

    def ticks(self) -> list[float]:
        """Round values between the ends: those to label."""
        if self.log:
            for mantissas in ((1,), (1, 3), (1, 2, 5)):
                values = list(_mantissas(self.low, self.high, mantissas))
                if len(values) >= 2:
                    return values[:: -(-len(values) // (_GAPS + 2))]
        gap = _round_gap(self.high - self.low)
        first, last = math.ceil(self.low / gap), math.floor(self.high / gap)
        return [place * gap for place in range(first, last + 1)]


def axis_of(values: Iterable[float], log: bool = False, zero: bool = False) -> Axis:
    """An axis that holds all values, with a margin.

    Args:
        values: finite; on a logarithmic axis those above zero count.
        log: whether it is logarithmic.
        zero: whether it begins at zero.
    """
    kept = [value for value in values if value > 0 or not log]
    low, high = (min(kept), max(kept)) if kept else (1.0, 1.0)
    if log:
        margin = (high / low) ** 0.04 if high > low else 2.0
        return Axis(low / margin, high * margin, log=True)
    # Equal values get a height.
    margin = 0.04 * (high - low) or max(abs(high), 1e-12) * 0.5
    bottom = 0.0 if zero and low >= 0 else low - margin
    # Nothing below zero is shown of what is never below it.
    return Axis(max(bottom, 0.0) if low >= 0 else bottom, high + margin)


def _mantissas(low: float, high: float, mantissas: tuple[int, ...]) -> Iterable[float]:
    for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (value for each in mantissas if low <= (value := each * 10.0**exponent) <= high)


def _round_gap(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that a span has at most ``_GAPS`` of it, and not far fewer."""
    power = 10.0 ** math.floor(math.log10(span / _GAPS))
    return next(gap * power for gap in (1, 2, 5, 10) if span / (gap * power) <= _GAPS)
