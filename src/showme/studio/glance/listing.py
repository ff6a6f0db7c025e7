"""Which runs and reports lie below a folder."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from .paths import is_file_below

Kind = Literal["training", "evaluation", "study"]

LOG, CONFIG, CLIPS = "log.jsonl", "config.yaml", "clips.jsonl"
PAGE, RESULT, STUDY = "index.html", "result.json", "study.yaml"

_DEPTH = 6
_MOST_RUNS = 500
# Names that are looked at, those of clips in folders of data sets among them.
_MOST_NAMES = 200_000
# What a run and an evaluation write, which is no run; caches.
_OWN = {"checkpoints", "model", "tensorboard", "validation", "clips", "features"}
_CACHES = {"cache", "caches", "__pycache__", "node_modules"}


@dataclass(frozen=True)
class Entry:
    """One run or report: its place below the root with ``/`` between folders, and when it was last written to (seconds
    since 1970)."""

    kind: Kind
    name: str
    folder: Path
    written: float


@dataclass(frozen=True)
class Listing:
    """What was found, newest first; complete: whether that is all there is."""

    entries: list[Entry]
    complete: bool


def find_runs(root: Path) -> Listing:
    """Training runs, evaluations and studies in a folder and below it.

    Folders are visited nearest first, at most six deep and 200,000 names in all; the newest 500 runs are listed. Hidden
    folders, caches and links to folders are passed over. A root that is not there has none.
    """
    waiting = deque([(root, 0)])
    entries: list[Entry] = []
    left, complete = _MOST_NAMES, True
    while waiting and left:
        folder, depth = waiting.popleft()
        names, folders = _contents(folder, left)
        left -= len(names)
        entry = _entry(root, folder, names)
        if entry is not None and not _is_text(entry.name):
            entry, complete = None, False
        if entry is not None:
            entries.append(entry)
        if depth < _DEPTH:
            waiting += [(folder / name, depth + 1) for name in folders if entry is None or name not in _OWN]
    entries.sort(key=lambda each: (-each.written, each.name))
    return Listing(entries[:_MOST_RUNS], complete and bool(left) and len(entries) <= _MOST_RUNS)


def _contents(folder: Path, most: int) -> tuple[set[str], list[str]]:
    """Names of files and folders, at most so many, and of those the folders to visit."""
    names, folders = set(), []
    try:
        with os.scandir(folder) as found:
            for entry in islice(found, most):
                names.add(entry.name)
                if entry.is_dir(follow_symlinks=False) and not _is_passed_over(entry.name):
                    folders.append(entry.name)
    except OSError:
        # Gone in the meantime, or not ours to read.
        pass
    return names, sorted(folders)


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name in _CACHES or name.endswith((".partial", "-cache", "_cache"))


def _entry(root: Path, folder: Path, names: set[str]) -> Entry | None:
    for kind, marks in _marks(names):
        # Links may lead out.
        if all(is_file_below(root, folder / mark) for mark in marks):
            written = max(_written(folder / mark) for mark in marks)
            return Entry(kind, folder.relative_to(root).as_posix(), folder, written)
    return None


def _marks(names: set[str]) -> Iterator[tuple[Kind, tuple[str, ...]]]:
    """What a folder may be, and the files that say so. A run has no log before its first step."""
    marks: list[tuple[Kind, tuple[str, ...]]] = [
        ("training", (LOG,)),
        ("training", (CONFIG, CLIPS)),
        ("evaluation", (RESULT, PAGE)),
        ("study", (STUDY, PAGE)),
    ]
    yield from ((kind, needed) for kind, needed in marks if names.issuperset(needed))


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _is_text(name: str) -> bool:
    """Whether a browser can be given a name; others are bytes that are no UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
