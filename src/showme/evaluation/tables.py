"""Results as tables, CSV, LaTeX and plain text, and how numbers are said in all of them."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..data.media.base import one_line
from .protocol import protocol_title
from .results import Column, Figure, Result

MISSING = "–"
ARROWS = {"higher": "↑", "lower": "↓"}
# Fields of a figure that CSV gives beside its value, as suffixes of the metric's name.
_BESIDE = ("low", "high", "count", "coverage")
_LATEX_ARROWS = {"higher": r"$\uparrow$", "lower": r"$\downarrow$"}
# Brackets: after a line's end LaTeX takes them for the height of the row.
_LATEX = str.maketrans(
    {each: rf"\{each}" for each in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"}
    | {">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "]": "{]}"}
)
_DIGITS = 4
_MOST_DECIMALS = 6


def as_csv(result: Result) -> str:
    """A line for the model and for each baseline, all digits; empty where there is no number.

    Columns: ``name``, ``protocol`` with what was changed in it, then for each metric its value and, with these
    endings, ``_low``, ``_high``, ``_count`` and ``_coverage``.
    """
    names = metric_names(result)
    rows = [["name", "protocol", *(head for name in names for head in csv_heads(name))]]
    protocol = one_line(protocol_title(result.protocol))
    for column in columns(result):
        rows.append(
            [one_line(column.name), protocol, *(cell for name in names for cell in csv_cells(column.figures.get(name)))]
        )
    return csv_text(rows)


def as_latex(result: Result, intervals: bool = False) -> str:
    """A ``tabular`` for booktabs: a row for the model and for each baseline, a column for each metric.

    Args:
        result: of an evaluation.
        intervals: whether each value is followed by its 95% interval.
    """
    names = metric_names(result)
    lines = [" & ".join(["", *(latex_head(heads(result)[name]) for name in names)]) + r" \\", r"\midrule"]
    comment = f"% {one_line(protocol_title(result.protocol))}, {len(result.ids)} clips\n"
    for row, column in enumerate(columns(result)):
        figures = [column.figures.get(name) for name in names]
        cells = [_latex_cell(each, places(result, name), intervals) for name, each in zip(names, figures, strict=True)]
        lines.append(" & ".join([latex(column.name), *cells]) + r" \\")
        if row == 0 and len(columns(result)) > 1:
            lines.append(r"\midrule")
    return comment + latex_tabular(lines, len(names))


def as_text(result: Result) -> str:
    """For the terminal: a line for each metric, a column for the model and for each baseline, intervals beneath."""
    rows = [["", *(one_line(column.name) for column in columns(result))]]
    protocol = f"{one_line(protocol_title(result.protocol))}, {len(result.ids)} clips\n"
    for name, head in heads(result).items():
        digits = places(result, name)
        figures = [column.figures.get(name) for column in columns(result)]
        rows.append([title(head), *(MISSING if each is None else say(each.value, digits) for each in figures)])
        for beneath in (
            ["" if each is None else interval(each, digits) for each in figures],
            ["" if each is None else coverage(each) for each in figures],
        ):
            if any(beneath):
                rows.append(["", *beneath])
    notes = [one_line(f"{', '.join(titles)}: {note.removesuffix('.')}.") for note, titles in notes_of(result).items()]
    if any(MISSING in row for row in rows):
        notes.append(f"{MISSING} there is no value.")
    return protocol + aligned(rows) + "".join(f"{note}\n" for note in notes)


def columns(result: Result) -> list[Column]:
    """The model, the baselines, and last all of them without the protocol's quirks where that was measured."""
    plain = [replace(column, name=f"{column.name}, without quirks") for column in result.without_quirks]
    return [result.model, *result.baselines, *plain]


def heads(result: Result) -> dict[str, Figure]:
    """A figure for each metric, to take title, unit and direction from; in the protocol's order."""
    found: dict[str, Figure] = {}
    for column in columns(result):
        found = column.figures | found
    order = [name for name in result.protocol.get("metrics", []) if name in found]
    # What has no place in the protocol, such as a second form of one of its metrics, follows.
    order += [name for name in [*result.model.figures, *found] if name not in order]
    return {name: found[name] for name in order}


def metric_names(result: Result) -> list[str]:
    """Metrics that any column has, in the protocol's order."""
    return list(heads(result))


def notes_of(result: Result) -> dict[str, list[str]]:
    """What readers of the figures must know, each once, with the titles of the metrics that it is about."""
    notes: dict[str, list[str]] = {}
    for name, head in heads(result).items():
        every = (column.figures[name].note for column in columns(result) if name in column.figures)
        for note in filter(None, dict.fromkeys(every)):
            notes.setdefault(note, []).append(head.title)
    return notes


def title(figure: Figure) -> str:
    """Of a metric: what it is, its unit, and which direction is better."""
    unit = f" ({figure.unit})" if figure.unit else ""
    # No line may end between the two.
    return one_line(f"{figure.title}{unit}\u00a0{ARROWS[figure.better]}")


def places(result: Result, name: str) -> int:
    """Decimals for a metric, the same for all columns."""
    return decimals(column.figures[name].value for column in columns(result) if name in column.figures)


def decimals(values: Iterable[float]) -> int:
    """So many that the largest of the values has four significant digits, and one at least."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if not largest:
        return 2
    return min(max(_DIGITS - 1 - math.floor(math.log10(largest)), 1), _MOST_DECIMALS)


def say(value: float | None, digits: int) -> str:
    """A number with so many decimals, in other digits where these show nothing of it; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:.{digits}f}"
    if float(text):
        return text
    return f"{value:.1e}" if value else text.lstrip("-")


def interval(figure: Figure, digits: int) -> str:
    """``[low, high]``; empty where there is none."""
    if figure.low is None or figure.high is None:
        return ""
    return f"[{say(figure.low, digits)}, {say(figure.high, digits)}]"


def coverage(figure: Figure) -> str:
    """Of how many clips it is, where these are not all; empty otherwise, and where there is no value."""
    # A share just below one must not be reported as all.
    return (
        ""
        if figure.coverage >= 1 or not math.isfinite(figure.value)
        else f"{math.floor(1000 * figure.coverage) / 10:g}% of clips"
    )


def flat(tree: Mapping[str, Any], place: str = "") -> dict[str, str]:
    """Dotted names of all leaves, with their values as JSON; texts without quotes."""
    leaves: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            leaves |= flat(value, f"{place}{name}.")
        else:
            leaves[f"{place}{name}"] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return leaves


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lines of cells, the first column to the left and the others to the right; wide letters count as two."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        spaces = [" " * (width - cell_len(cell)) for width, cell in zip(widths, row, strict=True)]
        cells = [row[0] + spaces[0], *(space + cell for space, cell in zip(spaces[1:], row[1:], strict=True))]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)


def csv_heads(name: str) -> list[str]:
    """Heads of a metric's columns."""
    return [name, *(f"{name}_{each}" for each in _BESIDE)]


def csv_cells(figure: Figure | None) -> list[str]:
    """Value, interval, count and coverage with all digits."""
    if figure is None:
        return [""] * (1 + len(_BESIDE))
    values = [figure.value, *(getattr(figure, each) for each in _BESIDE)]
    return ["" if value is None or not math.isfinite(value) else str(value) for value in values]


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV, lines ended by a line feed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def latex(text: str) -> str:
    """Any text as LaTeX shows it, on one line."""
    return one_line(text).translate(_LATEX)


def latex_head(figure: Figure) -> str:
    """Title, unit and direction of a metric."""
    unit = f" ({figure.unit})" if figure.unit else ""
    return f"{latex(figure.title + unit)} {_LATEX_ARROWS[figure.better]}"


def latex_number(text: str) -> str:
    """Numbers that :func:`say` or :func:`interval` said, with minus signs instead of hyphens, and powers of ten."""
    text = re.sub(r"e([+-])0*(\d+)", lambda e: rf"$\cdot10^{{{e[1].strip('+')}{e[2]}}}$", text)
    return re.sub(r"(?<!\{)-", "$-$", text).replace(MISSING, "--")


def latex_tabular(lines: Sequence[str], metrics: int) -> str:
    """Lines between booktabs' rules: a column for the names, and one for each metric."""
    columns = "l" + "r" * metrics
    body = "\n".join(lines)
    return f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"


def _latex_cell(figure: Figure | None, digits: int, intervals: bool) -> str:
    if figure is None:
        return "--"
    around = interval(figure, digits) if intervals else ""
    return latex_number(say(figure.value, digits)) + (rf" {{\scriptsize {latex_number(around)}}}" if around else "")
