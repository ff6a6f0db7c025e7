"""``showme data render``: clips of the tabletop world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...errors import InputError
from ..bars import job_bars

_SPLITS = ("train", "validation", "test", "test_novel")


def render(
    out: Annotated[Path, typer.Option(help="Folder for the clips; an interrupted run goes on where it stopped.")],
    count: Annotated[int, typer.Option(help="Number of clips.")] = 100,
    split: Annotated[str, typer.Option(help="train, validation, test or test_novel.")] = "train",
    seed: Annotated[int | None, typer.Option(help="First seed; the split's first when left out.")] = None,
    processes: Annotated[int | None, typer.Option(help="Worker processes; one per core when left out.")] = None,
    labels: Annotated[bool, typer.Option(help="Write masks and depth too.")] = True,
    preview: Annotated[int, typer.Option(help="Also draw this many clips as a picture, preview.png.")] = 0,
) -> None:
    """Render clips of the tabletop world: frames, instruction, hand joints, masks, depth."""
    if split not in _SPLITS:
        raise InputError(f"--split {split!r}: choose {', '.join(_SPLITS)}.")
    for option, value, low in (("--count", count, 1), ("--processes", processes, 1), ("--preview", preview, 0)):
        if value is not None and value < low:
            raise InputError(f"{option} {value}: choose {low} or more.")
    if seed is not None and seed < 0:
        raise InputError(f"--seed {seed}: choose 0 or more.")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: choose another --out.")
    try:
        index = _render(out, count, split, seed, processes, labels)
    except OSError as error:
        raise InputError(f"{out} cannot be written to ({error.strerror or error}): choose another --out.") from error
    typer.echo(f"clips:   {count} in {out}, listed in {index}")
    if preview:
        from ..preview import draw_preview

        typer.echo(f"look at: {draw_preview(out, index, preview)}")


def _render(out: Path, count: int, split: str, seed: int | None, processes: int | None, labels: bool) -> Path:
    from ...worlds.render import render_dataset
    from ...worlds.tabletop.splits import SPLITS

    owned = SPLITS[split]
    first = owned.start if seed is None else seed
    if first not in owned or first + count - 1 not in owned:
        raise InputError(
            f"--seed {first} with --count {count}: {split} has the seeds {owned.start} to {owned.stop - 1}."
        )
    with job_bars("rendering") as bars:
        row = bars.add_task("rendering", total=count)
        return render_dataset(
            out,
            count,
            split,
            first_seed=seed,
            processes=processes,
            labels=labels,
            progress=lambda done, total: bars.update(row, completed=done, total=total),
        )
