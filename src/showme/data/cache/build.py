"""Filling a cache: resumable at any instant, by several processes and machines at once."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ...errors import InputError
from ...fingerprint import digest_of
from ...staged_files import staged, sweep
from ...threads import usable_cores
from .claims import claimed, sweep_claims
from .parts import ROWS, SHARD_ROWS, Part, PartReader, checksum, is_whole

# Called as progress(part, rows done, rows, bytes on disk).
Progress = Callable[[str, int, int, int], None]
_CLAIMS = "claims"
_WAIT_SECONDS = 0.5


def build_parts(
    folder: Path, parts: Sequence[Part], progress: Progress | None = None, workers: int | None = None
) -> dict[str, PartReader]:
    """Readers by name; what is missing is computed first, and shards that are there already are kept.

    Parts of the same rows are computed together, so that a clip is decoded once for all of them. Another process that
    fills the same folder takes other shards; at the end this one waits for them.

    Args:
        folder: the cache's.
        parts: what is wanted.
        progress: called whenever a chunk of rows is computed.
        workers: chunks that are computed at a time; None: one per core.

    Raises:
        InputError: the cache cannot be a folder, or a clip cannot be read.
    """
    prepare_folders(folder, parts)
    reporter = ProgressReporter(folder, parts, progress)
    workers = workers or usable_cores()
    waiting = missing_shards(folder, parts)
    while waiting:
        later = []
        for group, number in waiting:
            if not write_shard(folder, group, number, partial(reporter.report_ahead, group), workers):
                later.append((group, number))
            reporter.report()
        waiting = [(group, number) for group, number in later if lacking(folder, group, number)]
        if waiting:
            time.sleep(_WAIT_SECONDS)
    reporter.report()
    return {part.name: PartReader(part.shard_files(folder), part.rows) for part in parts}


def missing_shards(folder: Path, parts: Sequence[Part]) -> list[tuple[list[Part], int]]:
    """What must be computed: groups of parts of the same rows, with the number of a shard that one of them lacks."""
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(digest_of([part.chunk, list(part.identities)]), []).append(part)
    return [
        (group, number)
        for group in groups.values()
        for number in range(-(-group[0].rows // SHARD_ROWS))
        if lacking(folder, group, number)
    ]


def lacking(folder: Path, group: Iterable[Part], number: int) -> list[Part]:
    """Parts of a group that have not this shard."""
    return [part for part in group if not is_whole(part.shard(folder, number))]


def write_shard(
    folder: Path,
    group: Sequence[Part],
    number: int,
    advance: Callable[[int], None] = lambda rows: None,
    workers: int = 1,
) -> bool:
    """Compute one shard of the parts that lack it; False where another process is at it.

    Args:
        folder: the cache's.
        group: parts of the same rows.
        number: of the shard.
        advance: called with how many of the shard's rows are computed.
        workers: chunks that are computed at a time.
    """
    name = digest_of([str(part.shard(Path(), number)) for part in group])[:20]
    with claimed(folder / _CLAIMS / name) as claim:
        if claim is None:
            return False
        parts = lacking(folder, group, number)
        rows = range(number * SHARD_ROWS, min((number + 1) * SHARD_ROWS, group[0].rows))
        chunks: dict[str, list[dict[str, Tensor]]] = {part.name: [] for part in parts}
        workers = 1 if any(part.alone for part in parts) else workers
        for computed in _computed(parts, rows, workers) if parts else ():
            for part, values in zip(parts, computed, strict=True):
                chunks[part.name].append(values)
            claim.touch()
            advance(min(len(chunks[parts[0].name]) * group[0].chunk, len(rows)))
        for part in parts:
            _save(part.shard(folder, number), chunks[part.name], part.identities[rows.start : rows.stop])
    return True


def _computed(parts: Sequence[Part], rows: range, workers: int) -> Iterator[list[dict[str, Tensor]]]:
    """Values of each chunk of rows, in their order, part by part.

    Every chunk is computed by one thread: a sum that several threads share rounds otherwise with other cores, and equal
    shards are to have equal bytes. Several chunks at a time use the cores as well.
    """

    def compute(numbers: range) -> list[dict[str, Tensor]]:
        return [{key: value.cpu() for key, value in part.encode(numbers).items()} for part in parts]

    size = parts[0].chunk
    numbers = [range(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if workers == 1:
            yield from map(compute, numbers)
            return
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(compute, each) for each in numbers]
            try:
                for future in futures:
                    yield future.result()
            finally:
                pool.shutdown(cancel_futures=True)
    finally:
        torch.set_num_threads(threads)


def prepare_folders(folder: Path, parts: Sequence[Part]) -> None:
    """Make the parts' folders, each with a record of what it is made of, and clear away what killed processes left.

    Raises:
        InputError: the cache cannot be a folder.
    """
    sweep_claims(folder / _CLAIMS)
    for part in parts:
        place = folder / part.folder_name
        try:
            place.mkdir(parents=True, exist_ok=True)
            sweep(place)
            record = place / "fingerprint.json"
            if not record.exists():
                with staged(record) as path:
                    path.write_text(json.dumps(part.fingerprint, indent=1) + "\n")
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(f"{folder} is a file, or lies in one: choose another folder.") from error
        except OSError as error:
            raise InputError(f"{folder} cannot be written to ({error.strerror}): choose another folder.") from error


def _save(path: Path, chunks: Sequence[dict[str, Tensor]], identities: Sequence[str]) -> None:
    """Write a shard in one step: whoever sees it sees all of it."""
    stacked = {name: torch.cat([chunk[name] for chunk in chunks]).contiguous() for name in chunks[0]}
    sums = {name: [checksum(row) for row in value] for name, value in stacked.items()}
    try:
        with staged(path) as neighbour:
            save_file(stacked, neighbour, {ROWS: json.dumps({"ids": list(identities), "crc32": sums})})
            with neighbour.open("rb") as file:
                os.fsync(file.fileno())
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path.parent} cannot be written to ({reason}): make room, then run again.") from error


class ProgressReporter:
    """Reports how far each part is, whoever computes it."""

    def __init__(self, folder: Path, parts: Sequence[Part], progress: Progress | None):
        self.folder, self.parts, self.progress = folder, parts, progress
        self.sizes: dict[str, dict[str, int]] = {part.name: {} for part in parts}

    def report(self) -> None:
        """Look which shards are there, and say so."""
        if self.progress is None:
            return
        for part in self.parts:
            wanted = set(part.shard_names)
            with os.scandir(self.folder / part.folder_name) as entries:
                self.sizes[part.name] = {each.name: each.stat().st_size for each in entries if each.name in wanted}
        self.report_ahead((), 0)

    def report_ahead(self, group: Sequence[Part], rows: int) -> None:
        """Say the same with so many rows more of these parts, which are computed and not yet written."""
        if self.progress is None:
            return
        for part in self.parts:
            sizes = self.sizes[part.name]
            last = part.rows - (len(part.shard_names) - 1) * SHARD_ROWS
            done = sum(last if name == part.shard_names[-1] else SHARD_ROWS for name in sizes)
            done += rows if part in group else 0
            self.progress(part.name, min(done, part.rows), part.rows, sum(sizes.values()))
