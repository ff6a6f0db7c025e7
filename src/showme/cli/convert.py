"""``showme convert``: published checkpoints become models that ``generate --model`` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError

app = typer.Typer(help="Turn a published checkpoint into a model for --model.", no_args_is_help=True)


@app.callback()
def _families() -> None:
    """Keeps ``dynamicrafter`` a word of its own while it is the only family."""


@app.command()
def dynamicrafter(
    source: Annotated[Path, typer.Argument(help="model.ckpt as published, or the same as .safetensors.")],
    dest: Annotated[Path, typer.Argument(help="Folder for the model.")],
    size: Annotated[int | None, typer.Option(help="256, 512 or 1024; told from the weights where they do.")] = None,
) -> None:
    """DynamiCrafter-256, -512 or -1024."""
    if size not in (None, 256, 512, 1024):
        raise InputError(f"--size {size}: choose 256, 512 or 1024.")
    if not source.is_file():
        raise InputError(f"There is no file {source}: give the path of the published model.ckpt.")

    from rich.console import Console

    from ..conversion.dynamicrafter_checkpoint import convert_checkpoint
    from ..conversion.keys import ConversionError

    with Console(stderr=True).status("loading") as status:
        try:
            folder = convert_checkpoint(source, dest, size, status.update)
        except ConversionError as error:
            raise InputError(f"{source} cannot be converted: {error}") from error
    typer.echo(f'done: showme generate PHOTO "INSTRUCTION" --model {folder}')
