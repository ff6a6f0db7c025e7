"""What never changes about a clip, computed once: latents, tokens, reward targets.

::

    cache/latents-3f21a0c4d5e6/00000.safetensors   tensors of the first rows, stacked
                               00001.safetensors
                               index.json          fingerprint, shards and their rows, written last
    cache/text-.../  cache/flow-.../

Each *part* has a folder of its own, named by a fingerprint of everything that made it: clips, sampling, sizes, weights.
Another codec or another eye gives another name, so that a stale part can never be read, and a new reward adds a part
without touching the others.
"""

from __future__ import annotations

import bisect
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import InputError

INDEX = "index.json"
_SHARD_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Part:
    """One kind of thing that the cache keeps of every row.

    name: ``latents``, ``text``, ... made_of: JSON that says all that decides its values. rows: how many. encode: the
    row numbers of a chunk -> tensors, stacked over the chunk. chunk: rows per call.
    """

    name: str
    made_of: dict[str, Any]
    rows: int
    encode: Callable[[Sequence[int]], dict[str, Tensor]]
    chunk: int = 8

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.made_of, sort_keys=True).encode()).hexdigest()[:12]


class PartReader:
    """A finished part: row -> tensors, read from the memory-mapped shards when asked for."""

    def __init__(self, folder: Path):
        self.folder = folder
        index = json.loads((folder / INDEX).read_text())
        self.files = [shard["file"] for shard in index["shards"]]
        self.ends = list(accumulate(shard["rows"] for shard in index["shards"]))
        self.open: dict[int, Any] = {}

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        shard = bisect.bisect_right(self.ends, row)
        file = self._file(shard)
        place = row - (self.ends[shard - 1] if shard else 0)
        return {name: file.get_slice(name)[place] for name in file.keys()}  # noqa: SIM118 (not a dict)

    def _file(self, shard: int):
        if shard not in self.open:
            self.open[shard] = safe_open(self.folder / self.files[shard], "pt")
        return self.open[shard]

    def __getstate__(self) -> dict:
        # Worker processes open files of their own.
        return self.__dict__ | {"open": {}}


def build_part(folder: Path, part: Part, progress: Callable[[int, int], None] | None = None) -> PartReader:
    """The part's reader; what is missing is computed first, and shards that a killed run finished are kept.

    Args:
        folder: the cache's.
        part: what is wanted.
        progress: called with the rows that are done and all rows.

    Raises:
        InputError: the cache cannot be a folder.
    """
    place = folder / f"{part.name}-{part.fingerprint}"
    if (place / INDEX).is_file():
        return PartReader(place)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{folder} is a file, or lies in one: choose another folder for the cache.") from error
    shards: list[dict] = []
    done = 0
    while done < part.rows:
        path = place / f"{len(shards):05d}.safetensors"
        rows = _rows_in(path)
        if rows is None:
            rows = _write_shard(path, part, done, progress)
        shards.append({"file": path.name, "rows": rows})
        done += rows
        if progress is not None:
            progress(done, part.rows)
    staged = place / f"{INDEX}.partial"
    staged.write_text(json.dumps({"made_of": part.made_of, "shards": shards}, indent=1) + "\n")
    staged.replace(place / INDEX)
    return PartReader(place)


def _write_shard(path: Path, part: Part, start: int, progress: Callable[[int, int], None] | None) -> int:
    """Encode rows from ``start`` on until the shard is full; returns how many."""
    chunks: list[dict[str, Tensor]] = []
    row, size = start, 0
    while row < part.rows and size < _SHARD_BYTES:
        numbers = range(row, min(row + part.chunk, part.rows))
        chunks.append({name: value.cpu() for name, value in part.encode(numbers).items()})
        size += sum(value.nbytes for value in chunks[-1].values())
        row = numbers.stop
        if progress is not None:
            progress(row, part.rows)
    stacked = {name: torch.cat([chunk[name] for chunk in chunks]).contiguous() for name in chunks[0]}
    staged = path.with_suffix(".partial")
    save_file(stacked, staged, {"rows": str(row - start)})
    staged.replace(path)
    return row - start


def _rows_in(path: Path) -> int | None:
    """Rows of a whole shard; None when it is not there or cannot be read."""
    try:
        with safe_open(path, "pt") as file:
            return int(file.metadata()["rows"])
    except (OSError, SafetensorError):
        return None


def weights_digest(module: nn.Module) -> str:
    """SHA-256 over a module's tensors, names and precision: equal weights, equal digest."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
