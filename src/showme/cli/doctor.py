"""``showme doctor``: what this machine can run, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError
from .forecast import forecast

_LABEL = len("embedded model")


def doctor(
    fields: Annotated[
        list[str] | None, typer.Argument(help="With --config: settings to change, as for showme train.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML of a training: forecast the memory that it takes, and what makes it fit.")
    ] = None,
    shapes: Annotated[
        str | None, typer.Option(help="With --config: a published model's shapes, where the recipe's is not here.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="With --config: height and width of the pictures, 480x832.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="With --config: that train together.")] = 1,
    sharded: Annotated[bool, typer.Option("--sharded", help="With --config: by FSDP2 instead of DDP.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Say what this machine can run, and what is missing; or what a training will take."""
    if config is not None:
        forecast(config, fields or (), as_json, shapes, size, processes, sharded)
        return
    if fields or shapes or size or sharded:
        raise InputError("Settings, --shapes, --size and --sharded are of a forecast: give the recipe with --config.")
    from ..machine import examine, find_installed

    if as_json:
        typer.echo(json.dumps(examine(), indent=2))
    else:
        # Before torch is tried, which takes seconds and may fail.
        installed = find_installed()
        _print_installed(installed)
        _print(examine(), installed["missing"])


def _facts() -> Any:
    from rich.table import Table

    facts = Table(show_header=False, box=None, pad_edge=False)
    facts.add_column(min_width=_LABEL)
    return facts


def _print_installed(installed: dict[str, Any]) -> None:
    from rich.console import Console

    facts, packages = _facts(), installed["packages"]
    facts.add_row("showme", f"{installed['showme']} on Python {installed['python']}, {installed['platform']}")
    facts.add_row("packages", ", ".join(f"{name} {packages[name]}" for name in ("torch", "diffusers", "transformers")))
    facts.add_row("extras", ", ".join(f"{name}: {state}" for name, state in installed["extras"].items()))
    Console().print(facts)
    _print_missing(installed["missing"])


def _print_missing(sentences: list[str]) -> None:
    from rich.console import Console

    if sentences:
        Console().print("\nMissing or wrong:")
    for sentence in sentences:
        Console().print(f"  {sentence}", highlight=False, markup=False)


def _print(report: dict[str, Any], said: list[str]) -> None:
    from rich.console import Console

    console, facts = Console(), _facts()
    facts.add_row("cores", f"{report['cores']}; {report['free_disk_gb']:g} GB of disk free")
    for device in report["devices"]:
        bf16 = "bf16" if device["bf16"] else "no fast bf16"
        facts.add_row(device["device"], f"{device['name']}, {device['memory_gb']:g} GB, {bf16}")
    facts.add_row("video", "H.264 (libx264)" if report["h264"] else "no H.264 encoder")
    facts.add_row("rendering", f"MuJoCo over {report['worlds']}" if report["worlds"] != "missing" else "not installed")
    facts.add_row("embedded model", report["embedded"])
    console.print(facts)
    console.print("\nThis machine can run:")
    for name, verdict in report["can_run"].items():
        console.print(f"  {name:20} {verdict}", highlight=False)
    _print_missing([sentence for sentence in report["missing"] if sentence not in said])
