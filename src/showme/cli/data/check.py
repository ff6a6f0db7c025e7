"""``showme data list`` and ``showme data check``: what a data set holds, and which of its clips cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...errors import InputError
from ..bars import job_bars

Place = Annotated[
    str, typer.Argument(help="A folder or list of clips, a YAML with `kind:`, or a kind: ssv2, epic_kitchens, ...")
]
Fields = Annotated[list[str] | None, typer.Argument(help="The source's fields: annotations=train.json videos=clips")]


def list_clips(
    source: Place,
    fields: Fields = None,
    count: Annotated[int, typer.Option(help="How many to show.")] = 10,
) -> None:
    """Show what a data set holds: how many clips of which split, and the first of them."""
    from ...data.media.base import one_line
    from ...data.sources import open_source

    if count < 0:
        raise InputError(f"--count {count}: choose 0 or more.")
    splits: dict[str, int] = {}
    instructions: set[str] = set()
    shown = 0
    opened = open_source(source, fields or ())
    for record in opened.chosen():
        split = record.split or "no split"
        splits[split] = splits.get(split, 0) + 1
        instructions.add(record.instruction)
        if shown < count:
            shown += 1
            span = "" if record.span is None else f" [{record.span.start:g} to {record.span.stop:g} {record.span.unit}]"
            typer.echo(f"{record.id}: {one_line(record.instruction)}\n    {record.media.path}{span}")
    if not splits:
        raise opened.none_left()
    total = ", ".join(f"{number} {split}" for split, number in splits.items())
    typer.echo(f"clips:   {total}; {len(instructions)} different instructions")


def check(
    source: Place,
    fields: Fields = None,
    out: Annotated[Path, typer.Option(help="List of the bad clips, for the source's field exclude.")] = Path(
        "exclude.jsonl"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="Decode the first and last frame of each alone.")] = False,
    processes: Annotated[int | None, typer.Option(help="Worker processes; one per core when left out.")] = None,
    seconds: Annotated[int, typer.Option(help="That one clip may take.")] = 600,
) -> None:
    """Decode every clip, report those that cannot be read, and write the list that leaves them out."""
    from ...data.check import find_bad
    from ...data.sources import open_source
    from ...data.sources.lists import check_writable, read_exclusions, write_exclusions

    for option, value in (("--processes", processes), ("--seconds", seconds)):
        if value is not None and value < 1:
            raise InputError(f"{option} {value}: choose 1 or more.")
    opened = open_source(source, fields or ())
    records = list(opened.chosen())
    if not records:
        raise opened.none_left()
    # Asked now, so that an hour of reading is not lost to a folder that cannot be written to.
    check_writable(out)
    with job_bars("checking") as bars:
        row = bars.add_task("checking", total=len(records))
        bad = find_bad(
            records,
            quick=quick,
            processes=processes,
            seconds=seconds,
            progress=lambda done: bars.update(row, completed=done),
        )
    for name, reason in bad.items():
        typer.echo(f"bad:     {name}: {reason}")
    typer.echo(f"checked: {len(records)} clips, {len(bad)} bad")
    # What the source leaves out already stays out; and without bad clips too there is a list, so that no other check's
    # is taken for it.
    before = read_exclusions(opened.exclude) if opened.exclude else {}
    write_exclusions(out, before | bad)
    typer.echo(f"list:    {out}, {len(before) + len(bad)} clips (leave them out: exclude={out})")
    if bad:
        raise typer.Exit(1)
