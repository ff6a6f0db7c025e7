"""A comparison as text, CSV, LaTeX and a page."""

from __future__ import annotations

from html import escape

from ...data.media.base import one_line
from ..protocol import protocol_title
from ..report_style import render_page
from ..tables import (
    MISSING,
    aligned,
    coverage,
    csv_cells,
    csv_heads,
    csv_text,
    interval,
    latex,
    latex_head,
    latex_number,
    latex_tabular,
    say,
    title,
)
from .comparison import Cell, Comparison, Row

_RANKS = {"best": "*", "second": "+", None: ""}
_MARKS = {"inside": "≈", "outside": "", "unknown": "?", None: ""}
_LATEX_MARKS = {"inside": r"\rlap{$^{\approx}$}", "outside": "", "unknown": r"\rlap{$^{?}$}", None: ""}
_LATEX_RANKS = {"best": r"\textbf{%s}", "second": r"\underline{%s}", None: "%s"}


def comparison_text(comparison: Comparison) -> str:
    """For the terminal, a line for each model: ``*`` best, ``+`` second, and the rule of the noise beneath."""
    lines = [["", *(title(head) for head in comparison.heads.values())]]
    for row in comparison.rows:
        cells = [_text_cell(cell, comparison.places(name)) for name, cell in row.cells.items()]
        lines.append([one_line(row.name), *cells])
    under = [f"* is best, + second. {comparison.rule}", *comparison.notes]
    return _caption(comparison) + "\n" + aligned(lines) + "".join(f"{line}\n" for line in under)


def comparison_csv(comparison: Comparison) -> str:
    """A line for each model and baseline, all digits.

    Columns: ``name``, ``kind`` (model or baseline), ``protocol``, then for each metric those of
    :func:`showme.evaluation.tables.as_csv` and, with these endings, ``_rank`` (best, second) and ``_noise`` (inside,
    outside, unknown).
    """
    heads = [head for name in comparison.heads for head in (*csv_heads(name), f"{name}_rank", f"{name}_noise")]
    rows = [["name", "kind", "protocol", *heads]]
    protocol = one_line(protocol_title(comparison.protocol))
    for row in comparison.rows:
        cells = [
            text for cell in row.cells.values() for text in (*csv_cells(cell.figure), cell.rank or "", cell.noise or "")
        ]
        rows.append([one_line(row.name), "baseline" if row.baseline else "model", protocol, *cells])
    return csv_text(rows)


def comparison_latex(comparison: Comparison) -> str:
    """A ``tabular`` for booktabs, best in bold and second underlined, with the rule of the noise under it."""
    heads = comparison.heads.values()
    lines = [" & ".join(["", *(latex_head(head) for head in heads)]) + r" \\", r"\midrule"]
    for row, before in zip(comparison.rows, [None, *comparison.rows], strict=False):
        if before is not None and row.baseline and not before.baseline:
            lines.append(r"\midrule")
        cells = [_latex_cell(cell, comparison.places(name)) for name, cell in row.cells.items()]
        lines.append(" & ".join([latex(row.name), *cells]) + r" \\")
    under = " ".join(["Best in bold, second underlined.", comparison.rule, *comparison.notes])
    text = latex(under).replace("≈", r"$\approx$")
    return f"% {_caption(comparison)}\n{latex_tabular(lines, len(heads))}\n\\smallskip\n{{\\footnotesize {text}}}\n"


def comparison_html(comparison: Comparison) -> str:
    """A page of its own, as HTML text."""
    heads = "".join(f'<th class="number">{escape(title(head))}</th>' for head in comparison.heads.values())
    rows = "\n".join(_html_row(row, comparison) for row in comparison.rows)
    notes = "".join(f"<li>{escape(note)}</li>" for note in comparison.notes)
    models = [row for row in comparison.rows if not row.baseline]
    name = protocol_title(comparison.protocol)
    body = f"""<p class="soft">{len(models)} models, {comparison.clips} clips, protocol <bdi>{escape(name)}</bdi></p>
<div class="card scroll"><table class="figures"><thead><tr><th></th>{heads}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
<p class="soft under"><b>Bold</b> is best, <u>underlined</u> second; in brackets 95% intervals,
Δ is the mean difference to the best model. {escape(comparison.rule)}</p>
<ul class="soft">{notes}</ul>"""
    return render_page("Models side by side", body)


def _caption(comparison: Comparison) -> str:
    return f"{one_line(protocol_title(comparison.protocol))}, {comparison.clips} clips"


def _text_cell(cell: Cell, digits: int) -> str:
    if cell.figure is None:
        return MISSING
    marks = _RANKS[cell.rank] + _MARKS[cell.noise]
    return " ".join(filter(None, [marks, say(cell.figure.value, digits)]))


def _latex_cell(cell: Cell, digits: int) -> str:
    if cell.figure is None:
        return "--"
    return _LATEX_RANKS[cell.rank] % latex_number(say(cell.figure.value, digits)) + _LATEX_MARKS[cell.noise]


def _html_row(row: Row, comparison: Comparison) -> str:
    cells = "".join(_html_cell(cell, comparison.places(name)) for name, cell in row.cells.items())
    kind = "baseline" if row.baseline else "model"
    return f'<tr class="{kind}"><th><bdi>{escape(row.name)}</bdi></th>{cells}</tr>'


def _html_cell(cell: Cell, digits: int) -> str:
    if cell.figure is None:
        return f'<td class="number">{MISSING}</td>'
    tag = {"best": "b", "second": "u", None: "span"}[cell.rank]
    mark = _MARKS[cell.noise]
    beneath = [each for each in (interval(cell.figure, digits), coverage(cell.figure)) if each]
    if cell.difference is not None:
        low, high = (say(each, digits) for each in (cell.difference.low, cell.difference.high))
        beneath.append(f"Δ {say(cell.difference.mean, digits)} [{low}, {high}]")
    lines = "".join(f'<span class="soft">{each}</span>' for each in beneath)
    noise = f' <span class="noise">{mark}</span>' if mark else ""
    return f'<td class="number"><{tag}>{say(cell.figure.value, digits)}</{tag}>{noise}{lines}</td>'
