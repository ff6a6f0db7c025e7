"""The tab's parts as HTML; every text from outside is escaped here."""

from __future__ import annotations

import time

from .curves import Curve
from .plot import Plot, draw_plot
from .reading import Run
from .words import duration, escaped, gibibytes, number, text

_MEBIBYTES = 1024.0
# Figures of the log beside the losses that the table has, and what they are called there.
_FIGURES = {"gradient_norm": "gradient norm", "rate": "learning rate", "samples_per_second": "samples per second"}


def render_sentence(words: str) -> str:
    """A sentence in the place of what cannot be shown."""
    return f'<div class="glance"><div class="card">{text(words)}</div></div>'


def render_state(run: Run) -> str:
    """What a run is, and how far: a list of terms."""
    entries = [("State", _state(run)), ("Step", _step(run)), ("Trained", _trained(run)), ("Time left", _left(run))]
    if (rate := run.latest.get("samples_per_second")) is not None:
        entries.append(("Samples per second", number(rate)))
    if run.peak_memory_mib is not None:
        entries.append(("Peak memory", gibibytes(run.peak_memory_mib)))
    if run.checkpoints:
        entries.append(("Newest checkpoint", f"step {number(run.checkpoints[-1].step)}"))
    entries += [("Method", f"{run.method}, {run.stage}" if run.stage else run.method)] if run.method else []
    entries += [("Tunes", run.model)] if run.model else []
    items = "".join(
        f'<div><dt>{name}</dt><dd class="{name.lower().replace(" ", "-")}">{text(words)}</dd></div>'
        for name, words in entries
    )
    return f'<div class="glance"><div class="card"><dl>{items}</dl>{_notes(run)}</div></div>'


def _state(run: Run) -> str:
    if run.finished:
        return "finished"
    ago = duration(max(time.time() - run.written, 0)) if run.written is not None else None
    if run.step is None:
        return f"begun {ago} ago, no step yet" if ago else "no step yet"
    return f"training, last step {ago} ago" if run.alive else f"silent for {ago}"


def _step(run: Run) -> str:
    done = number(run.step)
    return done if run.bound.planned_steps is None else f"{done} of {number(run.bound.planned_steps)}"


def _trained(run: Run) -> str:
    bound = run.bound
    if bound.seconds is None:
        return number(None)
    done = duration(bound.seconds)
    if bound.planned_seconds is not None:
        return f"{done} of {duration(bound.planned_seconds)}"
    return done if bound.progress is None else f"{done}, {bound.progress:.0%}"


def _left(run: Run) -> str:
    left = run.bound.seconds_left
    return "not known" if left is None else duration(left) if left < 1 else f"about {duration(left)}"


def _notes(run: Run) -> str:
    notes = []
    if run.read < 1 and run.step is not None:
        notes.append(f"The curves show the first {run.read:.0%} of the log; the rest of it is being read.")
    if run.damaged:
        notes.append(f"Lines of the log that are damaged, and in no figure: {run.damaged:,}.")
    if run.left_out:
        notes.append("The log has more figures than are shown.")
    return "".join(f"<p>{note}</p>" for note in notes)


def render_figures(run: Run, log: bool) -> str:
    """Plots and the table of the latest figures; ``log``: losses on a logarithmic axis."""
    if run.step is None:
        return render_sentence("Plots appear with the first step.")
    plots = []
    if run.losses:
        plots.append(Plot("Loss by term", run.losses, log=log))
    if rate := run.figures.get("samples_per_second"):
        plots.append(Plot("Samples per second", [rate], zero=True, legend=False))
    if memory := run.figures.get("memory_mib"):
        plots.append(Plot("Peak memory so far, GiB", [memory], zero=True, unit=_MEBIBYTES, noisy=False, legend=False))
    wide, *others = [f'<div class="card">{draw_plot(plot)}</div>' for plot in plots] or [""]
    table = f'<div class="card"><h3>Latest figures</h3>{_table(run)}</div>'
    return f'<div class="glance"><div class="wide">{wide}</div><div class="cards">{"".join(others)}{table}</div></div>'


def _table(run: Run) -> str:
    rows = [_row(curve.name, run, curve) for curve in run.losses]
    rows += [_row(title, run, run.figures[name]) for name, title in _FIGURES.items() if name in run.figures]
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("Figure", "Last step", "Mean of the last tenth"))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _row(title: str, run: Run, curve: Curve) -> str:
    known = [mean for mean in curve.means if mean is not None]
    last = known[-max(len(known) // 10, 1) :]
    mean = sum(last) / len(last) if last else None
    cells = f"<td>{number(run.latest.get(curve.name))}</td><td>{number(mean)}</td>"
    return f'<tr><th scope="row">{text(title)}</th>{cells}</tr>'


def render_frame(title: str, url: str, note: str = "") -> str:
    """A page of a run or an evaluation, in a frame in which no script runs.

    Args:
        title: what it is; the frame's name for whoever does not see it.
        url: of the page.
        note: a sentence below it.
    """
    # Of the same origin, it is given the cookies that the server asks for; without scripts it can do nothing with that.
    frame = f'<iframe sandbox="allow-same-origin" src="{escaped(url)}" title="{escaped(title)}"></iframe>'
    link = f'<a href="{escaped(url)}" target="_blank" rel="noopener">Open in a tab of its own</a>'
    below = f"<p>{text(note)}</p>" if note else ""
    return f'<div class="glance"><div class="head"><h3>{text(title)}</h3>{link}</div>{frame}{below}</div>'
