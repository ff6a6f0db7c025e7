"""Processes that have the imports behind them, a quarter of a minute each: forked from one that made them once."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path


def process(work: Callable[..., object], *given: object) -> BaseProcess:
    """One that will call ``work``, a function of a module."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["showme.experiment"])
    return context.Process(target=work, args=given)


def run_in(folder: Path, paths: Sequence[str], work: Callable[..., object], *given: object) -> tuple[int, str]:
    """Call ``work`` in another process; its exit code and what it printed.

    Args:
        folder: the process stands in it.
        paths: of packages that are installed for it.
        work, given: as of :func:`process`.
    """
    printed = folder / "printed.txt"
    child = process(_call, folder, paths, printed, work, given)
    child.start()
    child.join()
    return child.exitcode or 0, printed.read_text()


def _call(folder: Path, paths: Sequence[str], printed: Path, work: Callable[..., object], given: tuple) -> None:
    with printed.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    sys.path[:0] = paths
    work(*given)
