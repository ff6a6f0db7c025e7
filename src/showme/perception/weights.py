"""Weights of a pretrained eye, from a file that its authors publish."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch
from torch import nn

from ..errors import InputError


def load_published(
    network: nn.Module, path: str | Path, what: str, published: str, rename: tuple[str, str] = ("^$", "")
) -> None:
    """Fill ``network`` from a file of torch weights, old format or new; nothing but tensors is unpickled.

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
        raise InputError(f"There is no {what} file {path}: download {published} and give its path.")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        renamed = {re.sub(*rename, key): weight for key, weight in weights.items()}
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        AssertionError,
    ) as error:
        raise InputError(f"{path} is damaged or holds no torch weights: fetch {what}'s anew.") from error
    try:
        network.load_state_dict(renamed)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"{path} does not hold {what}'s weights ({str(error).splitlines()[-1].strip()}).") from error
