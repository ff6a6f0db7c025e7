"""Clips that show nothing, of the right shapes: what the cache would keep of them, by the code that keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from ..data.cache import Part
from ..data.clips import Look
from ..data.rows import ClipRows
from ..data.sources import Record
from ..methods.base import Stage
from ..methods.cached import CachedClips

Values = Mapping[str, Tensor]
# As many as the cache encodes at a time of what it encodes most of, sentences.
_CLIPS = 64


class BlankRows(ClipRows):
    """Rows of clips that are nowhere: black pictures, each clip with a sentence of its own."""

    def __init__(self, look: Look, count: int = _CLIPS):
        nowhere: Any = None
        super().__init__([Record(str(number), nowhere, f"sentence {number}") for number in range(count)], look)

    @property
    def identities(self) -> list[str]:  # type: ignore[override]
        return [record.id for record in self.records]

    def read(self, rows: Sequence[int]) -> list[Any]:
        return [SimpleNamespace(sample=SimpleNamespace(stride=1.0)) for _ in rows]

    def pixels(self, rows: Sequence[int], chosen: slice = slice(None)) -> Tensor:
        count = len(range(self.look.frames)[chosen])
        return torch.zeros(len(rows), count, 3, self.look.height, self.look.width)


class BlankReader:
    """Stands for a reader of the cache that has the same of every row."""

    def __init__(self, values: Values):
        self.values = values

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return dict(self.values)


def first_row(encoded: Values) -> dict[str, Tensor]:
    """Of what a part encodes of several rows, zeros that are one row's, with values."""
    return {name: real_zeros(value.shape[1:], value.dtype) for name, value in encoded.items()}


def real_zeros(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Zeros with values, whether or not other tensors have such."""
    # Made of a tensor that has values, which operations leave it.
    return torch.tensor(0.0).new_zeros(tuple(shape), dtype=dtype)


def blank_clips(rows: BlankRows, kept: Mapping[str, Values], scalar: float | str | None) -> CachedClips:
    """What training reads of a cache.

    Args:
        rows: the clips.
        kept: part -> what it keeps of one row.
        scalar: as of :class:`CachedClips`.
    """
    readers: dict[str, Any] = {name: BlankReader(values) for name, values in kept.items()}
    return CachedClips(rows, readers, scalar)


def blank_batch(stage: Stage, clips: CachedClips, size: int) -> dict[str, Any]:
    """A collated batch of a stage's samples, without values."""
    samples: Any = stage.samples(clips)
    batch = default_collate([samples[position] for position in range(size)])
    return {name: torch.empty(value.shape, dtype=value.dtype) for name, value in batch.items()}


def row_bytes(kept: Mapping[str, Values]) -> int:
    """Bytes on disk of what is kept of one clip."""
    return sum(value.numel() * value.element_size() for values in kept.values() for value in values.values())


def chunk_of(part: Part, count: int) -> list[int]:
    """The rows that a part encodes at a time, of so many clips."""
    return list(range(min(part.chunk, part.rows, count)))
