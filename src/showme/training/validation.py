"""``validation/index.html``: what the model made of the same scenes at every validation, a page that grows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

PAGE = "index.html"
RECORD = "steps.jsonl"

_STYLE = """
:root { color-scheme: light dark; --paper: #fafaf9; --card: #fff; --ink: #1c1c22; --soft: #6b6b76; --line: #e4e4e7; }
@media (prefers-color-scheme: dark) { :root { --paper: #131316; --card: #1c1c21; --ink: #ececf1; --soft: #9d9da8;
  --line: #2e2e35; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { padding: 28px 24px; }
h1 { margin: 0 0 18px; font-size: 24px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; background: var(--card); border: 1px solid var(--line); }
th, td { padding: 8px; border: 1px solid var(--line); text-align: center; font-weight: 500; }
th:first-child { text-align: left; min-width: 150px; max-width: 220px; }
img, video { display: block; width: 160px; height: auto; border-radius: 6px; }
.bars { display: flex; align-items: flex-end; justify-content: center; gap: 3px; height: 28px; margin: 6px 0 2px; }
.bars i { width: 12px; background: #2b6cb0; border-radius: 2px 2px 0 0; }
.soft { color: var(--soft); font-size: 13px; }
"""


@dataclass(frozen=True)
class Scene:
    """What was asked, with files relative to the page: the first frame, and the true result where it is known."""

    instruction: str
    first: str
    truth: str | None


@dataclass(frozen=True)
class Validated:
    """One validation.

    Attributes:
        step: of the training.
        files: one per scene, a picture or an .mp4.
        figures: means, by name.
        strength: of the adapters that are trained, (log-SNR, share of the prediction that they move) by level.
    """

    step: int
    files: list[str]
    figures: dict[str, float]
    strength: Sequence[tuple[float, float]] = ()


def add_validation(folder: Path, title: str, scenes: Sequence[Scene], validated: Validated) -> Path:
    """Record one validation and write the page anew; returns the page. One of the same step is replaced."""
    record = folder / RECORD
    lines = record.read_text().splitlines() if record.exists() else []
    history = {row["step"]: Validated(**row) for row in map(json.loads, lines)} | {validated.step: validated}
    ordered = [history[step] for step in sorted(history)]
    record.write_text("".join(json.dumps(asdict(each)) + "\n" for each in ordered))
    page = folder / PAGE
    page.write_text(_render(title, scenes, ordered), encoding="utf-8")
    return page


def _render(title: str, scenes: Sequence[Scene], history: Sequence[Validated]) -> str:
    # Newest first: what one came to see.
    columns = list(reversed(history))
    heads = "".join(f"<th>step {each.step}{_figures(each.figures)}{_strength(each.strength)}</th>" for each in columns)
    rows = "\n".join(_row(number, scene, columns) for number, scene in enumerate(scenes))
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{_STYLE}</style></head>
<body><main>
<h1>{escape(title)}</h1>
<div class="scroll"><table>
<tr><th>instruction</th><th>before</th><th>truth</th>{heads}</tr>
{rows}
</table></div>
</main></body>
</html>
"""


def _figures(figures: Mapping[str, float]) -> str:
    return "".join(f'<div class="soft">{escape(name)} {value:.2f}</div>' for name, value in figures.items())


def _strength(strength: Sequence[tuple[float, float]]) -> str:
    """A bar per level, the highest the strongest, and what they say in words."""
    if not strength:
        return ""
    most = max(moved for _, moved in strength) or 1.0
    bars = "".join(
        f'<i style="height:{max(100 * moved / most, 2):.0f}%" title="log-SNR {level:.1f}: {moved:.2%}"></i>'
        for level, moved in strength
    )
    levels = ", ".join(f"{moved:.2%} at {level:.1f}" for level, moved in strength)
    return (
        f'<div class="bars" role="img" aria-label="The adapters move the prediction by {levels} (log-SNR)">{bars}</div>'
        f'<div class="soft" title="{levels} (log-SNR)">adapters move it by {min(m for _, m in strength):.2%} to '
        f"{max(m for _, m in strength):.2%}</div>"
    )


def _row(number: int, scene: Scene, columns: Sequence[Validated]) -> str:
    truth = _view(scene.truth, "true result") if scene.truth else ""
    cells = "".join(f"<td>{_view(each.files[number], f'step {each.step}')}</td>" for each in columns)
    words = escape(scene.instruction)
    return f"<tr><th>{words}</th><td>{_view(scene.first, 'first frame')}</td><td>{truth}</td>{cells}</tr>"


def _view(file: str, words: str) -> str:
    if file.endswith(".mp4"):
        return f'<video src="{escape(file)}" autoplay loop muted playsinline controls></video>'
    return f'<img src="{escape(file)}" alt="{escape(words)}">'
