"""Filling a cache on a Ray cluster: the same code as in one process, a shard at a time, on a folder that all share."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..data.cache import Part, missing_shards
from ..data.cache.build import Progress, ProgressReporter, prepare_folders, write_shard
from ..errors import InputError, OutsideError
from ..optional import needed

_REMEDY = "start one (`ray start --head`), or say local"

Maker = Callable[[], Sequence[Part]]


def build_on_ray(
    folder: Path, parts: Sequence[Part], maker: Maker, address: str, progress: Progress | None = None
) -> None:
    """Compute what a cache lacks by Ray Data.

    Args:
        folder: the cache's, on a disk that all workers see under this path.
        parts: as this process made them.
        maker: makes them anew; picklable.
        address: of the cluster; ``local`` starts one on this machine.
        progress: called with how far each part is.

    Raises:
        InputError: Ray is not installed, there is no cluster at that address, or a clip that cannot be read.
    """
    prepare_folders(folder, parts)
    reporter = ProgressReporter(folder, parts, progress)
    reporter.report()
    jobs = [
        {"names": [part.name for part in group], "shards": [str(part.shard(folder, n)) for part in group], "number": n}
        for group, n in missing_shards(folder, parts)
    ]
    for _ in map_on_ray(ShardWorker, (str(folder), maker), jobs, address):
        reporter.report()
    if missing_shards(folder, parts):
        raise InputError(
            f"The workers at {address} write elsewhere than to {folder}: name a folder that all of them share."
        )


class ShardWorker:
    """Makes the parts once, and computes the shards that it is given."""

    def __init__(self, folder: str, maker: Maker):
        self.folder = Path(folder)
        self.parts = {part.name: part for part in maker()}

    def __call__(self, job: dict[str, Any]) -> dict[str, str]:
        return error_row(lambda: self._write(job))

    def _write(self, job: dict[str, Any]) -> None:
        group, number = [self.parts[name] for name in job["names"]], int(job["number"])
        if [str(part.shard(self.folder, number)) for part in group] != list(job["shards"]):
            raise InputError(
                "Ray's workers see other clips or run another version of this code: give them the same, then run again."
            )
        write_shard(self.folder, group, number)


def error_row(work: Callable[[], Any]) -> dict[str, str]:
    """Run ``work``; what a user can mend comes back as a row, so that the driver says it in one sentence."""
    try:
        work()
    except (InputError, OutsideError) as error:
        return {"error": str(error)}
    return {"error": ""}


class WorkerInFolder:
    """A worker that works in the folder of the command; what keeps it from beginning is its answer to every job."""

    def __init__(self, folder: str, worker: type, arguments: tuple):
        self.work: Callable[[dict[str, Any]], dict[str, str]]
        try:
            os.chdir(folder)
            self.work = worker(*arguments)
        except OSError:
            sentence = (
                f"Ray's workers do not see {folder}: give the command in a folder on a disk that all of them share."
            )
            self.work = lambda job: {"error": sentence}
        except (InputError, OutsideError) as error:
            reason = str(error)
            self.work = lambda job: {"error": reason}

    def __call__(self, job: dict[str, Any]) -> dict[str, str]:
        return self.work(job)


def map_on_ray(worker: type, arguments: tuple, jobs: Sequence[dict[str, Any]], address: str) -> Iterator[None]:
    """Yields whenever a job is done. worker(*arguments) is made once by each of as many processes as there are CPUs.

    Workers take paths as this process does: they work in its folder, which they must see.

    Raises:
        InputError: of a job, or :func:`_connect`'s.
    """
    ray = _connect(address)
    if not jobs:
        return
    count = max(min(len(jobs), int(ray.cluster_resources().get("CPU", 1))), 1)
    data = ray.data.from_items(list(jobs), override_num_blocks=len(jobs))
    here = (str(Path.cwd()), worker, arguments)
    done = data.map(WorkerInFolder, fn_constructor_args=here, concurrency=count, num_cpus=1)
    for row in done.iter_rows():
        if row["error"]:
            raise InputError(row["error"])
        yield


def _answers(address: str) -> None:
    """Refuse an address at which nobody listens: Ray itself would wait for ten minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"There is no Ray cluster at {address}: {_REMEDY}.") from error


def _connect(address: str) -> Any:
    with needed("ray", "ray", "ray", "--ray"):
        import ray
        import ray.data
    if not ray.is_initialized():
        _answers(address)
        try:
            ray.init(None if address == "local" else address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"There is no Ray cluster at {address}: {_REMEDY}.") from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray
