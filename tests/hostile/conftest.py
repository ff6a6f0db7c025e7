"""Where the hostile corpus is built, how it is read, and the count of what came of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from .reading import BYTES, SECONDS, Job, Outcome, Readers

Read = Callable[..., list[Outcome]]
_TALLY: Counter[str] = Counter()
_COUNTED = ("files", "hangs", "crashes", "tracebacks", "files written outside")


def pytest_terminal_summary(terminalreporter) -> None:
    """How many hostile files were read, and how many of them did what none may."""
    if _TALLY["files"]:
        said = ", ".join(f"{_TALLY[name]} {name}" for name in _COUNTED)
        terminalreporter.write_line(f"hostile corpus: {said}; most memory of one: {_TALLY['peak'] // 2**20} MiB")


@pytest.fixture(scope="session")
def readers(tmp_path_factory) -> Iterator[Readers]:
    """Processes that read what they are given; they work in an empty folder."""
    started = Readers(tmp_path_factory.mktemp("scratch"))
    yield started
    started.close()


@pytest.fixture
def area(tmp_path) -> Path:
    """A folder with a neighbour; the corpus goes into ``area/corpus``, and nothing else may change."""
    (tmp_path / "neighbour").mkdir()
    (tmp_path / "neighbour" / "secret.txt").write_text("nobody's business")
    (tmp_path / "corpus").mkdir()
    return tmp_path


@pytest.fixture
def corpus(area) -> Path:
    """The folder of hostile files."""
    return area / "corpus"


@pytest.fixture
def read(area, readers) -> Read:
    """``read(jobs)`` gives what came of them, and fails where one did what none may."""

    def run(jobs: Sequence[Job], peak: int = BYTES) -> list[Outcome]:
        before = snapshot(area)
        outcomes = readers.read(jobs)
        changed = {path for path, _ in snapshot(area) ^ before} | set(readers.scratch.iterdir())
        faults = [f"{changed} were written"] if changed else []
        for job, outcome in zip(jobs, outcomes, strict=True):
            faults += [f"{job.name}: {fault}" for fault in faults_of(outcome, peak)]
            _TALLY["peak"] = max(_TALLY["peak"], outcome.peak)
        count({"files": len(jobs), "files written outside": len(changed)})
        assert not faults, f"{len(faults)} faults: " + "; ".join(faults[:5])
        return outcomes

    return run


def faults_of(outcome: Outcome, peak: int) -> list[str]:
    """What an outcome has that none may have."""
    if outcome.error in ("hang", "crash"):
        count({"hangs" if outcome.error == "hang" else "crashes": 1})
        return [f"{outcome.error}, {outcome.message}"]
    faults = []
    if outcome.error not in (None, "ClipError", "InputError"):
        count({"tracebacks": 1})
        faults.append(f"{outcome.error} escapes: {outcome.message}")
    name = repr(Path(outcome.path).name)[1:-1]
    if outcome.error and (len(outcome.message.splitlines()) != 1 or name not in outcome.message):
        faults.append(f"no line that names the file: {outcome.message!r}")
    if (outcome.error is None) != (outcome.verdict is None):
        faults.append(f"a check says {outcome.verdict}, reading {outcome.message or 'nothing'}")
    if outcome.seconds > SECONDS or outcome.peak > peak:
        faults.append(f"it took {outcome.seconds:.1f} s and {outcome.peak // 2**20} MiB")
    return faults


def count(more: dict[str, int]) -> None:
    """Add to what is reported at the end."""
    _TALLY.update(more)


def snapshot(folder: Path) -> set[tuple[Path, tuple]]:
    """All files below a folder, with what would show a change; large ones by their size alone."""
    files = set()
    for path in folder.rglob("*"):
        status = path.lstat()
        digest = b""
        if path.is_file() and not path.is_symlink() and status.st_size < 2**20 and status.st_mode & 0o444:
            digest = hashlib.sha256(path.read_bytes()).digest()
        files.add((path, (status.st_mode, 0 if path.is_dir() else status.st_size, digest)))
    return files
