"""``showme data list`` and ``showme data check``: what a data set holds, and which of its clips cannot be read."""

from __future__ import annotations

from pathlib import Path, PurePath
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
    from ...data.sources.faults import LeftOuts
    from ...data.sources.record import Fault, LeftOut

    if count < 0:
        raise InputError(f"--count {count}: choose 0 or more.")
    splits: dict[str, int] = {}
    instructions: set[str] = set()
    shown = 0
    opened = open_source(source, fields or ())
    faults: list[Fault] = []
    left_out = LeftOuts()
    named: list[LeftOut] = []
    for entry in opened.selected():
        if isinstance(entry, Fault):
            faults.append(entry)
            continue
        if isinstance(entry, LeftOut):
            left_out.add(entry)
            named = [*named, entry][:count]
            continue
        split = entry.split or "no split"
        splits[split] = splits.get(split, 0) + 1
        instructions.add(entry.instruction)
        if shown < count:
            shown += 1
            span = "" if entry.span is None else f" [{entry.span.start:g} to {entry.span.stop:g} {entry.span.unit}]"
            typer.echo(f"{entry.id}: {one_line(entry.instruction)}\n    {entry.media.path}{span}")
    total = ", ".join(f"{number} {split}" for split, number in splits.items())
    if splits:
        typer.echo(f"clips:   {total}; {len(instructions)} different instructions")
    for entry in named:
        typer.echo(f"not in:  {one_line(entry.id)}: {entry.reason}")
    if left_out.first:
        typer.echo(f"not in:  {left_out.sentence(opened.noun)}")
    if error := opened.refusal(faults, bool(splits)):
        raise error
    if not splits:
        raise opened.none_left()


def check(
    source: Place,
    fields: Fields = None,
    out: Annotated[Path, typer.Option(help="List of the bad clips, for the source's field exclude.")] = Path(
        "exclude.jsonl"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="Decode the first and last frame of each alone.")] = False,
    processes: Annotated[int | None, typer.Option(help="Worker processes; one per core when left out.")] = None,
    seconds: Annotated[int, typer.Option(help="That one clip may take.")] = 600,
    exclude_black: Annotated[
        bool, typer.Option("--exclude-black", help="List clips whose every frame is black too.")
    ] = False,
) -> None:
    """Decode every clip, report those that cannot be read, and write the list that leaves them out."""
    from ...data.check import check_clips
    from ...data.media.base import one_line
    from ...data.sources import Record, open_source
    from ...data.sources.faults import counted
    from ...data.sources.lists import check_writable, read_exclusions, write_exclusions
    from ...data.sources.record import Fault

    for option, value in (("--processes", processes), ("--seconds", seconds)):
        if value is not None and value < 1:
            raise InputError(f"{option} {value}: choose 1 or more.")
    opened = open_source(source, fields or ())
    entries = list(counted(opened.selected(), opened.place, opened.noun))
    if not entries:
        raise opened.none_left()
    records = [entry for entry in entries if isinstance(entry, Record)]
    faults = [entry for entry in entries if isinstance(entry, Fault)]
    if faults and not records:
        # Not records are at fault but the list, and leaving all of them out is no remedy.
        raise InputError(str(opened.refusal(faults, False)))
    # Asked now, so that an hour of reading is not lost to a folder that cannot be written to.
    check_writable(out)
    with job_bars("checking") as bars:
        row = bars.add_task("checking", total=len(records))
        checked = check_clips(
            records,
            quick=quick,
            processes=processes,
            seconds=seconds,
            progress=lambda done: bars.update(row, completed=done),
        )
    bad = {fault.id: fault.reason for fault in faults} | checked.bad
    for name, reason in bad.items():
        # A record without an id is called by its row, with which the reason begins.
        of_row = PurePath(reason.partition(": ")[0]).name == name
        typer.echo(f"bad:     {'' if of_row else f'{one_line(name)}: '}{reason}")
    for name in checked.black:
        typer.echo(f"black:   {name}: every frame of it is black")
    typer.echo(f"checked: {len(entries)} clips, {len(bad)} bad")
    if checked.black:
        where = "in the list too" if exclude_black else "not in the list (--exclude-black puts them there)"
        typer.echo(f"black:   {len(checked.black)} clips, {where}")
    # What the source leaves out already stays out; and without bad clips too there is a list, so that no other check's
    # is taken for it.
    before = read_exclusions(opened.exclude) if opened.exclude else {}
    excluded = before | bad
    if exclude_black:
        excluded |= {name: "every frame of it is black" for name in checked.black if name not in bad}
    write_exclusions(out, excluded)
    typer.echo(f"list:    {out}, {len(excluded)} clips (leave them out: exclude={out})")
    if bad:
        raise typer.Exit(1)
