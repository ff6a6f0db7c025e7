"""Files read in processes of their own, bounded in time and memory, which report what came of each."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Of one file. What is slower is a hang.
SECONDS = 20
# What one file may bring into memory at most, and the address space beyond which the process is refused more: threads
# and mapped files take much of that, and no memory.
BYTES = 3 * 2**30
# Fields of sources that read a kind of file.
SOURCES = {
    "webdataset": ["shards={path}", "field=null"],
    "rlds": ["path={path}", "file_path=null"],
    "ssv2": ["annotations={path}", "videos={folder}"],
    "ego4d": ["annotations={path}", "videos={folder}"],
    "lego": ["annotations={path}", "videos={folder}"],
}
_ADDRESSES = 2**35


@dataclass(frozen=True)
class Job:
    """A file to read. kind: how. cut: its first so many bytes alone. seed: of the bytes that are changed in it."""

    kind: str
    path: str
    cut: int | None = None
    seed: int | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        changes = ("" if self.cut is None else f" cut at {self.cut}") + ("" if self.seed is None else f" #{self.seed}")
        return f"{self.path}{changes}"


@dataclass(frozen=True)
class Outcome:
    """What came of a job. path: that was read. error, message: type and text of what was raised; ``hang`` or ``crash``
    where the process did not survive. frames: digests of the pixels. verdict: of ``showme data check``. seconds; peak:
    bytes that came into memory."""

    path: str = ""
    error: str | None = None
    message: str = ""
    frames: list[str] = field(default_factory=list)
    verdict: str | None = None
    seconds: float = 0.0
    peak: int = 0


class Readers:
    """Processes that read files side by side. scratch: folder for changed copies, where the processes work."""

    def __init__(self, scratch: Path, processes: int = 2):
        self.scratch = scratch
        self.readers = [Reader(scratch) for _ in range(processes)]

    def read(self, jobs: Sequence[Job], seconds: int = SECONDS) -> list[Outcome]:
        """The outcomes of jobs."""
        count = len(self.readers)
        with ThreadPoolExecutor(count) as pool:
            parts = list(
                pool.map(lambda at: [self.readers[at].read(job, seconds) for job in jobs[at::count]], range(count))
            )
        return [parts[place % count][place // count] for place in range(len(jobs))]

    def close(self) -> None:
        """End the processes."""
        for reader in self.readers:
            reader.close()


class Reader:
    """A process that reads one file after another; there is a new one where a file ends it or keeps it too long."""

    def __init__(self, scratch: Path):
        self.scratch, self.process = scratch, None

    def read(self, job: Job, seconds: int) -> Outcome:
        """What comes of a file."""
        if self.process is None:
            self._start()
        self.process.stdin.write(json.dumps(asdict(job)) + "\n")
        self.process.stdin.flush()
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            self.close()
            return Outcome(error="hang", message=f"more than {seconds} s")
        if not line:
            code = self.process.wait()
            self.close()
            return Outcome(error="crash", message=f"exit code {code}")
        return Outcome(**json.loads(line))

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _start(self) -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.reading", str(self.scratch)],
            cwd=self.scratch,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        threading.Thread(target=_drain, args=(self.process.stdout, self.lines), daemon=True).start()
        assert self.lines.get(timeout=300) == "ready\n"


def _drain(stdout, lines: queue.Queue[str]) -> None:
    for line in stdout:
        lines.put(line)
    lines.put("")


def main(scratch: Path) -> None:
    """Read the jobs that stdin lists, one a line; a line of JSON for each."""
    from showme.data import check, clips, media, sources, stream  # noqa: F401

    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    print("ready", flush=True)
    for line in sys.stdin:
        job = Job(**json.loads(line))
        Path("/proc/self/clear_refs").write_text("5")
        before, begun = _status("VmRSS"), time.monotonic()
        path = _prepared(job, scratch)
        outcome = _outcome(job.kind, path)
        outcome |= {"seconds": time.monotonic() - begun, "peak": _status("VmHWM") - before, "path": str(path)}
        if path != Path(job.path):
            path.unlink()
        print(json.dumps(outcome), flush=True)


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


def _prepared(job: Job, scratch: Path) -> Path:
    import numpy as np

    path = Path(job.path)
    if job.cut is None and job.seed is None:
        return path
    data = bytearray(path.read_bytes())[: job.cut]
    if job.seed is not None:
        generator = np.random.default_rng(job.seed)
        # The beginning holds most of what parsers believe.
        for reach in (len(data), min(len(data), 256)):
            for place in generator.integers(0, reach, int(generator.integers(1, 9))):
                data[place] = int(generator.integers(0, 256))
    copy = scratch / f"{path.stem}-{job.cut}-{job.seed}{path.suffix}"
    copy.write_bytes(data)
    return copy


def _outcome(kind: str, path: Path) -> dict:
    from showme.data.check import fault_of

    try:
        records = _records(kind, path)
        frames = [_digest(frame) for record in records for frame in _frames(record)]
        error, message = None, ""
    except Exception as fault:
        records, frames, error, message = (), [], type(fault).__name__, str(fault)
    verdict = None
    try:
        for record in records or _records(kind, path):
            verdict = verdict or fault_of(record)
    except Exception as fault:
        verdict = f"{type(fault).__name__}: {fault}"
    return {"error": error, "message": message, "frames": frames, "verdict": verdict}


def _digest(frame) -> str:
    return hashlib.sha256(repr(frame.shape).encode() + frame.tobytes()).hexdigest()[:16]


def _frames(record):
    """All frames, as a training reads them, and one look."""
    from showme.data.clips import Look, read_clip

    read_clip(record, Look(16, 16, 3))
    with record.media.open(record.span) as frames:
        yield from frames.read(range(len(frames)))


def _records(kind: str, path: Path) -> list:
    """Records of a file of some kind."""
    from showme.data import media
    from showme.data.media.archive import numbered_members, read_members
    from showme.data.media.pictures import PictureFrames
    from showme.data.media.tfrecord import read_records
    from showme.data.sources import open_source
    from showme.data.sources.record import Record
    from showme.data.sources.tables import read_csv, read_json, read_jsonl

    if kind in SOURCES:
        source = open_source(kind, [field.format(path=path, folder=path.parent) for field in SOURCES[kind]])
        # Where annotations alone are at stake, their clips are not there.
        return source.records() if kind in ("webdataset", "rlds") else [*source.chosen()][:0]
    if kind == "list":
        return open_source(str(path)).records()
    if kind in ("json", "jsonl", "csv"):
        list({"json": lambda p: [read_json(p)], "jsonl": read_jsonl, "csv": lambda p: read_csv(p, ["id"])}[kind](path))
        return []
    if kind == "picture":
        open_frames = PictureFrames(path.parent, [path], None)

        class One(media.Pictures):
            def open(self, span=None):
                return open_frames

        pixels = [One(path)]
    elif kind == "tar":
        members = numbered_members(path)
        pixels = [media.TarPictures(path, tuple(members[number] for number in sorted(members)))]
    elif kind == "tarred video":
        pixels = [media.TarVideo(path, member) for member in read_members(path)]
    elif kind == "tfrecord":
        pixels = [media.TFRecordPictures(path, at, len(payload), "image") for at, payload in read_records(path)]
    elif kind == "arrow":
        pixels = [media.ArrowPictures(path, "video", 0)]
    elif kind == "parquet":
        pixels = [media.ParquetPictures(path, "image", 0, 3, 5.0)]
    else:
        pixels = [{"video": media.Video, "pictures": media.Pictures, "rendered": media.Rendered}[kind](path)]
    return [Record(str(number), each, "push it") for number, each in enumerate(pixels)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
