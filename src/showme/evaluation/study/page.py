"""The page of a study, as HTML text; every text from outside is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..report_style import render_page
from ..tables import MISSING, flat, say, title
from .computation import Computation
from .config import RowConfig, StudyConfig
from .table import StudyCell, StudyRow, StudyTable
from .words import COMPUTATION_HEADS, MARKS, WRONG, computation_cells, computation_notes, difference, heading, spread


def render_study(study: StudyConfig, tables: Sequence[StudyTable], costs: Sequence[Computation]) -> str:
    """The page: tables, what the rows are, computation, and all fields of each protocol."""
    parts = [_table(number, table) for number, table in enumerate(tables, 1)]
    parts.append(f"<h2>What the rows are</h2>\n{_rows(study)}")
    if costs:
        parts.append(f"<h2>Computation</h2>\n{_computation(costs)}")
    for number, table in enumerate(tables, 1):
        parts.append(f"<h2>All fields of the protocol of table {number}</h2>\n{_fields(table)}")
    done = len(tables[0].seeds)
    seeds = (
        f"{done} seed{'s' if done > 1 else ''}" if done == len(study.seeds) else f"{done} of {len(study.seeds)} seeds"
    )
    return render_page(study.title, f'<p class="soft">{len(study.rows)} rows, {seeds}</p>\n' + "\n".join(parts))


def _table(number: int, table: StudyTable) -> str:
    heads = "".join(f'<th class="number">{escape(title(head))}</th>' for head in table.heads.values())
    rows = "\n".join(_row(row, table) for row in table.rows)
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    listed = f'<ul class="soft">{notes}</ul>' if notes else ""
    seeds = " Beneath stand the means of the single seeds." if len(table.seeds) > 1 else ""
    return f"""<h2>Table {number}</h2>
<p class="soft">{escape(heading(number, table).partition(": ")[2])}</p>
<div class="card scroll"><table class="figures"><thead><tr><th></th>{heads}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
<p class="soft under">{escape(table.rule)}{seeds}</p>
{listed}"""


def _row(row: StudyRow, table: StudyTable) -> str:
    cells = "".join(_cell(row.cells.get(metric), table.places(metric)) for metric in table.heads)
    kind, wrong = ("baseline" if row.baseline else "model"), (f'<span class="soft">{WRONG}</span>' if row.wrong else "")
    return f'<tr class="{kind}"><th><bdi>{escape(row.name)}</bdi>{wrong}</th>{cells}</tr>'


def _cell(cell: StudyCell | None, digits: int) -> str:
    if cell is None:
        return f'<td class="number">{MISSING}</td>'
    around = "" if cell.spread is None else f" ± {spread(cell, digits)}"
    mark = f' <span class="noise">{MARKS[cell.noise]}</span>' if MARKS[cell.noise] else ""
    beneath = [" ".join(difference(cell, digits))] if cell.difference is not None else []
    if cell.spread is not None:
        beneath.append(", ".join(say(value, digits) for value in cell.values))
    lines = "".join(f'<span class="soft">{each}</span>' for each in beneath)
    return f'<td class="number">{say(cell.mean, digits)}{around}{mark}{lines}</td>'


def _rows(study: StudyConfig) -> str:
    lines = "\n".join(
        f"<tr><th><bdi>{escape(row.name)}</bdi></th><td>{'<br>'.join(map(escape, _fingerprint(row)))}</td></tr>"
        for row in study.rows
    )
    shared = f'<p class="soft under">In every training: {escape(", ".join(study.fields))}.</p>' if study.fields else ""
    return f'<div class="card scroll"><table class="fields"><tbody>\n{lines}\n</tbody></table></div>{shared}'


def _fingerprint(row: RowConfig) -> list[str]:
    parts = [] if row.model is None else [f"the model {row.model}"]
    for number, step in enumerate(row.trainings, 1):
        start = f", from {step.model}" if step.model else ""
        parts.append(" ".join([f"{number}. {step.recipe}{start}", *step.fields]))
    if row.reference is not None:
        parts.append(" ".join(["judged on", row.reference, *row.reference_fields]))
    if row.protocol is not None or row.protocol_fields:
        parts.append(" ".join(["protocol", *([row.protocol] if row.protocol else []), *row.protocol_fields]))
    return parts + (["asked with wrong instructions"] if row.instructions == "wrong" else [])


def _computation(costs: Sequence[Computation]) -> str:
    heads = "".join(f'<th class="number">{escape(head)}</th>' for head in COMPUTATION_HEADS)
    lines = "\n".join(
        f"<tr><th><bdi>{escape(name)}</bdi></th>"
        + "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells)
        + "</tr>"
        for name, *cells in computation_cells(costs)
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in computation_notes(costs))
    return f"""<div class="card scroll"><table class="figures"><thead><tr><th></th>{heads}</tr></thead>
<tbody>
{lines}
</tbody></table></div>
<ul class="soft under">{notes}</ul>"""


def _fields(table: StudyTable) -> str:
    rows = "\n".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in flat(table.protocol).items()
    )
    return f'<div class="card"><table class="fields"><tbody>\n{rows}\n</tbody></table></div>'
