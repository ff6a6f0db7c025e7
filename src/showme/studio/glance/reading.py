"""What is known of one training run from the files of its folder, while it writes them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...config import read_yaml
from ...errors import InputError
from .bound import Bound, find_bound
from .curves import Curve
from .listing import CLIPS, CONFIG, LOG, PAGE, Entry, Listing, find_runs
from .log_file import LogFile, newest_rows
from .numbers import is_finite, is_number
from .paths import is_below, is_file_below

__all__ = ["Checkpoint", "Entry", "Listing", "Run", "RunReader", "find_runs", "read_run"]

# What the trainer logs beside the terms of the loss.
NOT_LOSSES = ("step", "seconds", "progress", "gradient_norm", "rate", "samples_per_second", "memory_mib")
CHECKPOINTS, VALIDATION = "checkpoints", "validation"
_CHECKPOINT = re.compile(r"step-(\d{8,15})")
_MOST_CONFIG_BYTES = 2**20
_LONGEST_WORD = 200
# A log that was silent for longer is of a run that ended; so many steps' time where they take long.
_SILENT_SECONDS, _SILENT_STEPS = 120.0, 10.0


@dataclass(frozen=True)
class Checkpoint:
    """A folder of ``checkpoints/``; whether it is whole is known when it is loaded."""

    step: int
    folder: Path


@dataclass(frozen=True)
class Run:
    """A training run as it is now; None and empty where something is not known, or not there yet.

    folder: of the run. method, stage, model: of its ``config.yaml``. step: the last that was logged. bound: what is
    planned, done and left. losses: the terms. figures: the other figures by name, such as ``samples_per_second`` and
    ``memory_mib``. latest: the numbers of the last whole line. peak_memory_mib: the most of all lines, MiB. validation:
    the newest page. checkpoints: by step. finished: the bound is reached. written: when the log was last written to,
    seconds since 1970. alive: not finished, and written to lately. damaged: lines of the log that are in no figure.
    read: share of the log that is in the curves. left_out: figures that are in none, as a log has too many; at least.
    """

    folder: Path
    method: str | None = None
    stage: str | None = None
    model: str | None = None
    step: int | None = None
    bound: Bound = field(default_factory=Bound)
    losses: tuple[Curve, ...] = ()
    figures: Mapping[str, Curve] = field(default_factory=dict)
    latest: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mib: float | None = None
    validation: Path | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    finished: bool = False
    written: float | None = None
    alive: bool = False
    damaged: int = 0
    read: float = 1.0
    left_out: int = 0


def read_run(folder: Path, root: Path | None = None) -> Run:
    """A run as it is now, with all of its log; :class:`RunReader` is for one that is looked at again and again.

    Raises:
        InputError: the folder is no run, or its log cannot be read.
    """
    return RunReader(folder, root).read()


class RunReader:
    """Reads a run again and again; of its log only what was added.

    Args:
        folder: of the run.
        root: below which all files must lie, links followed; the folder itself where it is left out.
    """

    def __init__(self, folder: Path, root: Path | None = None):
        self.folder, self.root = folder, folder if root is None else root
        self._log = LogFile(folder / LOG)
        self._config: dict[str, Any] = {}
        # Size and time of the settings that were read.
        self._config_state: tuple[int, int] | None = None

    def read(self, limit: int | None = None) -> Run:
        """The run as it is now.

        Args:
            limit: bytes of the log that are read at most; the rest follows at the next calls. None: all.

        Raises:
            InputError: the folder is no run, or its log cannot be read.
        """
        logged = self._is_own(LOG)
        if not logged and not (self._is_own(CONFIG) and self._is_own(CLIPS)):
            raise InputError(f"{self.folder} is no training run: choose a folder that `showme train` writes to.")
        self._read_config()
        fields: dict[str, Any] = {name: _word(self._config.get(name)) for name in ("method", "stage", "model")}
        fields |= {"validation": self._validation(), "checkpoints": self._checkpoints()}
        fields |= self._logged(limit) if logged else {}
        return Run(folder=self.folder, **fields, **_life(self.folder / (LOG if logged else CLIPS), fields.get("bound")))

    def _is_own(self, name: str) -> bool:
        return is_file_below(self.root, self.folder / name)

    def _logged(self, limit: int | None) -> dict[str, Any]:
        log = self._log
        try:
            log.read(limit)
            rows = newest_rows(log.path)
        except OSError as error:
            raise InputError(f"{log.path} cannot be read ({error.strerror}): look at its permissions.") from error
        curves = {name: log.curves.curve(name) for name in log.curves.names}
        memory = [row["memory_mib"] for row in rows if is_finite(row.get("memory_mib"))]
        memory += [curves["memory_mib"].greatest] if "memory_mib" in curves else []
        return {
            "step": rows[-1]["step"] if rows else None,
            "bound": find_bound(self._config.get("training"), rows),
            "losses": tuple(curve for name, curve in curves.items() if name not in NOT_LOSSES),
            "figures": {name: curves[name] for name in NOT_LOSSES if name in curves},
            "latest": {name: value for name, value in rows[-1].items() if is_number(value)} if rows else {},
            "peak_memory_mib": max(filter(is_finite, memory), default=None),
            "damaged": log.damaged,
            "read": log.read_bytes / log.size if log.size else 1.0,
            "left_out": len(log.curves.left_out),
        }

    def _read_config(self) -> None:
        """Keep the settings as they stand in the file; none where it is absent, damaged, or too large to be one."""
        path = self.folder / CONFIG
        try:
            status = path.stat()
            state = (status.st_size, status.st_mtime_ns)
            if state != self._config_state:
                own = self._is_own(CONFIG) and status.st_size <= _MOST_CONFIG_BYTES
                self._config_state, self._config = state, {}
                self._config = read_yaml(path) if own else {}
        except (OSError, InputError):
            # The log says enough.
            pass

    def _validation(self) -> Path | None:
        """The page that was written last: those of other scenes were moved aside."""
        pages = [path for path in self.folder.glob(f"{VALIDATION}*/{PAGE}") if is_file_below(self.root, path)]
        return max(pages, key=lambda path: _written(path) or 0.0, default=None)

    def _checkpoints(self) -> tuple[Checkpoint, ...]:
        folder = self.folder / CHECKPOINTS
        paths = folder.glob("step-*") if is_below(self.root, folder) else ()
        found = [Checkpoint(int(match[1]), path) for path in paths if (match := _CHECKPOINT.fullmatch(path.name))]
        return tuple(sorted(found, key=lambda each: each.step))


def _life(log: Path, bound: Bound | None) -> dict[str, Any]:
    """Whether the run is finished, and whether it is at work."""
    bound = bound or Bound()
    written, finished = _written(log), bound.progress == 1
    silent = max(_SILENT_SECONDS, _SILENT_STEPS * (bound.step_seconds or 0.0))
    alive = not finished and written is not None and time.time() - written < silent
    return {"written": written, "finished": finished, "alive": alive}


def _word(value: object) -> str | None:
    return value[:_LONGEST_WORD] if isinstance(value, str) else None


def _written(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
