"""The parts of the judging page as HTML text, and its style."""

from __future__ import annotations

from html import escape

from .service import Shown

# Both sides' names, where they stand on a wide screen and on a narrow one.
_SIDES = (("A", "left", "upper"), ("B", "right", "lower"))

STYLE = """
:root { --judge-accent: #4f46e5; --judge-soft: #57575f; --judge-shade: #eef0ff; --judge-line: #d4d4d8;
  --judge-alarm: #b91c1c; }
:root .dark { --judge-accent: #a5b4fc; --judge-soft: #b4b4be; --judge-shade: #26263a; --judge-line: #4a4a52;
  --judge-alarm: #fca5a5; }
.gradio-container .app { padding: 0 !important; max-width: none !important; }
.gradio-container main { max-width: 1080px; margin: 0 auto !important;
  padding: 20px clamp(12px, 3vw, 24px) !important; }
.gradio-container .html-container { padding: 0 !important; }
.kicker { margin: 0; color: var(--judge-accent); font-size: 13px; font-weight: 600; letter-spacing: .08em;
  text-transform: uppercase; }
.head h1 { margin: 0; font-size: 24px; line-height: 1.25; overflow-wrap: anywhere; }
.done { display: flex; gap: 14px; align-items: center; }
.done h2 { margin: 0; font-size: 15px; font-weight: 600; white-space: nowrap; outline: none; }
.done progress { flex: 1; height: 6px; appearance: none; border: 0; border-radius: 3px; background: var(--judge-line);
  overflow: hidden; }
.done progress::-webkit-progress-bar { background: var(--judge-line); }
.done progress::-webkit-progress-value { background: var(--judge-accent); }
.done progress::-moz-progress-bar { background: var(--judge-accent); }
.asked { margin: 12px 0 0; padding: 8px 16px; border-left: 4px solid var(--judge-accent); border-radius: 4px;
  background: var(--judge-shade); font-size: 18px; line-height: 1.4; overflow-wrap: anywhere; unicode-bidi: plaintext; }
.asked span { display: block; color: var(--judge-soft); font-size: 13px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; margin-top: 12px; }
.pair figure { display: grid; justify-items: center; min-width: 0; margin: 0; }
.pair figcaption { padding: 0 0 4px; font-weight: 600; font-size: 16px; }
.pair figcaption span { color: var(--judge-soft); font-weight: 400; }
.pair video { display: block; width: auto; max-width: 100%; height: clamp(180px, 44vh, 420px); margin: 0;
  object-fit: contain; border-radius: 10px; background: #000; }
.pair .narrow { display: none; }
.replay { justify-content: center; } .replay button { flex: 0 1 180px; }
.questions fieldset > span[data-testid=block-info] { margin-bottom: 8px; color: var(--body-text-color); font-size: 15px;
  font-weight: 600; line-height: 1.35; white-space: normal; }
.questions label:has(input:focus-visible), .gradio-container button:focus-visible {
  outline: 3px solid var(--judge-accent); outline-offset: 2px; }
.thanks { padding: 32px 0; } .thanks h2 { font-size: 22px; outline: none; }
.trouble { margin: 0; padding: 10px 14px; border-left: 4px solid var(--judge-alarm); border-radius: 4px;
  font-weight: 600; }
.block:has(> .html-container > .prose:empty) { display: none; }
@media (max-width: 640px) {
  .pair { grid-template-columns: 1fr; gap: 8px; }
  .pair video { height: 34vh; }
  .pair .wide { display: none; } .pair .narrow { display: inline; }
  .head h1 { font-size: 20px; } .asked { font-size: 17px; }
}
"""


def text(words: str) -> str:
    """Any text, to be shown as it is: HTML's characters, and those by which gradio's templates fill in values."""
    return escape(words).replace("$", "&#36;").replace("{", "&#123;").replace("}", "&#125;").replace("`", "&#96;")


def head(title: str) -> str:
    """What stands above everything."""
    return f'<header class="head"><p class="kicker">Preference study</p><h1>{text(title)}</h1></header>'


def pair(shown: Shown) -> str:
    """Where a judge is, what was asked for, and both clips."""
    asked = f'<p class="asked"><span>Instruction</span>{text(shown.instruction)}</p>' if shown.instruction else ""
    figures = "".join(
        f'<figure><figcaption>{name} <span class="wide">({wide})</span><span class="narrow">({narrow})</span>'
        f'</figcaption><video src="clips/{file}" aria-label="Video {name}" loop muted playsinline preload="auto">'
        "</video></figure>"
        for (name, wide, narrow), file in zip(_SIDES, (shown.left, shown.right), strict=True)
    )
    return (
        f'<div class="done"><h2 tabindex="-1">{shown.number} of {shown.total}</h2>'
        f'<progress max="{shown.total}" value="{shown.number - 1}" aria-label="Pairs that you have judged"></progress>'
        f'</div>{asked}<div class="pair">{figures}</div>'
    )


def thanks(total: int) -> str:
    """For a judge who has seen everything."""
    pairs = "the one pair" if total == 1 else f"all {total} pairs"
    return (
        f'<div class="thanks"><h2 tabindex="-1">Thank you</h2>'
        f"<p>You have judged {pairs}. Your answers are kept; you can close this page.</p></div>"
    )


def trouble(sentence: str) -> str:
    """What went wrong; empty: nothing."""
    return f'<p class="trouble" role="alert">{text(sentence)}</p>' if sentence else ""
