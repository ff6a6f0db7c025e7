"""Every frame of every kind of video against a decoding of the whole file by the ffmpeg command, which must be there.

    python scripts/decoding_matrix.py

For each container and codec as they go together: all frames one by one, in random order, and 40 spans in seconds,
chosen by time stamp and compared before colours are converted; then all frames as RGB, within 1 level. The exit code is
1 where anything differs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from decoding.comparison import compare
from decoding.kinds import all_kinds, make


def main(only: Annotated[str, typer.Option(help="kinds whose name holds this")] = "") -> None:
    """Print a line for each kind, and the sums."""
    comparisons = differences = refused = 0
    print("| kind | comparisons | differences |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in all_kinds():
            if only not in kind.name:
                continue
            path = make(kind, Path(folder))
            if path is None:
                refused += 1
                print(f"| {kind.name} | ffmpeg does not write it | |", flush=True)
                continue
            outcome = compare(path)
            comparisons += outcome.comparisons
            differences += len(outcome.differences)
            said = "; ".join(outcome.differences[:3]) or "0"
            print(f"| {kind.name} | {outcome.comparisons} | {said} |", flush=True)
    print(f"\n{comparisons} comparisons, {differences} differences; {refused} kinds that ffmpeg does not write")
    raise typer.Exit(1 if differences else 0)


if __name__ == "__main__":
    typer.run(main)
