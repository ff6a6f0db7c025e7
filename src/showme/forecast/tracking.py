"""Bytes of tensors that are alive while something runs, on whatever device, real or without values."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

# What a tensor is counted as unless it is said: what a step makes on its way.
ACTIVATIONS = "activations"
GRADIENTS = "gradients"


class MemoryTracker(TorchDispatchMode):
    """While open, every storage counts from the operation that makes it to its end.

    What was there before is counted when :meth:`count` is told of it. What kernels take for themselves is not seen.

    Args:
        granularity: bytes that every storage is rounded up to, as an allocator does.

    Attributes:
        live: bytes of each kind that are there now.
        peak: the same at the moment when the sum was largest.
    """

    def __init__(self, granularity: int = 1):
        super().__init__()
        self.granularity = granularity
        self.live: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self._most = self._sum = 0
        # Address -> kind, bytes, and the reference whose end says that the storage is gone.
        self._storages: dict[int, tuple[str, int, Any]] = {}

    @property
    def most(self) -> int:
        """Bytes at the peak."""
        return self._most

    def __torch_dispatch__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_iter(result):
            if isinstance(value, Tensor):
                self._see(value.untyped_storage(), ACTIVATIONS)
        return result

    def count(self, tensors: Any, kind: str) -> None:
        """Count tensors, in lists or dicts, as a kind; those that count already change theirs."""
        for value in tree_iter(tensors):
            if isinstance(value, Tensor):
                storage = value.untyped_storage()
                self._see(storage, kind)
                self._change(storage._cdata, kind)

    def watch_gradients(self, parameters: Any) -> list[Any]:
        """Count gradients as such from their first moment on; handles take it back."""
        return [
            parameter.register_post_accumulate_grad_hook(lambda given: self.count(given.grad, GRADIENTS))
            for parameter in parameters
        ]

    def forget_peak(self) -> None:
        """Begin to look for the peak anew."""
        self.peak, self._most = Counter(self.live), self._sum

    def _see(self, storage: torch.UntypedStorage, kind: str) -> None:
        key = storage._cdata
        if key in self._storages:
            return
        size = -(-storage.nbytes() // self.granularity) * self.granularity
        self._storages[key] = kind, size, weakref.ref(storage, lambda _: self._free(key))
        self.live[kind] += size
        self._sum += size
        if self._sum > self._most:
            self._most, self.peak = self._sum, Counter(self.live)

    def _change(self, key: int, kind: str) -> None:
        before, size, reference = self._storages[key]
        if before != kind:
            self._storages[key] = kind, size, reference
            self.live[before] -= size
            self.live[kind] += size

    def _free(self, key: int) -> None:
        kind, size, _ = self._storages.pop(key)
        self.live[kind] -= size
        self._sum -= size


def bytes_of(module: nn.Module) -> int:
    """Bytes of a module's parameters and buffers, each once."""
    tensors = [*module.parameters(), *module.buffers()]
    return sum({id(each): each.numel() * each.element_size() for each in tensors}.values())
