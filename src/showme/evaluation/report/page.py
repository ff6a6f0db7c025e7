"""The page of a report, as HTML text; every text from outside is escaped here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ...optional import install_command
from ..protocol import protocol_title
from ..report_style import render_page
from ..results import Column, Figure, Result
from ..tables import MISSING, columns, coverage, flat, heads, interval, notes_of, places, say, title
from .choice import Group
from .clips import FPS, WHEEL_SIDE, ClipFiles
from .plots import draw_legend, draw_plot

WHEEL = "wheel.png"
# Panels beside each other that a phone shows.
_FITS = 2


@dataclass(frozen=True)
class Shown:
    """A clip that was written: its instruction and its files."""

    instruction: str
    files: ClipFiles


def render_report(
    result: Result, words: Sequence[str], groups: Sequence[Group], shown: Mapping[str, Shown], folder: str
) -> str:
    """The page.

    Args:
        result: what is shown.
        words: the protocol in sentences.
        groups: of the clips that are shown.
        shown: by id.
        folder: of the clips' files, relative to the page.
    """
    name = protocol_title(result.protocol)
    cards = "\n".join(_group(group, result, shown, folder) for group in groups)
    body = f"""<p class="soft">{len(result.ids)} clips, protocol <bdi>{escape(name)}</bdi></p>
<h2>Figures</h2>
{_figures(result)}
{_plots(result)}
{cards}
{_wheel(shown, folder)}
<h2>How it was measured</h2>
<ul>{"".join(f"<li>{escape(each)}</li>" for each in words)}</ul>
<h2>All fields of the protocol</h2>
{_fields(result.protocol)}
<h2>The record</h2>
{_fields(result.record)}
<p class="soft under">What decides each figure beside the clips:</p>
{_fingerprint(result)}"""
    return render_page(f"{result.model.name} under the protocol {name}" if name else result.model.name, body)


def _figures(result: Result) -> str:
    notes = {note: number for number, note in enumerate(notes_of(result), 1)}
    every = columns(result)
    top = "".join(f'<th class="number"><bdi>{escape(column.name)}</bdi></th>' for column in every)
    rows = "\n".join(
        _figure_row(name, head, every, places(result, name), notes) for name, head in heads(result).items()
    )
    items = "".join(f'<li id="note-{number}">{escape(note)}</li>' for note, number in notes.items())
    listed = f'<ol class="soft under">{items}</ol>' if notes else ""
    return f"""<div class="card scroll"><table class="figures"><thead><tr><th></th>{top}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
<p class="soft under">↑ higher is better, ↓ lower is better; in brackets the 95% interval, by bootstrap over clips;
{MISSING} there is no value.</p>
{listed}"""


def _figure_row(name: str, head: Figure, every: Sequence[Column], digits: int, notes: Mapping[str, int]) -> str:
    cells = "".join(_figure_cell(column.figures.get(name), digits, notes) for column in every)
    return f'<tr><th>{escape(title(head))}<span class="soft">{head.count:d} clips</span></th>{cells}</tr>'


def _figure_cell(figure: Figure | None, digits: int, notes: Mapping[str, int]) -> str:
    if figure is None:
        return f'<td class="number">{MISSING}</td>'
    number = notes.get(figure.note)
    link = f'<sup><a href="#note-{number}">{number}</a></sup>' if number else ""
    beneath = "".join(
        f'<span class="soft">{each}</span>' for each in (interval(figure, digits), coverage(figure)) if each
    )
    return f'<td class="number">{say(figure.value, digits)}{link}{beneath}</td>'


def _plots(result: Result) -> str:
    names = [name for name in heads(result) if name in result.model.clips and name in result.model.figures]
    if not names:
        return ""
    plots = "\n".join(draw_plot(result, name) for name in names)
    return f"""<h2>Clip by clip</h2>
{draw_legend(result)}
<div class="cards">
{plots}
</div>"""


def _group(group: Group, result: Result, shown: Mapping[str, Shown], folder: str) -> str:
    if not group.ids:
        return ""
    rows = {name: row for row, name in enumerate(result.ids)}
    cards = "\n".join(_card(name, rows[name], result, shown[name], folder) for name in group.ids)
    return f'<h2>{escape(group.heading)}</h2>\n<p class="soft">{escape(group.why)}</p>\n{cards}'


def _card(name: str, row: int, result: Result, shown: Shown, folder: str) -> str:
    values = []
    for metric, per_clip in result.model.clips.items():
        head = result.model.figures.get(metric)
        if head is not None:
            text = say(per_clip[row], places(result, metric))
            values.append(f"<div><dt>{escape(title(head))}</dt><dd>{text}</dd></div>")
    return f"""<article class="card clip">
<h3><bdi class="words" dir="auto">{escape(shown.instruction)}</bdi></h3>
{_panels(shown.files, folder)}
{_flows(shown.files, folder)}
<dl><div><dt>clip</dt><dd><bdi>{escape(name)}</bdi></dd></div>{"".join(values)}</dl>
</article>"""


def _panels(files: ClipFiles, folder: str) -> str:
    counts = [1] * len(files.labels) if files.video else [len(each) for each in files.pictures]
    labels = list(zip(files.labels, counts, strict=True))
    if files.result:
        labels.append(("picture of the result", 1))
    heads = "".join(
        f'<span{" class=own-label" * (place == 0)} style="grid-column: span {count}"><bdi>{escape(label)}</bdi></span>'
        for place, (label, count) in enumerate(labels)
    )
    if files.video is not None:
        width, height = files.size
        views = (
            f'<video src="{folder}/{files.video}" width="{width}" height="{height}" autoplay loop muted playsinline '
            f'controls aria-label="{escape(", ".join(files.labels))}, side by side"></video>'
        )
    else:
        views = "".join(
            _image(f"{folder}/{file}", label, files.size)
            for label, panel in zip(files.labels, files.pictures, strict=True)
            for file in panel
        )
    if files.result:
        views += _image(f"{folder}/{files.result}", "picture of the result", files.own_size)
    wide = sum(count for _, count in labels)
    panels = f'<div class="panels" style="--all: {wide}; --moving: {len(files.labels)}">{heads}{views}</div>'
    return f'{panels}<p class="soft swipe">There may be more to the right: swipe.</p>' if wide > _FITS else panels


def _flows(files: ClipFiles, folder: str) -> str:
    if not files.flows:
        return ""
    pairs = ", ".join(f"{a} to {b}" for a, b in files.pairs)
    views = "".join(
        f"<figure><figcaption>optical flow, {escape(label)}</figcaption>"
        f"{_image(f'{folder}/{file}', f'frames and optical flow, {label}', files.flow_size)}</figure>"
        for label, file in files.flows.items()
    )
    return (
        f'<div class="flows">{views}</div>'
        f'<p class="soft">Frames {pairs}; full colour is {files.full:.1f} pixels per frame and more.</p>'
    )


def _wheel(shown: Mapping[str, Shown], folder: str) -> str:
    moving = any(each.files.video for each in shown.values())
    playback = (
        f"Videos play {FPS} frames per second. All that stands side by side is one file, so that it stays in step."
        if moving
        else ""
    )
    if not any(each.files.flows for each in shown.values()):
        lacks = f"Pictures of optical flow need OpenCV: {install_command('perception')}."
        return f'<p class="soft under">{playback} {escape(lacks)}</p>' if playback else ""
    wheel = _image(f"{folder}/{WHEEL}", "colour wheel of optical flow", (WHEEL_SIDE, WHEEL_SIDE))
    return (
        f'<div class="wheel">{wheel}<p class="soft">{playback} In the pictures of optical flow the colour is the '
        "direction, as on this wheel, and its strength the speed; what stands still is white. Generated and true flow "
        "of a clip share one scale.</p></div>"
    )


def _image(source: str, description: str, size: tuple[int, int]) -> str:
    """A picture that takes its place before it is there, so that nothing moves while a reader scrolls."""
    width, height = size
    return f'<img src="{source}" alt="{escape(description)}" width="{width}" height="{height}" loading="lazy">'


def _fields(tree: Mapping) -> str:
    rows = "".join(f"<tr><th>{_key(name)}</th><td>{escape(value)}</td></tr>" for name, value in flat(tree).items())
    return f'<div class="card"><table class="fields"><tbody>{rows}</tbody></table></div>'


def _key(name: str) -> str:
    """A dotted name that lines break between its words alone."""
    return re.sub(r"([._])", r"\1<wbr>", escape(name))


def _fingerprint(result: Result) -> str:
    return "\n".join(
        f"<details><summary>{escape(figure.title)}</summary>{_fields(figure.fingerprint)}</details>"
        for figure in heads(result).values()
        if figure.fingerprint
    )
