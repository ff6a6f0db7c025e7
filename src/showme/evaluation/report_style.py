"""The look of reports and comparisons: one style, no scripts, nothing from the network."""

from __future__ import annotations

from html import escape

_STYLE = """
:root { color-scheme: light dark; --paper: #fafaf9; --card: #fff; --ink: #1c1c22; --soft: #6b6b76; --line: #e4e4e7;
  --shade: #0003; --accent: #4f46e5; --band: #4f46e522; --c0: #c2410c; --c1: #0f766e; --c2: #a16207; --c3: #9d174d;
  --c4: #475569; }
@media (prefers-color-scheme: dark) { :root { --paper: #131316; --card: #1c1c21; --ink: #ececf1; --soft: #9d9da8;
  --line: #2e2e35; --shade: #000a; --accent: #a5b4fc; --band: #a5b4fc2b; --c0: #fb923c; --c1: #2dd4bf; --c2: #facc15;
  --c3: #f472b6; --c4: #94a3b8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 36px clamp(14px, 3vw, 24px) 64px; }
.kicker { margin: 0; color: var(--accent); font-size: 13px; font-weight: 600; letter-spacing: .08em;
  text-transform: uppercase; }
h1 { margin: 4px 0; font-size: 28px; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 36px 0 10px; font-size: 19px; }
h3 { margin: 0; font-size: 16px; line-height: 1.35; overflow-wrap: anywhere; }
p { margin: 0; overflow-wrap: anywhere; } p.under { margin-top: 10px; }
p + .card { margin-top: 14px; } .flows + p { margin-top: 5px; }
ul, ol { margin: 0; padding-left: 22px; } li { margin: 3px 0; overflow-wrap: anywhere; }
.soft { color: var(--soft); font-size: 13px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px; min-width: 0; }
.cards { display: grid; gap: 16px; grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); }
.clip { margin-top: 14px; }
/* Shadows at the edges that more lies beyond: covers that scroll along lie over shadows that do not. */
.scroll { overflow-x: auto; background:
  linear-gradient(90deg, var(--card) 40%, transparent) left / 36px 100% no-repeat local,
  linear-gradient(270deg, var(--card) 40%, transparent) right / 36px 100% no-repeat local,
  linear-gradient(90deg, var(--shade), transparent) left / 14px 100% no-repeat scroll,
  linear-gradient(270deg, var(--shade), transparent) right / 14px 100% no-repeat scroll, var(--card); }
.swipe { display: none; margin-bottom: 8px; } @media (max-width: 720px) { .swipe { display: block; } }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { padding: 6px 14px 6px 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top;
  font-weight: 400; overflow-wrap: anywhere; }
thead th, thead + tbody tr:first-child > *, table > tbody:first-child > tr:first-child > * { border-top: 0; }
thead + tbody tr:first-child > * { border-top: 1px solid var(--line); }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
.figures thead th { font-weight: 600; vertical-align: bottom; overflow-wrap: break-word; min-width: 92px; }
.figures tbody th { min-width: 140px; overflow-wrap: break-word; }
.figures td .soft, .figures th .soft { display: block; font-size: 12px; }
.figures > * > tr > :last-child { padding-right: 0; }
tr.baseline > * { color: var(--soft); }
.figures tr.model + tr.baseline > * { border-top: 2px solid var(--soft); }
.noise { color: var(--soft); }
sup { font-size: 11px; line-height: 0; } a { color: var(--accent); text-decoration: none; }
.fields th { width: 30%; color: var(--soft); overflow-wrap: break-word; }
svg.plot { display: block; width: 100%; height: auto; margin-top: 8px; font: 11px system-ui, sans-serif; }
svg text { fill: var(--soft); } svg .axis { stroke: var(--line); } svg .band { fill: var(--band); }
svg .mean { stroke: var(--accent); stroke-dasharray: 5 3; } svg .dot { fill: var(--accent); }
svg .dot:hover { stroke: var(--accent); stroke-width: 5; }
svg polyline { fill: none; stroke-width: 1.5; }
.c0 { stroke: var(--c0); background: var(--c0); } .c1 { stroke: var(--c1); background: var(--c1); }
.c2 { stroke: var(--c2); background: var(--c2); } .c3 { stroke: var(--c3); background: var(--c3); }
.c4 { stroke: var(--c4); background: var(--c4); } .own { background: var(--accent); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0 0 12px; color: var(--soft); font-size: 13px; }
.legend i { display: inline-block; width: 18px; height: 3px; margin-right: 6px; vertical-align: middle;
  border-radius: 2px; }
.panels { display: grid; gap: 2px; margin: 12px 0 8px; overflow-x: auto;
  grid-template-columns: repeat(var(--all), minmax(140px, 300px)); }
.panels span { align-self: end; padding: 0 4px 3px; color: var(--soft); font-size: 13px; line-height: 1.3;
  text-align: center; overflow-wrap: anywhere; }
.panels span.own-label { color: var(--accent); font-weight: 600; background: none; }
.panels video { grid-column: span var(--moving); }
.panels video, .panels img { display: block; width: 100%; height: auto; border-radius: 6px; }
.flows { display: grid; gap: 10px 16px; grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); }
figure { margin: 0; min-width: 0; } figure img { display: block; width: 100%; height: auto; border-radius: 6px;
  outline: 1px solid var(--line); }
figcaption { padding-bottom: 3px; color: var(--soft); font-size: 13px; }
.wheel { display: flex; gap: 12px; align-items: center; margin-top: 8px; } .wheel img { flex: 0 0 56px; height: 56px; }
.words { display: block; unicode-bidi: isolate; }
dl { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 8px 0 0; font-size: 13px; color: var(--soft); }
dl div { display: flex; gap: 5px; min-width: 0; } dd { margin: 0; color: var(--ink); font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--soft); } details + details { margin-top: 8px; }
"""


def render_page(title: str, body: str) -> str:
    """A page as HTML text.

    Args:
        title: any text; it is escaped here.
        body: HTML.
    """
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{_STYLE}</style></head>
<body><main>
<p class="kicker">ShowMe evaluation</p>
<h1>{escape(title)}</h1>
{body}
</main></body>
</html>
"""
