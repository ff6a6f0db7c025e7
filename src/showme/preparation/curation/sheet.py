"""One HTML page that shows what a rule did to a set of clips: counts, histograms, and clips to look at.

Self-contained: no scripts, nothing from the network, pictures inside. It shows a bounded number of clips, whatever the
set's size.
"""

from __future__ import annotations

import base64
import io
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import InputError
from ...staged_files import staged
from .rules import Measure, Verdict

_BINS = 32
_WIDTH, _HEIGHT, _MARGIN = 480, 150, 24
_STRIP = 6
# Pixels of a frame on the page: shown at half of it on screens of two pixels per point.
_FRAME = (240, 160)
_QUALITY = 75

_STYLE = """
:root { color-scheme: light dark; --paper: #fafaf9; --card: #fff; --ink: #1c1c22; --soft: #6b6b76; --line: #e4e4e7;
  --kept: #0f766e; --dropped: #c2410c; --bound: #1c1c22; }
@media (prefers-color-scheme: dark) { :root { --paper: #131316; --card: #1c1c21; --ink: #ececf1; --soft: #9d9da8;
  --line: #2e2e35; --kept: #2dd4bf; --dropped: #fb923c; --bound: #ececf1; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 36px 24px 64px; }
h1 { margin: 0 0 4px; font-size: 28px; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 36px 0 10px; font-size: 19px; }
h3 { margin: 0; font-size: 16px; overflow-wrap: anywhere; }
p { margin: 0; overflow-wrap: anywhere; }
.soft { color: var(--soft); font-size: 13px; }
.cards { display: grid; gap: 16px; grid-template-columns: repeat(auto-fill, minmax(min(420px, 100%), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px; min-width: 0; }
.clip { margin-top: 14px; }
.share { display: flex; height: 10px; border-radius: 5px; overflow: hidden; margin: 14px 0 10px; }
.share span { min-width: 2px; }
.fill-kept { background: var(--kept); fill: var(--kept); }
.fill-dropped { background: var(--dropped); fill: var(--dropped); }
.kept { color: var(--kept); } .dropped { color: var(--dropped); }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { white-space: nowrap; }
th, td { padding: 5px 12px 5px 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top;
  font-weight: 400; overflow-wrap: anywhere; }
tr:first-child > * { border-top: 0; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { display: block; width: 100%; height: auto; margin-top: 6px; font: 11px system-ui, sans-serif; }
svg text { fill: var(--soft); } svg .bound { stroke: var(--bound); stroke-width: 1.5; stroke-dasharray: 4 3; }
svg .axis { stroke: var(--line); } svg text.at { fill: var(--ink); font-weight: 600; }
.strip { display: flex; gap: 6px; overflow-x: auto; margin: 10px 0 8px; padding: 3px; }
.strip figure { margin: 0; flex: 0 0 auto; text-align: center; }
.strip img { display: block; height: 96px; width: auto; max-width: 160px; border-radius: 5px; }
.strip .after img { opacity: .35; }
.strip .end-kept img { outline: 3px solid var(--kept); } .strip .end-dropped img { outline: 3px solid var(--dropped); }
.strip figcaption { padding-top: 3px; color: var(--soft); font-size: 12px; }
.words { display: block; unicode-bidi: isolate; }
dl { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 6px 0 0; font-size: 13px; color: var(--soft); }
dl div { display: flex; gap: 5px; } dd { margin: 0; color: var(--ink); font-variant-numeric: tabular-nums; }
"""


@dataclass(frozen=True)
class Sheet:
    """What the page is about; texts are escaped here.

    title: the rule and the set. settings: label -> value. verdicts: of all clips, by id. measures: what the rule
    compared, values in the order of the verdicts.
    """

    title: str
    settings: Mapping[str, str]
    verdicts: Mapping[str, Verdict]
    measures: Sequence[Measure]


@dataclass(frozen=True)
class SheetClip:
    """A clip to look at. instruction: in any script. frames: uint8 (T, H, W, 3), RGB. numbers: (T,) where they stand in
    the clip."""

    instruction: str
    frames: np.ndarray
    numbers: Sequence[int]


def render_sheet(sheet: Sheet, look: Callable[[str], SheetClip], bound: int = 48) -> str:
    """The page as HTML text.

    Args:
        sheet: all clips' verdicts.
        look: id -> the clip; called once for each that is shown, so that no other needs decoding.
        bound: most clips shown: half of them kept ones and half dropped ones, or more of the one where there are fewer
            of the other, evenly spread over the first measure.
    """
    names = list(sheet.verdicts)
    shown = {kept: [names[row] for row in rows] for kept, rows in _chosen(sheet, bound).items()}
    rows = {name: row for row, name in enumerate(names)}
    parts = []
    for kept, word in ((False, "dropped"), (True, "kept")):
        total = sum(verdict.kept == kept for verdict in sheet.verdicts.values())
        if total:
            parts.append(f'<h2>Clips that were <span class="{word}">{word}</span></h2>')
            order = f", from the lowest {sheet.measures[0].name} to the highest" if sheet.measures else ""
            parts.append(f'<p class="soft">{len(shown[kept])} of {total}{escape(order)}</p>')
        parts += [_clip(name, look(name), sheet, rows[name]) for name in shown[kept]]
    title = escape(sheet.title)
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{_STYLE}</style></head>
<body><main>
<h1>{title}</h1>
{_summary(sheet)}
<div class="cards">
{chr(10).join(_histogram(measure, list(sheet.verdicts.values())) for measure in sheet.measures)}
</div>
{chr(10).join(parts)}
</main></body>
</html>
"""


def write_sheet(path: Path, page: str) -> None:
    """Write a page in one step; what UTF-8 cannot say, such as half a surrogate pair, becomes a question mark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with staged(path) as neighbour:
            neighbour.write_bytes(page.encode("utf-8", errors="replace"))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): make room, then run again.") from error


def _chosen(sheet: Sheet, bound: int) -> dict[bool, list[int]]:
    """Rows to show of the dropped and of the kept clips, sorted by the first measure."""
    values = sheet.measures[0].values if sheet.measures else np.zeros(len(sheet.verdicts))
    order = np.argsort(values, kind="stable").tolist()
    verdicts = list(sheet.verdicts.values())
    groups = {kept: [row for row in order if verdicts[row].kept == kept] for kept in (False, True)}
    half = bound // 2
    few = {kept: min(len(rows), max(half, bound - len(groups[not kept]))) for kept, rows in groups.items()}
    return {kept: [rows[i] for i in _spread(len(rows), few[kept])] for kept, rows in groups.items()}


def _spread(available: int, wanted: int) -> list[int]:
    """``wanted`` of ``available`` places, first and last included, each once."""
    return np.unique(np.linspace(0, available - 1, min(wanted, available)).round().astype(int)).tolist()


def _summary(sheet: Sheet) -> str:
    causes = Counter((verdict.kept, verdict.cause) for verdict in sheet.verdicts.values())
    total = len(sheet.verdicts)
    kept = sum(count for (stays, _), count in causes.items() if stays)
    # Kept first, then the largest.
    ordered = sorted(causes.items(), key=lambda item: (not item[0][0], -item[1], item[0][1]))
    bars = "".join(f'<span class="fill-{_word(stays)}" style="flex:{count}"></span>' for (stays, _), count in ordered)
    rows = "\n".join(
        f'<tr><th><span class="{_word(stays)}">{_word(stays)}</span></th><td>{escape(cause)}</td>'
        f'<td class="number">{count}</td><td class="number">{count / total:.1%}</td></tr>'
        for (stays, cause), count in ordered
    )
    settings = "\n".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in sheet.settings.items())
    return f"""<p>{kept} of {total} clips are kept, {total - kept} dropped.</p>
<div class="share">{bars}</div>
<div class="cards">
<div class="card"><table>{rows}</table></div>
<div class="card"><table>{settings}</table></div>
</div>
<h2>Scores</h2>"""


def _word(kept: bool) -> str:
    return "kept" if kept else "dropped"


def _histogram(measure: Measure, verdicts: Sequence[Verdict]) -> str:
    """Bars of kept on top of dropped clips, and a line for each threshold."""
    kept = np.array([verdict.kept for verdict in verdicts], dtype=bool)
    finite = np.isfinite(measure.values)
    ends = [*measure.values[finite].astype(float), *(each for each in measure.bounds if math.isfinite(each))]
    unknown = f" {int((~finite).sum())} clips have no number." if not finite.all() else ""
    if not ends:
        return f'<div class="card"><h3>{escape(measure.name)}</h3><p class="soft">No numbers.{unknown}</p></div>'
    edges = _edges(min(ends), max(ends), measure.bounds)
    low, high = edges[0], edges[-1]
    counts = [np.histogram(measure.values[finite & which], edges)[0] for which in (~kept, kept)]
    tallest = max(int((counts[0] + counts[1]).max()), 1)
    base, scale = _HEIGHT - _MARGIN, (_HEIGHT - 2 * _MARGIN) / tallest
    places = _WIDTH * (edges - low) / (high - low)
    bars = "".join(
        _bar(x, base, after - x, scale, int(d), int(k))
        for x, after, d, k in zip(places[:-1], places[1:], *counts, strict=True)
    )
    lines = "".join(_bound(each, _WIDTH * (each - low) / (high - low), base) for each in measure.bounds)
    name = escape(measure.name)
    return f"""<div class="card"><h3>{name}</h3>
<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Histogram of {name}">
{bars}<line class="axis" x1="0" y1="{base}" x2="{_WIDTH}" y2="{base}"/>{lines}
<text x="0" y="{_HEIGHT - 8}">{low:.3g}</text>
<text x="{_WIDTH}" y="{_HEIGHT - 8}" text-anchor="end">{high:.3g}</text>
</svg><p class="soft">The highest bar is {tallest} of {len(verdicts)} clips.{unknown}</p></div>"""


def _edges(low: float, high: float, bounds: Sequence[float]) -> np.ndarray:
    """Edges of equal bins that reach a little beyond all values; the first threshold is one, so that it parts bars."""
    # Equal values get a width.
    pad = 0.03 * (high - low) or max(abs(low), 1.0) * 0.1
    step = (high - low + 2 * pad) / _BINS
    fixed = bounds[0] if bounds else low - pad
    before, after = math.ceil((fixed - low + pad) / step), math.ceil((high + pad - fixed) / step)
    edges = fixed + step * np.arange(-before, after + 1)
    # Nothing below zero is shown of what is never below it.
    return edges if low < 0 else np.unique(edges.clip(0))


def _bar(x: float, base: float, step: float, scale: float, dropped: int, kept: int) -> str:
    bars, y = "", base
    for count, word in ((dropped, "dropped"), (kept, "kept")):
        if count:
            y -= count * scale
            shape = f'x="{x + 0.5:.1f}" y="{y:.1f}" width="{step - 1:.1f}" height="{count * scale:.1f}"'
            bars += f'<rect class="fill-{word}" {shape}><title>{count} {word}</title></rect>'
    return bars


def _bound(value: float, x: float, base: float) -> str:
    anchor = "start" if x < 0.1 * _WIDTH else "end" if x > 0.9 * _WIDTH else "middle"
    return (
        f'<line class="bound" x1="{x:.1f}" y1="{_MARGIN - 6}" x2="{x:.1f}" y2="{base}"/>'
        f'<text class="at" x="{x:.1f}" y="{_MARGIN - 10}" text-anchor="{anchor}">{value:.3g}</text>'
    )


def _clip(name: str, clip: SheetClip, sheet: Sheet, row: int) -> str:
    verdict = sheet.verdicts[name]
    scores = "".join(
        f"<div><dt>{escape(each.name)}</dt><dd>{float(each.values[row]):.4g}</dd></div>" for each in sheet.measures
    )
    word = _word(verdict.kept)
    return f"""<article class="card clip">
<h3><bdi class="words" dir="auto">{escape(clip.instruction)}</bdi></h3>
<div class="strip">{_strip(clip, verdict)}</div>
<p><b class="{word}">{word}</b> {escape(verdict.reason)}</p>
<dl><div><dt>clip</dt><dd><bdi>{escape(name)}</bdi></dd></div>{scores}</dl>
</article>"""


def _strip(clip: SheetClip, verdict: Verdict) -> str:
    places = set(_spread(len(clip.frames), _STRIP))
    numbers = [int(number) for number in clip.numbers]
    if verdict.last in numbers:
        places.add(numbers.index(verdict.last))
    return "".join(_frame(clip.frames[place], numbers[place], verdict) for place in sorted(places))


def _frame(pixels: np.ndarray, number: int, verdict: Verdict) -> str:
    """A frame with its number in the clip: the end is outlined, what a kept clip loses is pale."""
    image = Image.fromarray(pixels)
    image.thumbnail(_FRAME, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    state, caption = "", f"{number}"
    if number == verdict.last:
        state, caption = f' class="end-{_word(verdict.kept)}"', f"end: {number}"
    elif verdict.kept and verdict.last is not None and number > verdict.last:
        state = ' class="after"'
    return (
        f'<figure{state}><img src="data:image/jpeg;base64,{data}" width="{image.width}" height="{image.height}" '
        f'alt="frame {number}"><figcaption>{caption}</figcaption></figure>'
    )
