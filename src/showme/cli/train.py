"""``showme train``: a YAML of settings becomes a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from .bars import cache_bars


def train(
    config: Annotated[Path, typer.Argument(help="YAML of the run, such as configs/embedded/state_image.yaml.")],
    fields: Annotated[
        list[str] | None, typer.Argument(help="Settings to change: training.steps=100 out=runs/mine")
    ] = None,
) -> None:
    """Train, or go on with, one stage; alone or under `accelerate launch -m showme.cli train ...`."""
    from ..methods.recipes import load_recipe

    settings = load_recipe(config, fields or ())
    from ..run_input import find_input
    from ..threads import settle_threads

    # Before what takes seconds to import.
    found = find_input(settings)
    if not settings.training.workers:
        # Processes that read samples would inherit the one core of the thread that starts them.
        settle_threads()
    from ..experiment import train as run

    with cache_bars("caching") as progress:
        model = run(settings, progress, found)
    if os.environ.get("RANK", "0") != "0":
        return
    page = settings.out / "validation" / "index.html"
    if page.exists():
        typer.echo(f"look at: {page}")
    typer.echo(f"log:     {settings.out / 'log.jsonl'}")
    typer.echo(f"model:   {model}")
