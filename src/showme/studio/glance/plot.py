"""Curves as SVG that stretches to any width, with its labels as text beside it: no script, nothing from the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .axes import SIDE, Axis, axis_of
from .curves import Curve
from .words import escaped, number, text, tick

COLOURS = 5
# Of fewer points all are seen; of more a running mean over a share of them is drawn as well.
_MANY, _SHARE = 40, 20


@dataclass(frozen=True)
class Plot:
    """What is drawn.

    title: above it. curves: at least one. log: whether values are on a logarithmic axis. zero: whether their axis
    begins at zero. unit: how many of the log's units are one of the plot's. noisy: whether a running mean helps.
    legend: whether curves are named.
    """

    title: str
    curves: Sequence[Curve]
    log: bool = False
    zero: bool = False
    unit: float = 1.0
    noisy: bool = True
    legend: bool = True

    def has_mean(self, curve: Curve) -> bool:
        """Whether the running mean of a curve is drawn."""
        return self.noisy and len(curve.steps) > _MANY


def draw_plot(plot: Plot) -> str:
    """A figure as HTML: a line for each curve over the steps, broken where values are no numbers."""
    points = [list(_points(curve, plot)) for curve in plot.curves]
    known = [point for runs in points for run in runs for point in run]
    if not known:
        return f'<figure class="plot"><figcaption>{text(plot.title)}</figcaption><p>{_caption(plot)}</p></figure>'
    x, y = _steps(known), axis_of((value for _, value in known), plot.log, plot.zero)
    lines = "".join(
        _line(place, runs, x, y, plot.has_mean(curve))
        for place, (curve, runs) in enumerate(zip(plot.curves, points, strict=True))
    )
    rules = "".join(f'<path class="rule" d="M0,{_up(y, value):.1f}h{SIDE}"/>' for value in y.ticks())
    heights = "".join(_label("bottom", y.place(value), value) for value in y.ticks())
    steps = "".join(_label("left", x.place(value), value) for value in _whole(x.ticks()))
    return f"""<figure class="plot"><figcaption>{text(plot.title)}</figcaption>{_legend(plot)}
<div class="area"><div class="heights" aria-hidden="true">{heights}</div>
<svg viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" role="img" aria-label="{_spoken(plot)}">{rules}{lines}</svg>
<div class="steps" aria-hidden="true">{steps}</div></div><p>{_caption(plot)}</p></figure>"""


def _points(curve: Curve, plot: Plot) -> Iterator[list[tuple[float, float]]]:
    """Runs of points (step, value) between what cannot be drawn."""
    run: list[tuple[float, float]] = []
    for step, mean in zip(curve.steps, curve.means, strict=True):
        if mean is not None and (mean > 0 or not plot.log):
            run.append((step, mean / plot.unit))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _steps(points: Sequence[tuple[float, float]]) -> Axis:
    first, last = min(step for step, _ in points), max(step for step, _ in points)
    return Axis(first, last) if last > first else Axis(first - 1, first + 1)


def _whole(ticks: Sequence[float]) -> list[float]:
    """Steps are whole numbers."""
    return [value for value in ticks if value == int(value) and value >= 0]


def _up(axis: Axis, value: float) -> float:
    """SVG counts from the top."""
    return SIDE - axis.place(value)


def _line(place: int, runs: Sequence[list[tuple[float, float]]], x: Axis, y: Axis, mean: bool) -> str:
    colour = place % COLOURS
    thin = f'<path class="thin c{colour}" d="{_path(runs, x, y)}"/>' if mean else ""
    shown = [_running(run) for run in runs] if mean else runs
    return f'{thin}<path class="c{colour} d{colour}" d="{_path(shown, x, y)}"/>'


def _path(runs: Sequence[Sequence[tuple[float, float]]], x: Axis, y: Axis) -> str:
    lines = [[f"{x.place(step):.1f},{_up(y, value):.1f}" for step, value in run] for run in runs]
    # A line of no length is a dot.
    return "".join(f"M{line[0]}" + ("h0" if len(line) == 1 else "L" + " ".join(line[1:])) for line in lines)


def _running(run: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Each value the mean of those around it, fewer at the ends."""
    reach = len(run) // _SHARE // 2
    sums = [0.0]
    for _, value in run:
        sums.append(sums[-1] + value)
    means = []
    for place, (step, _) in enumerate(run):
        begin, end = max(place - reach, 0), min(place + reach + 1, len(run))
        means.append((step, (sums[end] - sums[begin]) / (end - begin)))
    return means


def _label(side: str, place: float, value: float) -> str:
    return f'<span style="{side}: {place / SIDE:.2%}">{tick(value)}</span>'


def _legend(plot: Plot) -> str:
    if not plot.legend:
        return ""
    names = "".join(
        f'<li><svg viewBox="0 0 34 4" aria-hidden="true"><path class="c{place % COLOURS} d{place % COLOURS}" '
        f'd="M0,2h34"/></svg>{text(curve.name)}</li>'
        for place, curve in enumerate(plot.curves)
    )
    return f'<ul class="legend">{names}</ul>'


def _spoken(plot: Plot) -> str:
    """The plot for whoever does not see it."""
    parts = []
    for curve in plot.curves:
        known = [(step, mean) for step, mean in zip(curve.steps, curve.means, strict=True) if mean is not None]
        if known:
            (first, before), (last, now) = known[0], known[-1]
            begun = f"{curve.name} is {number(before / plot.unit)} at step {round(first)}"
            parts.append(begun + (f", {number(now / plot.unit)} at step {round(last)}" if last > first else ""))
    return escaped(f"{plot.title}: {'; '.join(parts)}")


def _caption(plot: Plot) -> str:
    """What is drawn, and what is not."""
    width = plot.curves[0].width
    said = []
    if width > 1:
        said.append(f"A point is the mean of {width:,} steps.")
    if any(plot.has_mean(curve) for curve in plot.curves):
        said.append("The thick line is the running mean over a twentieth of the points.")
    for curve in plot.curves:
        if curve.not_finite:
            said.append(f"{text(curve.name)}: {curve.not_finite:,} values are not numbers, and in no mean.")
        below = sum(mean is not None and mean <= 0 for mean in curve.means)
        if plot.log and below:
            said.append(f"{text(curve.name)}: {below:,} points at or below zero have no place on a logarithmic axis.")
    return " ".join(said)
