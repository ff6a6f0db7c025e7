"""A published checkpoint file -> its tensors by name, mapped from the disk and not yet in memory."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import ConversionError, InputError, first_line
from ..weight_files.inert_pickle import StoredTensor
from ..weight_files.torch_file import ByteOrderError, is_torch_file, read_torch_file

# Trainers nest the weights: Lightning under "state_dict", DeepSpeed under "module" with a wrapper's name before each,
# InternVideo under "model".
_NESTED = ("state_dict", "module", "model")
_DEEPSPEED_PREFIX = "_forward_module."


def read_weights(source: Path) -> dict[str, Tensor]:
    """Name -> tensor of a ``.safetensors`` file or of one that ``torch.save`` wrote, new format or old.

    The tensors are views of the mapped file: pages are read when they are used. What else a checkpoint holds beside
    them, such as the hyper-parameters, callbacks and loops of a trainer, is neither imported nor called.

    Raises:
        InputError: no such file, or a folder.
        ConversionError: truncated, damaged, of the other byte order, not a checkpoint, or without weights.
    """
    source = Path(source)
    if not source.is_file():
        what = "is a folder; name the checkpoint file in it" if source.is_dir() else "does not exist"
        raise InputError(f"{source} {what}.")
    weights = _read_safetensors(source) if source.suffix == ".safetensors" else _read_torch(source)
    if not weights:
        raise ConversionError(f"{source} holds no weights.")
    return weights


def _read_safetensors(source: Path) -> dict[str, Tensor]:
    try:
        with safe_open(source, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise ConversionError(f"{source} is truncated or no safetensors file ({error}).") from error


def _read_torch(source: Path) -> dict[str, Tensor]:
    try:
        if not is_torch_file(source):
            raise ConversionError(f"{source} is truncated or no torch checkpoint; fetch it again.")
        file = read_torch_file(source)
        weights = _weights_of(file.content)
        if weights is not None:
            return file.tensors(weights)
    except ConversionError:
        raise
    except ByteOrderError as error:
        raise ConversionError(
            f"{source} was written on a machine of the other byte order ({error}-endian): save its tensors as "
            ".safetensors there."
        ) from error
    # Whatever Python's unpickler, its zip reader and torch say of bytes that are other than they should be.
    except Exception as error:
        raise ConversionError(
            f"{source} is damaged or no torch checkpoint; fetch it again ({first_line(error)})."
        ) from error
    raise ConversionError(f"{source} is no checkpoint of weights: it holds other things than named tensors.")


def _weights_of(content: object) -> dict[str, StoredTensor] | None:
    """The named tensors of a checkpoint, out of a trainer's nesting; None where there are other things."""
    if isinstance(content, Mapping):
        content = next((content[name] for name in _NESTED if name in content), content)
    if not isinstance(content, Mapping):
        return None
    if not all(isinstance(key, str) and isinstance(value, StoredTensor) for key, value in content.items()):
        return None
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
