"""What is kept, and how it is read back.

::

    cache/latents-3f21a0c4d5e6/fingerprint.json                what decided the values, for people
                               5c0f...a1.safetensors       tensors of 64 rows, stacked; their ids in the header
                               ...
    cache/text-.../  cache/flow-.../

Each *part* has a folder of its own, named by a fingerprint of everything that made it but the clips: sampling, sizes,
weights, code. A shard is named by the identities of its rows, which change with the clips' pixels. Whatever changes,
the name changes with it, so that nothing stale can ever be read; a list of clips that grows keeps its whole shards.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...errors import InputError
from ...fingerprint import digest_of

SHARD_ROWS = 64
# The one entry of a shard's header, as JSON: ``ids`` of the rows, and ``crc32``, each tensor's checksums by row. Of
# several entries the order would be another in every file, and equal shards are to have equal bytes.
ROWS = "rows"
# Each open shard holds a file descriptor and a mapping.
_OPEN_SHARDS = 256


@dataclass(frozen=True)
class Part:
    """One kind of thing that the cache keeps of every row.

    name: ``latents``, ``text``, ... fingerprint: JSON, all that decides its values beside the rows. identities:
    one text per row, different for different content. encode: the row numbers of a chunk -> tensors, stacked over the
    chunk. chunk: rows per call. alone: whether one thread at a time may encode: a pipeline with its scheduler and its
    merged adapters answers one question after another.
    """

    name: str
    fingerprint: dict[str, Any]
    identities: Sequence[str]
    encode: Callable[[Sequence[int]], dict[str, Tensor]]
    chunk: int = 8
    alone: bool = False

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.identities)

    @cached_property
    def folder_name(self) -> str:
        """The part's folder in a cache."""
        return f"{self.name}-{digest_of(self.fingerprint)[:12]}"

    @cached_property
    def shard_names(self) -> list[str]:
        """Files of the shards, 64 rows each, in their order."""
        rows = (self.identities[start : start + SHARD_ROWS] for start in range(0, self.rows, SHARD_ROWS))
        return [f"{hashlib.sha256(json.dumps(list(each)).encode()).hexdigest()[:20]}.safetensors" for each in rows]

    def shard(self, folder: Path, number: int) -> Path:
        """Where a shard is, or will be."""
        return folder / self.folder_name / self.shard_names[number]

    def shard_files(self, folder: Path) -> list[Path]:
        """Where all are."""
        return [folder / self.folder_name / name for name in self.shard_names]


class PartReader:
    """A finished part: row -> tensors, read from the memory-mapped shards when asked for.

    A row is compared with its checksum when it is first read: disks and networks change bytes without a word.
    """

    def __init__(self, files: Sequence[Path], rows: int):
        self.files, self.rows = list(files), rows
        self.open: OrderedDict[int, tuple[Any, dict[str, list[int]]]] = OrderedDict()
        self.sound: set[int] = set()

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        shard, place = divmod(row, SHARD_ROWS)
        file, sums = self._file(shard)
        values = {name: file.get_slice(name)[place] for name in sums}
        if row not in self.sound:
            for name, value in values.items():
                if checksum(value) != sums[name][place]:
                    raise InputError(f"{self.files[shard]} of the cache is damaged: remove it and run again.")
            self.sound.add(row)
        return values

    def checksum(self, row: int, name: str) -> int:
        """CRC-32 of a row's tensor as it was written; the tensor itself is not read."""
        shard, place = divmod(row, SHARD_ROWS)
        return self._file(shard)[1][name][place]

    @cached_property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.files)

    def _file(self, shard: int) -> tuple[Any, dict[str, list[int]]]:
        if shard in self.open:
            self.open.move_to_end(shard)
        else:
            try:
                file = safe_open(self.files[shard], "pt")
                self.open[shard] = file, json.loads(file.metadata()[ROWS])["crc32"]
            except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{self.files[shard]} of the cache is gone or damaged: run again, it is made anew."
                ) from error
            if len(self.open) > _OPEN_SHARDS:
                self.open.popitem(last=False)
        return self.open[shard]

    def __getstate__(self) -> dict:
        # Worker processes open files of their own.
        return self.__dict__ | {"open": OrderedDict()}


def checksum(value: Tensor) -> int:
    """CRC-32 of a tensor's bytes."""
    return zlib.crc32(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def is_whole(path: Path) -> bool:
    """Whether a shard is there and can be read: it is written in one step, but a disk may have been full."""
    try:
        with safe_open(path, "pt") as file:
            record = json.loads(file.metadata()[ROWS])
            return bool(record["ids"]) and set(record["crc32"]) == set(file.keys())
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return False
