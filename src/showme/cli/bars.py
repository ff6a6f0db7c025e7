"""Progress bars that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


def job_bars(label: str, in_files: bool = True) -> Progress:
    """Bars on stderr with counts, time spent and time left.

    Args:
        label: may hold ``{task.description}``.
        in_files: whether they are drawn where stderr is no terminal.
    """
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
    console = Console(stderr=True)
    hidden = not (in_files or console.is_terminal)
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=hidden)


def human_bytes(size: float) -> str:
    """A size as people say it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


@contextmanager
def cache_bars(label: str) -> Iterator[Callable[[str, int, int, int], None]]:
    """While open, ``report(part, rows done, rows, bytes)`` draws one bar per part on stderr; none without a report."""
    # Many bars that start and stop would leave a file full of blank lines.
    bars = job_bars(label + " {task.description:21}", in_files=False)
    rows: dict = {}
    sizes: dict[str, int] = {}

    def report(part: str, done: int, total: int, size: int) -> None:
        if part not in rows:
            bars.start()
            rows[part] = bars.add_task(part, total=total)
        sizes[part] = size
        bars.update(rows[part], completed=done, description=f"{part:10} {human_bytes(size):>9}")
        if all(task.finished for task in bars.tasks) and all(sizes.values()):
            # The trainer draws a bar of its own next.
            bars.stop()

    try:
        yield report
    finally:
        bars.stop()
