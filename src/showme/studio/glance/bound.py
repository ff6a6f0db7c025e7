"""How far a run is and how long it will still take, from its settings and the newest lines of its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .numbers import is_finite


@dataclass(frozen=True)
class Bound:
    """What is planned, done and left; None where it is not known.

    planned_steps, planned_seconds: the settings' bound, one of the two. seconds: of training, over all resumptions.
    progress: share of the bound, 0 to 1. seconds_left: at the pace of the newest lines. step_seconds: of a step there.
    """

    planned_steps: int | None = None
    planned_seconds: float | None = None
    seconds: float | None = None
    progress: float | None = None
    seconds_left: float | None = None
    step_seconds: float | None = None


def find_bound(training: object, rows: Sequence[Mapping[str, Any]]) -> Bound:
    """Where a run stands.

    Args:
        training: that part of its settings; anything else says nothing.
        rows: the newest lines of its log, oldest first, each with a step.
    """
    training = training if isinstance(training, dict) else {}
    steps, minutes = _positive(training.get("steps")), _positive(training.get("minutes"))
    planned_seconds = None if minutes is None else minutes * 60
    timed = [row for row in rows if is_finite(row.get("seconds"))]
    shares = [_share(row, steps, planned_seconds) for row in timed]
    pace = [(share, row["seconds"]) for share, row in zip(shares, timed, strict=True) if share is not None]
    return Bound(
        planned_steps=None if steps is None else int(steps),
        planned_seconds=planned_seconds,
        seconds=timed[-1]["seconds"] if timed else None,
        progress=min(max(pace[-1][0], 0.0), 1.0) if pace else None,
        seconds_left=_seconds_left(pace) if pace else None,
        step_seconds=_step_seconds(timed) if timed else None,
    )


def _share(row: Mapping[str, Any], steps: float | None, seconds: float | None) -> float | None:
    """How much of the bound was spent at a line. The settings know it of a run that was given more, and of old logs."""
    if steps is not None:
        return row["step"] / steps
    if seconds is not None:
        return row["seconds"] / seconds
    return row["progress"] if is_finite(row.get("progress")) else None


def _seconds_left(pace: Sequence[tuple[float, float]]) -> float | None:
    """From shares of the bound and the seconds at which they were spent; a single one has the pace of the whole run."""
    share, now = pace[-1]
    if share >= 1:
        return 0.0
    begun, since = pace[0] if len(pace) > 1 else (0.0, 0.0)
    done, took = share - begun, now - since
    left = (1 - share) * took / done if done > 0 and took > 0 else None
    return left if is_finite(left) else None


def _step_seconds(timed: Sequence[Mapping[str, Any]]) -> float:
    first, last = timed[0], timed[-1]
    return max(last["seconds"] - first["seconds"], 0.0) / max(last["step"] - first["step"], 1)


def _positive(value: object) -> float | None:
    return float(value) if is_finite(value) and value > 0 else None
