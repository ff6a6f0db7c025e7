"""``showme studio``: the page in a browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError


def studio(
    out: Annotated[Path, typer.Option(help="Folder of the studio: runs, photos and their index.")] = Path(
        "showme-studio"
    ),
    models: Annotated[
        Path, typer.Option(help="Folder whose models can be chosen, beside embedded and any hub id.")
    ] = Path(),
    runs: Annotated[Path | None, typer.Option(help="Folder of trainings and evaluations to look at.")] = None,
    clips: Annotated[Path | None, typer.Option(help="Folder of clips that preference studies compare.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or mps; a GPU when there is one.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.")] = 7860,
    root_path: Annotated[str, typer.Option(help="Prefix under which a proxy shows the page, like /studio.")] = "",
    password: Annotated[
        str | None,
        typer.Option(help="Ask everybody for it; any user name, 8 letters or more.", envvar="SHOWME_STUDIO_PASSWORD"),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            help="Ask everybody for it, in a link or header; 16 letters or more.", envvar="SHOWME_STUDIO_TOKEN"
        ),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Show what was made; make and delete nothing.")] = False,
    share: Annotated[bool, typer.Option("--share", help="Also through a public link of gradio's service.")] = False,
    hub: Annotated[
        bool | None, typer.Option(help="Whether visitors may name models of the hub; on 127.0.0.1 when left out.")
    ] = None,
    max_mb: Annotated[int, typer.Option(help="Size of an upload, at most.")] = 32,
    max_waiting: Annotated[int, typer.Option(help="Jobs of one visitor that wait or run, at most.")] = 8,
    reindex: Annotated[
        bool, typer.Option("--reindex", help="Build the index anew from the folders of runs, and stop.")
    ] = False,
) -> None:
    """Serve the page on which photos become results, and models are compared and judged."""
    for name in ("SHOWME_STUDIO_PASSWORD", "SHOWME_STUDIO_TOKEN"):
        if os.environ.get(name) == "":
            raise InputError(f"{name} is set and empty, which would let everybody in: give it a value, or unset it.")
    from ..studio.run import run

    run(
        {
            "folder": out, "models": models, "runs": runs, "studies": clips, "device": device, "host": host,
            "port": port, "root_path": root_path.rstrip("/"), "password": password, "token": token,
            "demo": demo, "hub": hub, "max_bytes": max_mb * 2**20, "max_waiting": max_waiting,
        },
        reindex=reindex,
        share=share,
        say=typer.echo,
    )  # fmt: skip
