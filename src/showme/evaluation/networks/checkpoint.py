"""Files of published weights: found, checked to hold no program, and put into networks."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from torch import Tensor, nn

from ...errors import InputError, absent


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
        raise InputError(f"{absent(path, f'{what} file')}: download {published} and give its path.")
    return path


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive of ``torch.jit.save``: a program beside its weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    # NotImplementedError: a directory that asks for a version of the format that no program has.
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error):
        return False


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
