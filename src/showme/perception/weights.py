"""Weights of a pretrained estimator, from a file that its authors publish; nothing but tensors is unpickled."""

from __future__ import annotations

import http.client
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import InputError, OutsideError, absent
from ..weight_files.checkpoint_file import read_weights

_DAMAGED = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
)


def load_published(
    network: nn.Module, path: str | Path, what: str, published: str, rename: tuple[str, str] = ("^$", "")
) -> None:
    """Fill ``network`` from a file of torch weights, old format or new.

    Args:
        network: is filled, every parameter.
        path: of the file.
        what: the weights' name, for messages.
        published: the file's, for messages.
        rename: pattern and replacement for the names in the file.

    Raises:
        InputError: no such file, one that is damaged, or other weights.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{absent(path, f'{what} file')}: download {published} and give its path.")
    try:
        renamed = {re.sub(*rename, key): weight for key, weight in read_weights(path).items()}
    except InputError as error:
        raise InputError(f"{path} is damaged or holds no torch weights: fetch {what}'s anew.") from error
    try:
        network.load_state_dict(renamed)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"{path} does not hold {what}'s weights ({str(error).splitlines()[-1].strip()}).") from error


def fill_from_torchvision(url: str, what: str, fill: Callable[[dict[str, Tensor]], object]) -> None:
    """Hand weights that torchvision publishes to ``fill``; they are fetched once, into torch.hub's folder.

    Args:
        url: of the file, whose name ends with the beginning of its checksum.
        what: needs them, for messages.
        fill: takes them by name; raises where they are others.

    Raises:
        InputError: the file in that folder is damaged or another.
        OutsideError: it is not there and cannot be fetched.
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    try:
        weights = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (OSError, http.client.HTTPException) as error:
        raise OutsideError(
            f"{what} needs torchvision's {file.name}, and {url} could not be fetched ({error}): fetch it elsewhere and "
            f"put it at {file}."
        ) from error
    except _DAMAGED as error:
        raise InputError(f"{file} is damaged: fetch {url} anew.") from error
    try:
        fill(weights)
    except _DAMAGED as error:
        raise InputError(f"{file} holds other weights than {what} needs: fetch {url} anew.") from error
