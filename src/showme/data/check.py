"""Reading a whole data set once, to know its bad clips before a training does."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice

from ..errors import InputError
from ..machine import usable_cores
from .media.base import check_same_size, one_line
from .sources.record import Record

SECONDS = 600
_CRASHED = "its decoder crashed, or did not come back: leave it out"
_GRACE_SECONDS = 30
_AHEAD = 4

# Called as progress(clips looked at).
Progress = Callable[[int], None]


def find_bad(
    records: Sequence[Record],
    *,
    quick: bool = False,
    processes: int | None = None,
    seconds: int = SECONDS,
    progress: Progress | None = None,
) -> dict[str, str]:
    """Ids of the clips that cannot be read, with the reason, in the order of ``records``.

    Args:
        records: the clips.
        quick: decode the first and the last frame alone; otherwise all.
        processes: at work; None: one per core.
        seconds: that a clip may take.
        progress: told how many were looked at.
    """
    bad: dict[str, str] = {}
    faults = _in_processes(records, quick, seconds, processes or usable_cores())
    for done, (record, reason) in enumerate(faults, 1):
        if reason is not None:
            bad[record.id] = reason
        if progress is not None:
            progress(done)
    return {record.id: bad[record.id] for record in records if record.id in bad}


def fault_of(record: Record, quick: bool = False, seconds: int = SECONDS) -> str | None:
    """Why a clip cannot be read; None where it can."""
    try:
        with _time_limit(seconds), record.media.open(record.span) as frames:
            if quick:
                shapes = [frame.shape for frame in frames.read(sorted({0, len(frames) - 1}))]
                check_same_size(frames.path, shapes[0], shapes[-1])
            else:
                frames.verify()
    except _TooLongError:
        return f"{record.media.path} took more than {seconds} s: fetch it again, or leave it out."
    except InputError as error:
        return str(error)
    except MemoryError:
        return f"{record.media.path} needs more memory than there is: leave it out."
    except Exception as error:
        # Whatever one clip brings up, the others are still to be looked at.
        reason = f"{type(error).__name__}: {one_line(str(error))}"
        return f"{record.media.path} cannot be read as a clip ({reason}): leave it out."
    return None


class _TooLongError(BaseException):
    """No error of a file's: whoever turns those into others must let it pass."""


def _fault_of(record: Record, quick: bool, seconds: int) -> str | None:
    """As :func:`fault_of`, in a process that ends itself where a decoder does not let signals in."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 (it is no path)
        faulthandler.dump_traceback_later(seconds + _GRACE_SECONDS, exit=True, file=nowhere)
        try:
            return fault_of(record, quick, seconds)
        finally:
            faulthandler.cancel_dump_traceback_later()


def _in_processes(records: Iterable[Record], quick: bool, seconds: int, processes: int):
    """Records with their faults, as they come. A decoder that crashes costs its process, and its clip is found."""
    left = iter(records)
    context = multiprocessing.get_context("spawn")
    suspects: list[Record] = []
    while True:
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            running: dict[Future, Record] = {}
            try:
                while True:
                    for record in islice(left, processes * _AHEAD - len(running)):
                        suspects = [record]
                        running[pool.submit(_fault_of, record, quick, seconds)] = record
                        suspects = []
                    if not running:
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield running[future], future.result()
                        del running[future]
            except BrokenProcessPool:
                suspects += running.values()
        if not suspects:
            return
        for record in suspects:
            yield record, _alone(record, quick, seconds, context)
        suspects = []


def _alone(record: Record, quick: bool, seconds: int, context) -> str | None:
    """The fault of a clip, looked at by a process that may die of it."""
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(_fault_of, record, quick, seconds).result()
        except BrokenProcessPool:
            return f"{record.media.path} cannot be read as a clip: {_CRASHED}."


@contextmanager
def _time_limit(seconds: int):
    """_TooLongError after so long, where the system has alarms."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def ring(*_: object):
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
