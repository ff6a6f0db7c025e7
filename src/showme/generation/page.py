"""``index.html``: the result to look at, in one page without scripts or anything from the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """
:root { color-scheme: light dark; --paper: #fafaf9; --card: #fff; --ink: #1c1c22; --soft: #6b6b76; --line: #e4e4e7;
  --accent: #4f46e5; --note: #fffbeb; --note-line: #f59e0b; }
@media (prefers-color-scheme: dark) { :root { --paper: #131316; --card: #1c1c21; --ink: #ececf1; --soft: #9d9da8;
  --line: #2e2e35; --accent: #a5b4fc; --note: #29220f; --note-line: #b98209; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px; }
.kicker { margin: 0; color: var(--accent); font-size: 13px; font-weight: 600; letter-spacing: .08em;
  text-transform: uppercase; }
h1 { margin: 4px 0 28px; font-size: clamp(24px, 4vw, 36px); line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 0 0 10px; font-size: 17px; }
.views { display: grid; gap: 18px; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); }
figure, section { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  overflow: hidden; }
figure img, figure video { display: block; width: 100%; aspect-ratio: var(--shape); object-fit: contain;
  background: #000; }
figure .over { position: relative; }
figure .over img + img { position: absolute; inset: 0; mix-blend-mode: screen; opacity: .45; background: none; }
figcaption { padding: 10px 14px; color: var(--soft); font-size: 14px; }
figcaption b { color: var(--ink); }
section { margin-top: 18px; padding: 18px 20px; }
section.note { background: var(--note); border-color: var(--note-line); }
section.note ul { margin: 0; padding-left: 20px; }
section.note li { overflow-wrap: anywhere; }
section.strip { padding: 0; overflow-x: auto; background: #fafaf9; }
section.strip img { display: block; height: auto; min-width: 760px; width: 100%; }
table { width: 100%; border-collapse: collapse; font-size: 14px; }
th, td { padding: 6px 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
tr:first-child th, tr:first-child td { border-top: 0; }
th { width: 32%; color: var(--soft); font-weight: 500; }
.bar { display: flex; gap: 3px; margin: 0 0 12px; }
.bar span { background: var(--accent); color: var(--card); font-size: 12px; padding: 2px 8px; border-radius: 4px; }
footer { margin-top: 22px; color: var(--soft); font-size: 13px; }
"""


@dataclass(frozen=True)
class Seam:
    """One clip of a video of several. start, length: in seconds. drift: in dB; None: nothing stood still."""

    instruction: str
    start: float
    length: float
    drift: float | None


@dataclass(frozen=True)
class Page:
    """What the page shows; every text is escaped here, every file name is relative to the page.

    shape: (width, height) of the pictures. photo: the first frame's file. result, video: files, or None for a task
    that was not asked for. region: the file of where the action happens; None: there is none. notes: what the user
    should know. settings: label -> value. seams: the clips of a video of several; empty: it is one.
    """

    instruction: str
    shape: tuple[int, int]
    photo: str
    result: str | None
    video: str | None
    strip: str
    notes: Sequence[str]
    settings: Mapping[str, str]
    region: str | None = None
    seams: Sequence[Seam] = ()


def render_page(page: Page) -> str:
    """The page as HTML text."""
    views = [picture_figure(page.photo, "The photo, as the model saw it", "Before")]
    if page.region is not None:
        views.append(
            f'<figure><div class="over"><img src="{escape(page.photo)}" alt="">'
            f'<img src="{escape(page.region)}" alt="The region of motion, bright over the photo"></div>'
            "<figcaption><b>Where it happens</b></figcaption></figure>"
        )
    if page.result is not None:
        views.append(picture_figure(page.result, f"Picture of the result: {page.instruction}", "The result"))
    if page.video is not None:
        views.append(video_figure(page.video))
    width, height = page.shape
    body = f"""<div class="views" style="--shape: {width} / {height}">
{chr(10).join(views)}
</div>
<section class="strip"><img src="{escape(page.strip)}" alt="Film strip: the photo, then frames of the action"></section>
{_clips(page.seams)}{_notes(page.notes)}<section>
<h2>Settings</h2>
<table>
{chr(10).join(table_row(*item) for item in page.settings.items())}
</table>
</section>
<footer>Made by a video diffusion model: it imagines what could happen and records nothing that did.
Every setting, version and time is in <a href="run.json">run.json</a>.</footer>"""
    return document(page.instruction, "ShowMe", body)


def document(title: str, kicker: str, body: str) -> str:
    """A page as HTML text. title, kicker: what stands above, as text. body: HTML."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · ShowMe</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<p class="kicker">{escape(kicker)}</p>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>
"""


def picture_figure(source: str, description: str, caption: str) -> str:
    return (
        f'<figure><img src="{escape(source)}" alt="{escape(description)}">'
        f"<figcaption><b>{escape(caption)}</b></figcaption></figure>"
    )


def video_figure(source: str) -> str:
    return (
        f'<figure><video src="{escape(source)}" autoplay loop muted playsinline controls></video>'
        "<figcaption><b>The action</b></figcaption></figure>"
    )


def _clips(seams: Sequence[Seam]) -> str:
    """A bar as long as the video with its seams, and what happens between them."""
    if not seams:
        return ""
    parts = "".join(f'<span style="flex: {seam.length:.3f}">{number}</span>' for number, seam in enumerate(seams, 1))
    rows = "".join(
        table_row(f"{seam.start:.2f} to {seam.start + seam.length:.2f} s", f"{seam.instruction}{_drifted(seam.drift)}")
        for seam in seams
    )
    return (
        '<section class="clips">\n<h2>Clips</h2>\n'
        f'<div class="bar" role="img" aria-label="{len(seams)} clips, one after the other">{parts}</div>\n'
        f"<table>\n{rows}\n</table>\n</section>\n"
    )


def _drifted(drift: float | None) -> str:
    return "" if drift is None else f" (what stood still: {drift:.1f} dB to the photo at its end)"


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "\n".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<section class="note">\n<h2>What you should know</h2>\n<ul>\n{items}\n</ul>\n</section>\n'


def table_row(label: str, value: str) -> str:
    return f"<tr><th>{escape(label)}</th><td>{escape(value)}</td></tr>"
