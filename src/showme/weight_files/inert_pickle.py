"""Pickles without the objects in them: dictionaries, lists, numbers, texts and where tensors lie; the rest is inert.

What a pickle names is never imported and never called. A few names that ``torch.save`` writes stand for classes of this
file; each other one, and whatever the pickle would do with it, becomes an :class:`Inert`.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

import torch

_DTYPES = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
# torch's storage classes as they have been called since its beginning, without "Storage".
_STORAGES = {
    "Double": torch.float64, "Float": torch.float32, "Half": torch.float16, "BFloat16": torch.bfloat16,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool, "ComplexDouble": torch.complex128, "ComplexFloat": torch.complex64, "Untyped": torch.uint8,
}  # fmt: skip
# Python keeps these numbers in a table of this process, outside the pickle, and what they stand for is imported.
_EXTENSIONS = ("EXT1", "EXT2", "EXT4")
_MEMOS = ("PUT", "BINPUT", "LONG_BINPUT")


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """Where a tensor lies: ``count`` numbers of ``stored`` type under ``key``, and the view of them as ``dtype``."""

    key: str
    stored: torch.dtype
    count: int
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class Inert:
    """Stands for an object that was not made. It takes whatever a pickle does to objects and keeps none of it."""

    __slots__ = ()

    def __new__(cls, *_: Any, **__: Any) -> Self:
        return super().__new__(cls)

    def __call__(self, *_: Any) -> Inert:
        return self

    __setstate__ = __setitem__ = append = extend = add = lambda self, *_: None


class _Names(dict):
    """Stands for an OrderedDict; what its attributes hold, as torch's ``_metadata``, is dropped."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class _Rebuilder(Inert):
    """Stands for a function of torch that makes a tensor."""

    __slots__ = ("make",)
    make: Callable[..., Any]

    def __new__(cls, make: Callable[..., Any]) -> Self:
        self = super().__new__(cls)
        self.make = make
        return self

    def __call__(self, *arguments: Any) -> Any:
        return self.make(*arguments)


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: torch.dtype
    count: int
    begin: int  # numbers before it, of one that is part of another


def _tensor(storage: _Storage, offset: int, size: tuple, stride: tuple, *rest: Any) -> StoredTensor:
    # Torch's third form of a tensor names a type of its own: requires_grad, hooks, dtype, metadata.
    dtype = rest[2] if len(rest) > 2 and isinstance(rest[2], torch.dtype) else storage.dtype
    begin = storage.begin + offset
    return StoredTensor(storage.key, storage.dtype, storage.count, dtype, begin, tuple(size), tuple(stride))


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


_TENSOR_MAKERS: dict[str, Callable[..., Any]] = {
    "_rebuild_tensor": _tensor,
    "_rebuild_tensor_v2": _tensor,
    "_rebuild_tensor_v3": _tensor,
    "_rebuild_parameter": _parameter,
    "_rebuild_parameter_with_state": _parameter,
}


class _Unpickler(pickle.Unpickler):
    """``storages``: the number type and count of each storage that was named, by its key."""

    def __init__(self, file: BinaryIO):
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, tuple[torch.dtype, int]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _Names
        if module == "torch._utils" and name in _TENSOR_MAKERS:
            return _Rebuilder(_TENSOR_MAKERS[name])
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if module in ("torch", "torch.storage") and name.removesuffix("Storage") in _STORAGES:
            return _STORAGES[name.removesuffix("Storage")]
        return Inert

    def persistent_load(self, identity: Any) -> Any:
        if not isinstance(identity, tuple) or identity[0] != "storage":
            return Inert()
        _, dtype, key, _, count, *view = identity
        if not isinstance(dtype, torch.dtype) or not isinstance(count, int):
            raise pickle.UnpicklingError(f"a storage of an unknown kind: {key}")
        self.storages[str(key)] = dtype, count
        # Before torch 1.6 a storage could be part of another: its own key, where it begins there, its count.
        return _Storage(str(key), dtype, count, view[0][1] if view and view[0] else 0)


def read_inert(file: BinaryIO) -> tuple[Any, dict[str, tuple[torch.dtype, int]]]:
    """Read one pickle, as the module describes; the file stands behind it afterwards.

    Returns:
        What is in it, with :class:`StoredTensor` for tensors, and by key the number type and count of each storage.

    Raises:
        Exception: bytes that are no pickle; of any kind, as Python's unpickler.
    """
    start = file.tell()
    _refuse_bombs(file)
    size = file.tell() - start
    file.seek(start)
    # Alone, for the unpickler reads ahead.
    unpickler = _Unpickler(io.BytesIO(file.read(size)))
    return unpickler.load(), unpickler.storages


def _refuse_bombs(file: BinaryIO) -> None:
    """Go through a pickle without executing it.

    Raises:
        pickle.UnpicklingError: it has numbers of Python's extension table, or a memo so large that it fills memory.
    """
    for steps, (operation, argument, _) in enumerate(pickletools.genops(file)):
        too_far = operation.name in _MEMOS and (argument or 0) > steps
        if operation.name in _EXTENSIONS or too_far:
            raise pickle.UnpicklingError(f"{operation.name} {argument} is never followed")
