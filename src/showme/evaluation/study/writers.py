"""A study's files: tables as text, CSV and LaTeX, and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...data.media.base import one_line
from ...errors import InputError
from ...staged_files import staged
from ..tables import MISSING, aligned, csv_text, latex, latex_head, latex_number, latex_tabular, say, title
from .computation import Computation
from .config import StudyConfig
from .page import render_study
from .table import StudyCell, StudyRow, StudyTable
from .words import COMPUTATION_HEADS, MARKS, WRONG, computation_cells, computation_notes, difference, heading, spread

PAGE, TEXT, LATEX, COMPUTATION = "index.html", "study.txt", "study.tex", "computation.csv"
_LATEX_MARKS = {"inside": r"\rlap{$^{\approx}$}", "outside": "", "unknown": r"\rlap{$^{?}$}", None: ""}
_SYMBOLS = (("≈", r"$\approx$"), ("±", r"$\pm$"), ("Δ", r"$\Delta$"))


@dataclass(frozen=True)
class Written:
    """Where the files are: page, and the tables as text, LaTeX and one CSV each. table: them as text."""

    page: Path
    text: Path
    latex: Path
    csv: list[Path]
    table: str


def write_study(out: Path, study: StudyConfig, tables: Sequence[StudyTable], costs: Sequence[Computation]) -> Written:
    """Write all files of a study, each in one step; ``costs`` may be empty.

    Raises:
        InputError: the folder cannot be written to.
    """
    text = study_text(tables, costs)
    named = {PAGE: render_study(study, tables, costs), TEXT: text, LATEX: study_latex(tables, costs)}
    csv = {f"table-{number}.csv": table_csv(table) for number, table in enumerate(tables, 1)}
    if costs:
        csv[COMPUTATION] = computation_csv(costs)
    try:
        for name, content in {**named, **csv}.items():
            with staged(out / name) as path:
                path.write_text(content, encoding="utf-8")
        for stale in out.glob("table-*.csv"):
            if stale.name not in csv:
                stale.unlink()
    except OSError as error:
        raise InputError(f"{out} cannot be written to ({error.strerror}): choose another --out.") from error
    return Written(out / PAGE, out / TEXT, out / LATEX, [out / name for name in csv], text)


def study_text(tables: Sequence[StudyTable], costs: Sequence[Computation]) -> str:
    """For the terminal: means with their spread over seeds, and beneath them the differences to the first row."""
    parts = []
    for number, table in enumerate(tables, 1):
        lines = [["", *(title(head) for head in table.heads.values())]]
        for row in table.rows:
            lines.append([_name(row), *(_text_value(row.cells.get(m), table.places(m)) for m in table.heads)])
            differences = [difference(row.cells.get(m), table.places(m)) for m in table.heads]
            lines += [["", *beneath] for beneath in zip(*differences, strict=True) if any(beneath)]
        under = "".join(f"{line}\n" for line in (table.rule, *table.notes))
        parts.append(f"{heading(number, table)}\n\n{aligned(lines)}\n{under}")
    if costs:
        lines = [["", *COMPUTATION_HEADS], *computation_cells(costs)]
        under = "".join(f"{note}\n" for note in computation_notes(costs))
        parts.append(f"Computation\n\n{aligned(lines)}\n{under}")
    return "\n".join(parts)


def table_csv(table: StudyTable) -> str:
    """A line for each row, all digits; empty where there is no number.

    Columns: ``name``, ``kind`` (row or baseline), ``instructions`` (own or wrong), then for each metric its mean over
    the seeds and, with these endings, ``_spread``, ``_seed_N`` for each seed, ``_difference``, ``_difference_low``,
    ``_difference_high`` and ``_noise`` (inside, outside, unknown).
    """
    endings = ["spread", *(f"seed_{seed}" for seed in table.seeds)]
    endings += ["difference", "difference_low", "difference_high", "noise"]
    heads = [head for metric in table.heads for head in (metric, *(f"{metric}_{each}" for each in endings))]
    rows = [["name", "kind", "instructions", *heads]]
    for row in table.rows:
        cells = [text for m in table.heads for text in _csv_cells(row.cells.get(m), len(endings) + 1)]
        kind, asked = ("baseline" if row.baseline else "row"), ("wrong" if row.wrong else "own")
        rows.append([one_line(row.name), kind, asked, *cells])
    return csv_text(rows)


def computation_csv(costs: Sequence[Computation]) -> str:
    """A line for each training: ``name``, ``recipe``, ``seeds``, ``batch_size``, ``trainable``, ``parameters``,
    ``minutes``, ``samples_per_second``, ``memory_mib`` and ``largest_batch``, empty where it was not looked for."""
    heads = ["recipe", "seeds", "batch_size", "trainable", "parameters", "minutes", "samples_per_second", "memory_mib"]
    rows = [["name", *heads, "largest_batch"]]
    for line in costs:
        batch = "" if line.largest_batch is None else str(line.largest_batch)
        rows.append([one_line(line.name), *(str(getattr(line, head)) for head in heads), batch])
    return csv_text(rows)


def study_latex(tables: Sequence[StudyTable], costs: Sequence[Computation]) -> str:
    """A ``tabular`` for booktabs for each table, with its rule under it."""
    parts = []
    for number, table in enumerate(tables, 1):
        lines = [" & ".join(["", *(latex_head(head) for head in table.heads.values())]) + r" \\", r"\midrule"]
        for row, before in zip(table.rows, [None, *table.rows], strict=False):
            if before is not None and row.baseline and not before.baseline:
                lines.append(r"\midrule")
            cells = [_latex_value(row.cells.get(m), table.places(m)) for m in table.heads]
            lines.append(" & ".join([latex(_name(row)), *cells]) + r" \\")
            beneath = [" ".join(difference(row.cells.get(m), table.places(m))).strip() for m in table.heads]
            if any(beneath):
                small = [rf"{{\scriptsize {latex_number(_latex_text(each))}}}" if each else "" for each in beneath]
                lines.append(" & ".join(["", *small]) + r" \\")
        parts.append(_latex_part(heading(number, table), latex_tabular(lines, len(table.heads)),
                                 [table.rule, *table.notes]))  # fmt: skip
    if costs:
        lines = [" & ".join(["", *map(latex, COMPUTATION_HEADS)]) + r" \\", r"\midrule"]
        lines += [" & ".join(map(_latex_text, cells)) + r" \\" for cells in computation_cells(costs)]
        tabular = latex_tabular(lines, len(COMPUTATION_HEADS))
        parts.append(_latex_part("Computation", tabular, computation_notes(costs)))
    return "\n\\bigskip\n".join(parts)


def _latex_part(head: str, tabular: str, under: Sequence[str]) -> str:
    text = _latex_text(" ".join(under))
    return f"{_latex_text(head)}\n\n\\smallskip\n{tabular}\n\\smallskip\n{{\\footnotesize {text}}}\n"


def _latex_text(text: str) -> str:
    escaped = latex(text).replace(MISSING, "--")
    for symbol, command in _SYMBOLS:
        escaped = escaped.replace(symbol, command)
    return escaped


def _latex_value(cell: StudyCell | None, digits: int) -> str:
    if cell is None:
        return "--"
    around = "" if cell.spread is None else rf" $\pm$ {latex_number(spread(cell, digits))}"
    return latex_number(say(cell.mean, digits)) + around + _LATEX_MARKS[cell.noise]


def _text_value(cell: StudyCell | None, digits: int) -> str:
    if cell is None:
        return MISSING
    around = "" if cell.spread is None else f" ± {spread(cell, digits)}"
    return f"{say(cell.mean, digits)}{around} {MARKS[cell.noise] or ' '}"


def _csv_cells(cell: StudyCell | None, count: int) -> list[str]:
    if cell is None:
        return [""] * count
    interval = cell.difference
    numbers = [cell.mean, cell.spread, *cell.values]
    numbers += [None] * 3 if interval is None else [interval.mean, interval.low, interval.high]
    return [*("" if value is None or value != value else str(value) for value in numbers), cell.noise or ""]


def _name(row: StudyRow) -> str:
    return one_line(row.name) + (WRONG if row.wrong else "")
