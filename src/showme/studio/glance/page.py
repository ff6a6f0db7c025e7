"""The studio's tab of trainings and evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from .style import STYLE
from .view import Watch

_SECONDS = 3.0
_FIGURES = "glance-figures"
# A timer goes on when another tab is in front, and which one is, only the browser knows. It knows it a moment after the
# tab was chosen.
_IN_FRONT = f"""async () => {{
  await new Promise((done) => setTimeout(done, 50));
  const figures = document.getElementById("{_FIGURES}");
  return {{ __type__: "update", active: Boolean(figures && figures.offsetParent) }};
}}"""


def glance_tab(root: Path, link: Callable[[Path], str], seconds: float = _SECONDS) -> None:
    """Fill a tab with the runs below a folder: call it inside ``with gr.Tab("Training"):``.

    While the tab is in front, it looks at the chosen run again and again; what has not changed is not sent.

    Args:
        root: the folder of runs; nothing outside of it is read or shown.
        link: a file below ``root`` -> its address on this server; called with ``root / ...``, in whichever way ``root``
            is written.
        seconds: between two looks.
    """
    watch = Watch(root, link)
    gr.HTML(STYLE, apply_default_css=False, elem_classes="glance-style")
    with gr.Row(equal_height=True):
        run = gr.Dropdown([], label="Run or report", scale=4, min_width=280)
        log = gr.Checkbox(False, label="Losses on a logarithmic axis", scale=2, min_width=240)
        again = gr.Button("Look for new runs", scale=1, min_width=160)
    state = gr.HTML(apply_default_css=False)
    figures = gr.HTML(apply_default_css=False, elem_id=_FIGURES)
    frame = gr.HTML(apply_default_css=False)
    # Digests of what the browser has.
    sent = gr.State(("", "", ""))
    timer = gr.Timer(seconds)

    def list_runs(chosen: str | None) -> dict[str, Any]:
        listing = watch.listing()
        names = [entry.name for entry in listing.entries]
        options = [(f"{entry.name} ({entry.kind})", entry.name) for entry in listing.entries]
        info = None if listing.complete else "There are more than are listed: name a folder of fewer with --runs."
        return gr.update(choices=options, value=chosen if chosen in names else next(iter(names), None), info=info)

    def look(name: str | None, log: bool, sent: tuple[str, ...]) -> tuple[Any, ...]:
        shown = watch.look(name, log)
        html = (shown.state, shown.figures, shown.frame)
        changed = zip(html, shown.digests, sent, strict=True)
        return *(gr.skip() if new == old else each for each, new, old in changed), shown.digests

    quick = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    looked: dict[str, Any] = {"fn": look, "inputs": [run, log, sent], "outputs": [state, figures, frame, sent], **quick}
    gr.on([run.change, log.change], **looked, trigger_mode="always_last")
    timer.tick(**looked)
    blocks, *tabs = reversed(list(_around(timer)))
    gr.on([blocks.load, again.click], list_runs, run, run, **quick).then(**looked)
    for each in tabs:
        if isinstance(each, gr.Tabs):
            each.select(None, None, timer, js=_IN_FRONT, api_visibility="private")


def _around(block: Any) -> Iterator[Any]:
    """What a block stands in, the whole page last."""
    while block.parent is not None:
        block = block.parent
        yield block
