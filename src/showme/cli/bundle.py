"""``showme bundle``: models on disk, thin and whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Models on disk.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Models on disk."""


@app.command()
def merge(
    thin: Annotated[str, typer.Argument(help="A thin model, or several over one base: FOLDER+FOLDER.")],
    dest: Annotated[Path, typer.Argument(help="Folder for the whole one.")],
) -> None:
    """Write a thin model and its base as one whole model, which needs nothing beside it."""
    from ..bundle_folder import merge_bundle

    merge_bundle(thin, dest)
    typer.echo(f"model: {dest}")
