"""``showme evaluate compare A B ...``: the table of a paper, of figures that compare."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from ...errors import InputError


def compare(
    results: Annotated[list[Path], typer.Argument(help="The result.json of each evaluation, or its folder.")],
    out: Annotated[Path | None, typer.Option(help="Also write it: a .csv, .tex or .html file.")] = None,
) -> None:
    """Set figures side by side; those of different protocols, clips or networks are refused."""
    from ...evaluation import compare as tables
    from ...evaluation.results import read_result
    from ...staged_files import staged

    writers = {
        ".csv": tables.comparison_csv,
        ".tex": tables.comparison_latex,
        ".html": tables.comparison_html,
    }
    if out is not None and out.suffix.lower() not in writers:
        raise InputError(f"--out {out}: name a file that ends in {', '.join(writers)}.")
    twice = next((path for path, count in Counter(path.resolve() for path in results).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{twice} was given twice: give each result once.")
    read = [(path, read_result(path)) for path in results]
    names = Counter(result.model.name for _, result in read)
    comparison = tables.compare(
        {f"{r.model.name} ({path})" if names[r.model.name] > 1 else r.model.name: r for path, r in read}
    )
    typer.echo(tables.comparison_text(comparison))
    if out is not None:
        try:
            with staged(out) as path:
                path.write_text(writers[out.suffix.lower()](comparison), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{out} cannot be written ({error.strerror}): choose another --out.") from error
        typer.echo(f"table:   {out}")
