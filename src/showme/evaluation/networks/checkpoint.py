"""Files of published weights: found, checked and read without unpickling anything but tensors."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...errors import InputError

# What Python's readers and torch's say of a file that is cut short, changed, or of another kind.
_DAMAGED = (SafetensorError, pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, OSError, LookupError,
            ValueError, TypeError, AttributeError, OverflowError, AssertionError, struct.error)  # fmt: skip


def published_file(path: str | Path, what: str, published: str) -> Path:
    """The path of a file that must be there.

    Args:
        path: of the file.
        what: the weights' name, for messages.
        published: which file their authors publish, for messages.

    Raises:
        InputError: there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no {what} file {path}: download {published} and give its path.")
    return path


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive of ``torch.jit.save``: a program beside its weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except _DAMAGED:
        return False


def read_tensors(path: Path, what: str) -> dict[str, Tensor]:
    """Name -> tensor of a ``.safetensors`` file or of one that ``torch.save`` wrote, new format or old.

    Raises:
        InputError: the file is damaged, or holds other things than named tensors.
    """
    try:
        tensors = load_file(path) if path.suffix == ".safetensors" else _read_torch(path)
    except _DAMAGED as error:
        raise InputError(f"{path} is damaged or holds no weights: fetch {what}'s anew.") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise InputError(f"{path} holds other things than named tensors: give {what}'s state_dict.")
    return tensors


def fill(network: nn.Module, tensors: dict[str, Tensor], path: Path, what: str) -> None:
    """Put tensors into a network that takes every one of them and needs no other.

    Raises:
        InputError: names or shapes differ.
    """
    try:
        network.load_state_dict(tensors)
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[-1].strip().rstrip(".")[:300]
        raise InputError(f"{path} does not hold {what}'s weights ({reason}): give the file of {what}.") from error


def _read_torch(path: Path) -> object:
    # Mapped where the format allows it: what an archive claims to hold takes no memory until it is used.
    return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
