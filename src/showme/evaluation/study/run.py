"""Running a study: every training and every evaluation once, in folders that say what decided them."""

from __future__ import annotations

import fcntl
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch

from ...config import dump_config
from ...data.cache.build import Progress
from ...errors import InputError
from ...experiment import train
from ...run_folder import CONFIG
from ...staged_files import staged
from ..results import FILE, Result, read_result
from ..runner import evaluate
from .computation import Computation, computation_of
from .config import StudyConfig
from .instructions import WronglyAsked
from .plan import Cell, Training, check, plan
from .table import tables_of
from .writers import Written, write_study

SETTINGS, LOCK = "study.yaml", "study.lock"

# What draws the bars of one piece of work; None draws none.
Bars = Callable[[str], AbstractContextManager[Progress | None]]


def run_study(
    study: StudyConfig,
    file: Path,
    out: Path,
    report: Callable[[str], object] = lambda _: None,
    bars: Bars = lambda _: nullcontext(),
) -> Written:
    """Train, judge and set side by side; the same call again goes on where it stopped.

    Args:
        study: settings.
        file: that they come from; recipes lie relative to it.
        out: folder of everything that is made; the tables are written after each seed.
        report: called with a sentence before each piece of work.
        bars: makes the progress bars of one.

    Raises:
        InputError: settings, recipes, models, clips or networks that are wrong or missing, all of them looked at before
            the first training; or another process at work in ``out``.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "A study runs in one process: start it alone once, stop it, train the runs that it has prepared in "
            "trainings/*/config.yaml with `accelerate launch -m showme.cli train`, and start it again."
        )
    cells = plan(study, file, out)
    with _alone(out):
        check(study, file, cells)
        _write_settings(study, out, cells)
        results: list[tuple[Cell, Result]] = []
        for seed in study.seeds:
            for cell in (each for each in cells if each.seed == seed):
                results.append((cell, _finish(cell, report, bars)))
            tables = tables_of(results)
            written = write_study(out, study, tables, [])
        costs = _costs(study, cells, out, report)
        return write_study(out, study, tables, costs) if costs else written


def _finish(cell: Cell, report: Callable[[str], object], bars: Bars) -> Result:
    """What was found for a cell; what is there already is read."""
    label = f"{cell.row.name}, seed {cell.seed}"
    for number, training in enumerate(cell.trainings, 1):
        if not training.model.is_dir():
            report(f"{label}: training {number} of {len(cell.trainings)}, in {training.config.out}")
            _train(training, bars)
    request = cell.request
    if (request.out / FILE).is_file():
        return read_result(request.out / FILE)
    report(f"{label}: evaluation, in {request.out}")
    with bars("evaluating") as progress:
        if cell.row.instructions == "wrong":
            return WronglyAsked(request, progress).run()
        return evaluate(request, progress)[1]


def _train(training: Training, bars: Bars) -> None:
    if torch.cuda.is_available():
        # What the training before this one held is none of its own.
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    _prepare(training)
    with bars("caching") as progress:
        train(training.config, progress)


def _prepare(training: Training) -> None:
    """Keep a training's settings in its folder: their fingerprint names it, so that nothing else can be there."""
    training.config.out.mkdir(parents=True, exist_ok=True)
    with staged(training.config.out / CONFIG) as path:
        dump_config(training.config, path)


def _write_settings(study: StudyConfig, out: Path, cells: list[Cell]) -> None:
    try:
        with staged(out / SETTINGS) as path:
            dump_config(study, path)
        for cell in cells:
            for training in cell.trainings:
                if not training.model.is_dir():
                    _prepare(training)
    except OSError as error:
        raise InputError(f"{out} cannot be written to ({error.strerror}): choose another --out.") from error


def _costs(study: StudyConfig, cells: list[Cell], out: Path, report: Callable[[str], object]) -> list[Computation]:
    """One line per training, over its seeds; rows that share one are named together."""
    users: dict[str, dict[int, list[str]]] = {}
    runs: dict[str, dict[str, Training]] = {}
    for cell in (each for each in cells if not each.row.stack):
        for number, training in enumerate(cell.trainings, 1):
            names = users.setdefault(training.kind, {}).setdefault(number, [])
            if cell.row.name not in names:
                names.append(cell.row.name)
            runs.setdefault(training.kind, {})[training.fingerprint] = training
    costs = []
    for kind, numbers in users.items():
        name = "; ".join(f"training {number} of {', '.join(names)}" for number, names in numbers.items())
        costs.append(computation_of(name, list(runs[kind].values()), out, study.largest_batch, report))
    return costs


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder of a study while open; the lock ends with the process, however that ends."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = (out / LOCK).open("a")
    except OSError as error:
        raise InputError(f"{out} cannot be written to ({error.strerror}): choose another --out.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                f"Another process is at work on the study in {out}: wait for it, or choose another --out."
            ) from error
        yield
