"""``showme data``: looking at data, checking, labelling, choosing, and computing what training reads of it."""

from __future__ import annotations

import typer

from .annotate import annotate
from .cache import cache
from .check import check, list_clips
from .curate import curate
from .render import render

app = typer.Typer(
    help="Look at data, check, label and choose it, and compute what training reads.", no_args_is_help=True
)
app.command("list")(list_clips)
app.command("check")(check)
app.command("annotate")(annotate)
app.command("curate")(curate)
app.command("cache")(cache)
app.command("render")(render)
