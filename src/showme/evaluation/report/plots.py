"""The values of all clips of one metric, sorted, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeGuard

from ..results import Figure, Result
from ..tables import interval, places, say, title
from .choice import spread

COLOURS = 5
# Points of a plot: of more clips so many are drawn, evenly spread over the sorted values.
_MOST_POINTS = 512
_WIDTH, _HEIGHT = 360, 176
_LEFT, _TOP, _BASE = 50, 8, 156


@dataclass(frozen=True)
class _Axes:
    """From values to places on the plot; low, high: the values at its bottom and top."""

    low: float
    high: float

    def x(self, place: int, count: int) -> str:
        return f"{_LEFT + (_WIDTH - _LEFT) * (place + 0.5) / count:.1f}"

    def y(self, value: float) -> str:
        # What a file claims beyond all values stays on the plot.
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return f"{_BASE - (_BASE - _TOP) * share:.1f}"


def draw_plot(result: Result, name: str) -> str:
    """A card with the plot of a metric: a dot per clip, worst on the left; a line per baseline, sorted the same way.

    Hovering over a dot names the clip.
    """
    figure = result.model.figures[name]
    worst_first = figure.better == "lower"
    pairs = zip(result.model.clips[name], result.ids, strict=True)
    points = sorted(((value, clip) for value, clip in pairs if _known(value)), reverse=worst_first)
    head = f"<h3>{escape(title(figure))}</h3>"
    if not points:
        return f'<div class="card">{head}<p class="soft">No clip has a value.</p></div>'
    curves = [sorted(filter(_known, each.clips.get(name, [])), reverse=worst_first) for each in result.baselines]
    axes = _axes([value for value, _ in points] + [value for curve in curves for value in curve])
    digits = places(result, name)
    drawn = spread(len(points), _MOST_POINTS)
    return f"""<div class="card">{head}
<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(figure.title)} of each clip, sorted">
<line class="axis" x1="{_LEFT}" y1="{_BASE}" x2="{_WIDTH}" y2="{_BASE}"/>
{_mean(figure, axes)}
{"".join(_curve(number, curve, axes) for number, curve in enumerate(curves))}
{"".join(_dot(place, points, axes, digits, len(drawn)) for place in drawn)}
<text x="{_LEFT - 6}" y="{_TOP + 4}" text-anchor="end">{say(axes.high, digits)}</text>
<text x="{_LEFT - 6}" y="{_BASE}" text-anchor="end">{say(axes.low, digits)}</text>
<text x="{_LEFT}" y="{_HEIGHT - 6}">worst</text>
<text x="{_WIDTH}" y="{_HEIGHT - 6}" text-anchor="end">best</text>
</svg><p class="soft">{_caption(figure, digits, len(drawn), len(points), len(result.ids))}</p></div>"""


def _mean(figure: Figure, axes: _Axes) -> str:
    """A line, and its interval as a band."""
    if not _known(figure.value):
        return ""
    y = axes.y(figure.value)
    line = f'<line class="mean" x1="{_LEFT}" y1="{y}" x2="{_WIDTH}" y2="{y}"/>'
    if figure.low is None or figure.high is None:
        return line
    top, bottom = axes.y(figure.high), axes.y(figure.low)
    height = f"{float(bottom) - float(top):.1f}"
    return f'<rect class="band" x="{_LEFT}" y="{top}" width="{_WIDTH - _LEFT}" height="{height}"/>{line}'


def _curve(number: int, values: Sequence[float], axes: _Axes) -> str:
    places = spread(len(values), _MOST_POINTS) if values else []
    points = " ".join(f"{axes.x(place, len(values))},{axes.y(values[place])}" for place in places)
    return f'<polyline class="c{number % COLOURS}" points="{points}"/>' if points else ""


def _dot(place: int, points: Sequence[tuple[float, str]], axes: _Axes, digits: int, drawn: int) -> str:
    value, clip = points[place]
    radius = 3.2 if drawn <= 64 else 2
    return (
        f'<circle class="dot" cx="{axes.x(place, len(points))}" cy="{axes.y(value)}" r="{radius}">'
        f"<title>{escape(clip)}: {say(value, digits)}</title></circle>"
    )


def draw_legend(result: Result) -> str:
    """Which colour is whose."""
    names = [column.name for column in (result.model, *result.baselines)]
    marks = ["own", *(f"c{number % COLOURS}" for number in range(len(names) - 1))]
    entries = zip(marks, names, strict=True)
    items = "".join(f'<span><i class="{mark}"></i><bdi>{escape(name)}</bdi></span>' for mark, name in entries)
    return f'<p class="legend">{items}</p>'


def _caption(figure: Figure, digits: int, drawn: int, known: int, clips: int) -> str:
    words = f"Mean {say(figure.value, digits)} {interval(figure, digits)}".rstrip() + f", {known} clips."
    if drawn < known:
        words += f" {drawn} of them are drawn, evenly spread."
    if known < clips:
        words += f" {clips - known} of {clips} have no value."
    return words


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _axes(values: Sequence[float]) -> _Axes:
    low, high = min(values), max(values)
    # Equal values get a height.
    pad = 0.04 * (high - low) or max(abs(low), 1.0) * 0.1
    # Nothing below zero is shown of what is never below it, and nothing above one of shares.
    return _Axes(low - pad if low < 0 else max(low - pad, 0.0), min(high + pad, 1.0) if high <= 1 else high + pad)
