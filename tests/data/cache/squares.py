"""A part whose values are known: squares of the row numbers. Run as a script it fills a folder, slowly."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from showme.data.cache import Part, build, build_parts, parts

ROWS, SHARD_ROWS = 244, 8


def squares(
    rows: int = ROWS,
    calls: list | None = None,
    fail_at: int | None = None,
    name: str = "squares",
    identities: list[str] | None = None,
    pause: float = 0.0,
    **fingerprint,
) -> Part:
    """calls: filled with the rows that were computed. fail_at: a row that raises. pause: seconds per chunk."""

    def encode(numbers):
        if fail_at is not None and fail_at in numbers:
            raise KeyboardInterrupt
        if calls is not None:
            calls.extend(numbers)
        time.sleep(pause)
        values = torch.tensor(list(numbers))
        return {"square": values.float()[:, None].square().expand(-1, 3), "number": values}

    return Part(name, fingerprint, identities or [f"row {row}" for row in range(rows)], encode, chunk=4)


def make_squares() -> list[Part]:
    """Parts that another process makes for itself."""
    return [squares(), squares(name="more", other=True)]


if __name__ == "__main__":
    parts.SHARD_ROWS = build.SHARD_ROWS = SHARD_ROWS
    folder, pause = Path(sys.argv[1]), float(sys.argv[2])
    build_parts(folder, [squares(pause=pause), squares(name="more", pause=0, other=True)])
