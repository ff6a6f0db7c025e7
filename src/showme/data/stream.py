"""The endless stream of training samples, each a pure function of the seed and its position.

A step of the global batch size G takes the positions [step G, (step + 1) G), whatever the number of processes: rank r
of W takes the r-th of W equal parts, and accumulation splits that part again. Nothing random belongs to a process or to
a worker, so the same seed gives the same losses alone, under ``accelerate launch`` and after a resumption.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset


def mixed_seed(*numbers: int) -> int:
    """Numbers -> one seed of 32 bits, well mixed: torch's CPU generator takes no more than the lowest 32."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def text_seed(text: str) -> int:
    """A text -> a number of 32 bits, for :func:`mixed_seed`."""
    return zlib.crc32(text.encode())


def generator_at(*numbers: int) -> torch.Generator:
    """A generator on the CPU seeded by :func:`mixed_seed`."""
    return torch.Generator().manual_seed(mixed_seed(*numbers))


def shuffled(position: int, count: int, seed: int) -> int:
    """The row that stands at ``position``: every epoch of ``count`` positions is another permutation of the rows."""
    epoch, place = divmod(position, count)
    return int(_permutation(epoch, count, seed)[place])


@lru_cache(maxsize=2)
def _permutation(epoch: int, count: int, seed: int) -> Tensor:
    return torch.randperm(count, generator=generator_at(seed, epoch))


def positions(first_step: int, batch_size: int, rank: int, processes: int, parts: int) -> Iterator[list[int]]:
    """Endless lists of positions: for each step, from ``first_step`` on, the ``parts`` lists of one process."""
    size = batch_size // (processes * parts)
    step = first_step
    while True:
        start = step * batch_size + rank * size * parts
        for part in range(parts):
            yield list(range(start + part * size, start + (part + 1) * size))
        step += 1


def batches(samples: Dataset, workers: int, pin: bool, order: Iterator[list[int]]) -> Iterator[dict]:
    """Collated samples at the positions of ``order``.

    Args:
        samples: position -> dict of tensors (dicts of them may nest).
        workers: processes that read; 0 reads in this one.
        pin: copy into pinned memory, for a GPU.
        order: of :func:`positions`.
    """
    loader = DataLoader(
        samples, batch_sampler=order, num_workers=workers, pin_memory=pin, persistent_workers=workers > 0
    )
    return iter(loader)


def to_device(batch: dict, device: torch.device) -> dict:
    """Tensors of a batch on ``device``; what is no tensor stays."""
    moved: dict = {}
    for key, value in batch.items():
        if isinstance(value, dict):
            moved[key] = to_device(value, device)
        else:
            moved[key] = value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
    return moved
