"""A file that ``torch.save`` wrote, as a zip or in the form before torch 1.6 -> what is in it, nothing executed.

The zip holds a pickle of everything but the numbers, ``data.pkl``, and each storage in a record of its own. The older
form is a row of pickles, the last one of storages' keys, and then each storage: its count, 8 bytes, and its numbers.
"""

from __future__ import annotations

import io
import mmap
import struct
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..weight_files.inert_pickle import StoredTensor, read_inert

# The pickle of torch's magic number, with which the older form begins.
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_VERSION = 1001
_COUNT = struct.Struct("=q")
_ALIGNMENT = 16
# Of a zip's record: signature and fields that the directory repeats, then the lengths of its name and of what follows.
_LOCAL_HEADER = struct.Struct("<26xHH")


class ByteOrderError(ValueError):
    """The file's numbers have the other byte order."""


@dataclass(frozen=True)
class TorchFile:
    """What is in a file.

    content: dictionaries, lists, numbers, texts, :class:`StoredTensor`, and ``Inert`` for all else.
    places: key of a storage -> where it begins in the file, and its size, bytes.
    """

    path: Path
    content: Any
    places: dict[str, tuple[int, int]]

    def tensors(self, named: dict[Any, StoredTensor]) -> dict[Any, Tensor]:
        """Tensors as views of the mapped file: pages are read when they are used, and writing changes memory alone.

        Raises:
            LookupError, RuntimeError, TypeError, ValueError: one that reaches beyond its storage.
        """
        with self.path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        storages: dict[str, Tensor] = {}
        tensors = {}
        for name, where in named.items():
            if where.key not in storages:
                storages[where.key] = self._storage(mapped, where)
            numbers = storages[where.key].view(where.dtype)
            tensors[name] = numbers.as_strided(where.size, where.stride, where.offset)
        return tensors

    def _storage(self, mapped: mmap.mmap, where: StoredTensor) -> Tensor:
        begin, size = self.places[where.key]
        needed = where.count * where.stored.itemsize
        if not 0 <= needed <= size:
            raise ValueError(f"storage {where.key} is of {size} bytes, {needed} are wanted")
        if not needed:
            return torch.empty(0, dtype=where.stored)
        if begin % _ALIGNMENT:
            # The older form puts numbers anywhere, and not every processor reads them there.
            return torch.frombuffer(bytearray(mapped[begin : begin + needed]), dtype=where.stored)
        return torch.frombuffer(mapped, dtype=where.stored, count=where.count, offset=begin)


def is_torch_file(path: Path) -> bool:
    """Whether a file is a whole zip, whose directory is at its end, or begins as the older form does."""
    with path.open("rb") as file:
        return file.read(len(_LEGACY)) == _LEGACY or zipfile.is_zipfile(path)


def read_torch_file(path: Path) -> TorchFile:
    """Read what is in a file, without its numbers. No class that it names is imported, nothing in it is called.

    Raises:
        ByteOrderError: written on a machine of the other byte order.
        Exception: damaged, or of another kind; of any kind, as Python's unpickler.
    """
    if zipfile.is_zipfile(path):
        return _read_zip(path)
    with path.open("rb") as file:
        return _read_legacy(path, file)


def _read_zip(path: Path) -> TorchFile:
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        records = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if any(info.compress_type != zipfile.ZIP_STORED for info in records.values()):
            raise ValueError("it was packed anew by another program")
        order = archive.read(records["byteorder"]).decode() if "byteorder" in records else "little"
        if order != sys.byteorder:
            raise ByteOrderError(order)
        content, storages = read_inert(io.BytesIO(archive.read(records["data.pkl"])))
        places = {}
        for key in storages:
            info = records[f"data/{key}"]
            file.seek(info.header_offset)
            name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            places[key] = info.header_offset + _LOCAL_HEADER.size + name + extra, info.file_size
    return TorchFile(path, content, places)


def _read_legacy(path: Path, file: Any) -> TorchFile:
    file.seek(len(_LEGACY))
    version, system = read_inert(file)[0], read_inert(file)[0]
    if version != _LEGACY_VERSION:
        raise ValueError(f"version {version} of torch's older form")
    if system["little_endian"] != (sys.byteorder == "little"):
        raise ByteOrderError("little" if system["little_endian"] else "big")
    content, storages = read_inert(file)
    places = {}
    for key in read_inert(file)[0]:
        dtype, count = storages[key]
        if _COUNT.unpack(file.read(_COUNT.size)) != (count,):
            raise ValueError(f"storage {key} is of another length than {count}")
        places[key] = file.tell(), count * dtype.itemsize
        file.seek(count * dtype.itemsize, io.SEEK_CUR)
    if file.tell() > path.stat().st_size:
        raise ValueError("it ends before its numbers do")
    return TorchFile(path, content, places)
