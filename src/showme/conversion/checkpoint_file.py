"""A published checkpoint file -> its tensors by name, mapped from the disk and not yet in memory."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import InputError
from .keys import ConversionError

# Trainers nest the weights: Lightning under "state_dict", DeepSpeed under "module" with a wrapper's name before each,
# InternVideo under "model".
_NESTED = ("state_dict", "module", "model")
_DEEPSPEED_PREFIX = "_forward_module."


def read_weights(source: Path) -> dict[str, Tensor]:
    """Name -> tensor of a ``.ckpt``/``.pt`` file (torch's zip format) or a ``.safetensors`` file.

    The tensors are views of the mapped file: pages are read when they are used. Nothing but tensors and plain
    containers is unpickled.

    Raises:
        InputError: no such file, or a folder.
        ConversionError: truncated, not a checkpoint, or one with other objects than tensors inside.
    """
    source = Path(source)
    if not source.is_file():
        what = "is a folder; name the checkpoint file in it" if source.is_dir() else "does not exist"
        raise InputError(f"{source} {what}.")
    weights = _read_safetensors(source) if source.suffix == ".safetensors" else _unwrap(source, _read_pickle(source))
    if not weights:
        raise ConversionError(f"{source} holds no weights.")
    return weights


def _read_safetensors(source: Path) -> dict[str, Tensor]:
    try:
        with safe_open(source, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise ConversionError(f"{source} is truncated or no safetensors file ({error}).") from error


def _read_pickle(source: Path) -> object:
    if not zipfile.is_zipfile(source):  # the zip's directory is at its end: a truncated download has none
        raise ConversionError(f"{source} is truncated or no torch checkpoint; fetch it again.")
    try:
        return torch.load(source, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split("\n")[0]
        raise ConversionError(
            f"{source} holds objects besides tensors, which are never loaded: save its state_dict alone ({reason})."
        ) from error
    except (RuntimeError, EOFError, KeyError, OSError, ValueError) as error:
        raise ConversionError(f"{source} is damaged or no torch checkpoint; fetch it again ({error}).") from error


def _unwrap(source: Path, content: object) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        content = next((content[name] for name in _NESTED if name in content), content)
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ConversionError(f"{source} is no checkpoint of weights: it holds other things than named tensors.")
    return {key.removeprefix(_DEEPSPEED_PREFIX): value for key, value in content.items()}


def split_groups(
    weights: Mapping[str, Tensor], prefixes: Iterable[str], inert: Container[str]
) -> dict[str, dict[str, Tensor]]:
    """Prefix -> the weights under it, named without it; every key is in one group or inert.

    Args:
        weights: the whole checkpoint.
        prefixes: one per network, none the beginning of another.
        inert: keys outside all groups that are known to carry nothing.

    Raises:
        ConversionError: a key with no place, or a group without a key.
    """
    groups: dict[str, dict[str, Tensor]] = {prefix: {} for prefix in prefixes}
    homeless = []
    for key, value in weights.items():
        prefix = next((p for p in groups if key.startswith(p)), None)
        if prefix is not None:
            groups[prefix][key[len(prefix) :]] = value
        elif key not in inert:
            homeless.append(key)
    empty = [prefix for prefix, group in groups.items() if not group]
    if empty:
        raise ConversionError(f"not such a checkpoint: no weight of it begins with {empty[0]}")
    if homeless:
        raise ConversionError(f"{len(homeless)} keys of the checkpoint are unknown, the first: {homeless[0]}")
    return groups
