"""Progress bars that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


def job_bars(label: str) -> Progress:
    """Bars on stderr with counts, time spent and time left; ``label`` may hold ``{task.description}``."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"))
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


@contextmanager
def cache_bars() -> Iterator[Callable[[str, int, int], None]]:
    """While open, ``report(part, rows done, rows)`` draws one bar per part on stderr; none without a report."""
    bars = job_bars("caching {task.description:12}")
    rows: dict = {}

    def report(part: str, done: int, total: int) -> None:
        if part not in rows:
            bars.start()
            rows[part] = bars.add_task(part, total=total)
        bars.update(rows[part], completed=done)
        if all(task.finished for task in bars.tasks):
            # The trainer draws a bar of its own next.
            bars.stop()

    try:
        yield report
    finally:
        bars.stop()
