"""``showme doctor --config``: what a training will take, and which settings make it fit."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..forecast import Forecast, Report

_SIZE = re.compile(r"(\d+)x(\d+)")


def forecast(
    config: Path, fields: Sequence[str], as_json: bool, shapes: str | None, size: str | None, processes: int,
    sharded: bool,
) -> None:  # fmt: skip
    """Print a recipe's forecast."""
    from ..methods.recipes import load_recipe

    settings = load_recipe(config, fields)
    from ..forecast import forecast_run
    from ..machine import find_devices

    cards = {each["device"]: each for each in find_devices() if each["device"].startswith("cuda")}
    accelerators = {f"{name} ({each['name']})": int(each["memory_gb"] * 10**9) for name, each in cards.items()}
    from rich.console import Console

    with Console(stderr=True).status("going through the run without weights"):
        report = forecast_run(settings, accelerators, shapes, _size(size), processes, sharded)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
    else:
        _print(report, processes, f"showme train {config}{''.join(f' {field}' for field in fields)}")


def default_processes() -> int:
    """As `accelerate launch` says, else one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    if not (found := _SIZE.fullmatch(text)):
        raise InputError(f"--size {text}: write height and width in pixels, such as 480x832.")
    return int(found[1]), int(found[2])


def _print(report: Report, processes: int, command: str) -> None:
    from rich.console import Console

    console, seen = Console(), report.forecast
    each = f", in each of {processes} processes" if processes > 1 else ""
    console.print(
        f"{seen.model}: {seen.frames} frames of {seen.height}x{seen.width}, {seen.samples} "
        f"{'sample' if seen.samples == 1 else 'samples'} at a time{each}; GB of 10^9 bytes\n", highlight=False,
    )  # fmt: skip
    console.print(_table(seen))
    console.print(f"\nMain memory: {_gb(seen.main.total)} GB ({_listed(seen.main.parts)})", highlight=False)
    console.print(f"Disk: {_disk(seen)}\n", highlight=False)
    for name, verdict in report.verdicts.items():
        console.print(f"{name:8} {_words(verdict, command)}", highlight=False, markup=False, soft_wrap=True)


def _table(seen: Forecast) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("on the accelerator, GB")
    for phase in seen.phases:
        table.add_column(phase.name, justify="right")
    for what in dict.fromkeys(what for phase in seen.phases for what in phase.parts):
        table.add_row(what, *(_gb(phase.parts[what]) if what in phase.parts else "" for phase in seen.phases))
    table.add_row("in all", *(_gb(phase.total) for phase in seen.phases), style="bold")
    return table


def _words(verdict: Any, command: str) -> str:
    if verdict.words is None:
        return f"does not fit: it takes {_gb(verdict.total)} GB even with all that was tried"
    if not verdict.words:
        return f"fits, with {_gb(verdict.limit - verdict.total)} GB to spare"
    return f"fits with {_gb(verdict.total)} GB by {command} {' '.join(verdict.words)}"


def _disk(seen: Forecast) -> str:
    each = (
        f"the cache takes {seen.clip / 10**6:.2f} MB for each clip and {seen.sentence / 10**6:.2f} MB for each sentence"
    )
    return each if seen.cache is None else f"{each}, {_gb(seen.cache)} GB for {seen.clips} clips"


def _listed(parts: dict[str, int]) -> str:
    return ", ".join(f"{what} {_gb(size)}" for what, size in parts.items())


def _gb(size: int) -> str:
    return f"{size / 10**9:.2f}" if size < 10**10 else f"{size / 10**9:.1f}"
