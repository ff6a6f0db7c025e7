"""How a study's tables say things, whatever they are written as."""

from __future__ import annotations

from collections.abc import Sequence

from ...data.media.base import one_line
from ..tables import MISSING, decimals, say
from .computation import Computation
from .table import StudyCell, StudyTable

MARKS = {"inside": "≈", "outside": "", "unknown": "?", None: ""}
WRONG = " (asked wrongly)"
COMPUTATION_HEADS = (
    "recipe", "trained (M)", "all (M)", "batch", "minutes", "samples/s", "peak memory (GiB)", "largest batch",
)  # fmt: skip


def heading(number: int, table: StudyTable) -> str:
    """What a table is of, on one line."""
    seeds = f"seed{'s' if len(table.seeds) > 1 else ''} {', '.join(map(str, table.seeds))}"
    text = f"Table {number}: {table.clips} clips of {table.reference}, protocol {table.protocol['name']}, {seeds}"
    apart = f"; apart from table 1, because {', '.join(table.apart)}" if table.apart else ""
    return one_line(text + apart)


def difference(cell: StudyCell | None, digits: int) -> tuple[str, str]:
    """``Δ mean`` and ``[low, high]`` to the first row, with more decimals where these are small; empty where there is
    none."""
    if cell is None or cell.difference is None:
        return "", ""
    values = cell.difference.mean, cell.difference.low, cell.difference.high
    digits = max(digits, decimals(values) - 1)
    mean, low, high = (f"{'+' if value > 0 else ''}{say(value, digits)}" for value in values)
    return f"Δ {mean}", f"[{low}, {high}]"


def spread(cell: StudyCell, digits: int) -> str:
    """The standard deviation over the seeds."""
    return say(cell.spread, digits)


def computation_cells(costs: Sequence[Computation]) -> list[list[str]]:
    """A line for each training: its names, then a cell for each head."""
    return [
        [
            one_line(line.name),
            one_line(line.recipe),
            f"{line.trainable / 1e6:.3g}",
            f"{line.parameters / 1e6:.4g}",
            str(line.batch_size),
            f"{line.minutes:.2f}",
            f"{line.samples_per_second:.4g}",
            f"{line.memory_mib / 1024:.2f}",
            MISSING if line.largest_batch is None else str(line.largest_batch),
        ]
        for line in costs
    ]


def computation_notes(costs: Sequence[Computation]) -> list[str]:
    """What the computation table means, each once."""
    notes = [
        "Parameters of the model with its frozen encoders and codec, without rewards' estimators; minutes of training, "
        "the mean over seeds; samples per second, the median over steps."
    ]
    for line in costs:
        notes += [f"The peak of memory is that of {line.memory_of}.", *(f"{n[0].upper()}{n[1:]}." for n in line.notes)]
    return list(dict.fromkeys(notes))
