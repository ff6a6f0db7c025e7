"""``showme data cache``: what training reads of every clip, computed once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..bars import cache_bars


def cache(
    config: Annotated[Path, typer.Argument(help="YAML of the run that is to read the cache.")],
    fields: Annotated[list[str] | None, typer.Argument(help="Settings to change: data.clips=100")] = None,
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster that computes it, or local.")] = None,
) -> None:
    """Compute latents, tokens and reward targets of every clip once; an interrupted run goes on where it stopped.

    Several of these commands, on one machine or many, share the work of one folder.
    """
    from ...methods.recipes import load_recipe

    settings = load_recipe(config, fields or ())
    from ...bundle import open_bundle

    # Before what takes seconds to import.
    open_bundle(settings.model)
    from ...experiment import fill_cache

    with cache_bars("caching") as progress:
        count = fill_cache(settings, progress, ray)
    draws = f", {settings.data.draws} draws of each" if settings.data.draws > 1 else ""
    typer.echo(f"cached:  {count // settings.data.draws} clips{draws} in {settings.data.cache}")
