"""Reading a whole data set once, to know its bad clips before a training does."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

from ..errors import InputError, ShowMeWarning, warn_once
from ..threads import usable_cores
from .media import Frames
from .media.base import check_same_size, is_black, one_line
from .sources.record import Record

SECONDS = 600
_CRASHED = "its decoder crashed, or did not come back: leave it out"
_GRACE_SECONDS = 30
_AHEAD = 4

# Called as progress(clips looked at).
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Finding:
    """What was found of a clip. fault: why it cannot be read; None where it can. black: every frame of it is.
    warnings: what was said meanwhile, each with what it is about."""

    fault: str | None = None
    black: bool = False
    warnings: tuple[tuple[Hashable, str], ...] = ()


@dataclass(frozen=True)
class Checked:
    """Ids of clips, in the order that they were given in. bad: those that cannot be read, with the reason. black: those
    whose every frame is black, which may be what was filmed or what a format fills in."""

    bad: dict[str, str]
    black: list[str]


def find_bad(
    records: Sequence[Record],
    *,
    quick: bool = False,
    processes: int | None = None,
    seconds: int = SECONDS,
    progress: Progress | None = None,
) -> dict[str, str]:
    """Ids of the clips that cannot be read, with the reason: of :func:`check_clips`, whose arguments these are."""
    return check_clips(records, quick=quick, processes=processes, seconds=seconds, progress=progress).bad


def check_clips(
    records: Sequence[Record],
    *,
    quick: bool = False,
    processes: int | None = None,
    seconds: int = SECONDS,
    progress: Progress | None = None,
) -> Checked:
    """Read every clip once.

    Args:
        records: the clips.
        quick: decode the first and the last frame alone; otherwise all.
        processes: at work; None: one per core.
        seconds: that a clip may take.
        progress: called with how many are checked, after each.
    """
    bad: dict[str, str] = {}
    black: set[str] = set()
    findings = _in_processes(records, quick, seconds, processes or usable_cores())
    for done, (record, finding) in enumerate(findings, 1):
        if finding.fault is not None:
            bad[record.id] = finding.fault
        if finding.black:
            black.add(record.id)
        for about, sentence in finding.warnings:
            warn_once(about, sentence)
        if progress is not None:
            progress(done)
    ids = [record.id for record in records]
    return Checked({name: bad[name] for name in ids if name in bad}, [name for name in ids if name in black])


def fault_of(record: Record, quick: bool = False, seconds: int = SECONDS) -> str | None:
    """Why a clip cannot be read; None where it can."""
    return finding_of(record, quick, seconds).fault


def finding_of(record: Record, quick: bool = False, seconds: int = SECONDS) -> Finding:
    """What is wrong with a clip. quick: decode the first and the last frame alone, and others where those are black."""
    try:
        with _time_limit(seconds):
            with record.media.open(record.span) as frames:
                if quick:
                    may_be_black = _check_ends(frames)
                else:
                    frames.verify()
                    may_be_black = True
            return Finding(black=may_be_black and _is_black(record))
    except _TooLongError:
        return Finding(f"{record.media.path} took more than {seconds} s: fetch it again, or leave it out.")
    except InputError as error:
        return Finding(str(error))
    except MemoryError:
        return Finding(f"{record.media.path} needs more memory than there is: leave it out.")
    except Exception as error:
        # Whatever one clip brings up, the others are still to be looked at.
        reason = f"{type(error).__name__}: {one_line(str(error))}"
        return Finding(f"{record.media.path} cannot be read as a clip ({reason}): leave it out.")


def _check_ends(frames: Frames) -> bool:
    """Decode the first and the last frame; whether both are black."""
    ends = [(frame.shape, is_black(frame)) for frame in frames.read(sorted({0, len(frames) - 1}))]
    check_same_size(frames.path, ends[0][0], ends[-1][0])
    return all(black for _, black in ends)


def _is_black(record: Record) -> bool:
    # Opened anew: in a damaged file, a container that was read to its end finds other packets than a fresh one.
    with record.media.open(record.span) as frames:
        # Most clips are judged by their first frame, and most of those that fade in by their middle.
        for indices in ([0], [len(frames) // 2], range(len(frames))):
            if not all(is_black(frame) for frame in frames.read(indices)):
                return False
    return True


class _TooLongError(BaseException):
    """No error of a file's: whoever turns those into others must let it pass."""


def _fault_of(record: Record, quick: bool, seconds: int) -> Finding:
    """As :func:`finding_of`, in a process that ends itself where a decoder does not let signals in."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 (it is no path)
        faulthandler.dump_traceback_later(seconds + _GRACE_SECONDS, exit=True, file=nowhere)
        try:
            with warnings.catch_warnings(record=True) as caught:
                finding = finding_of(record, quick, seconds)
            # The process that asked says each thing once, however many processes have something to say of it.
            said = []
            for each in caught:
                if isinstance(each.message, ShowMeWarning):
                    said.append((each.message.about, str(each.message)))
                else:
                    warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
            return replace(finding, warnings=tuple(said))
        finally:
            faulthandler.cancel_dump_traceback_later()


def _in_processes(records: Iterable[Record], quick: bool, seconds: int, processes: int):
    """Records with their findings, as they come. A decoder that crashes costs its process, and its clip is found."""
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


def _alone(record: Record, quick: bool, seconds: int, context) -> Finding:
    """The finding of a clip, looked at by a process that may die of it."""
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(_fault_of, record, quick, seconds).result()
        except BrokenProcessPool:
            return Finding(f"{record.media.path} cannot be read as a clip: {_CRASHED}.")


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
