"""Checkpoints of a training stage: safetensors and JSON, written whole or not at all, believed only when they verify.

::

    stage/step-00000120/weights.safetensors    trainable weights, named module.parameter
                        optimizer.safetensors  moments, named index.moment
                        ema.safetensors        averaged weights, named as the weights, where they are kept
                        state.json             step, seconds, samples
                        manifest.json          size and SHA-256 of the others, written last

A checkpoint is staged beside its place, forced to the disk, and moved there in one step, so that a run killed at any
instant leaves the one before it or the whole new one. Random numbers and the sampler's position need no place in it:
both are functions of the seed and the step (:mod:`showme.data.stream`). Shards are gathered before they are written,
so that a run of many processes can be resumed by one.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn, optim
from torch.distributed.tensor import DTensor, distribute_tensor

from ..errors import InputError, ShowMeWarning
from ..manifest import verify_manifest, write_manifest
from .distributed import fill, whole

_PARTIAL = ".partial"
_ANEW = "it is of another model or an earlier version of showme: train into a new folder, or go on with that version"


def save_checkpoint(
    folder: Path,
    modules: Mapping[str, nn.Module],
    optimizer: optim.Optimizer,
    state: dict,
    keep: int = 2,
    averages: Mapping[str, Tensor] | None = None,
    writes: bool = True,
) -> Path:
    """Add a checkpoint to ``folder``: trainable weights, the optimiser's moments and ``state``.

    Frozen parameters are not written: they come from the stage before. Every process of a run must call this.

    Args:
        folder: the stage's.
        modules: by the names that the weights get.
        optimizer: whose moments are kept.
        state: JSON; its ``step`` names the checkpoint.
        keep: how many of the newest stay.
        averages: averaged weights, named as the weights.
        writes: whether this process is the one that writes.

    Returns:
        The checkpoint's own folder.
    """
    files = {"weights": {key: whole(p.detach()) for key, p in named_trainable(modules).items()}}
    files["optimizer"] = {
        f"{index}.{key}": whole(value)
        for index, slot in optimizer.state_dict()["state"].items()
        for key, value in slot.items()
    }
    if averages is not None:
        files["ema"] = {key: whole(value) for key, value in averages.items()}
    place = folder / f"step-{state['step']:08d}"
    if writes:
        _write(place, files, state, keep)
    return place


def _write(place: Path, files: dict[str, dict[str, Tensor]], state: dict, keep: int) -> None:
    folder = place.parent
    staged = place.with_name(place.name + _PARTIAL)
    for leftover in folder.glob(f"*{_PARTIAL}"):
        shutil.rmtree(leftover)
    staged.mkdir(parents=True)
    for name, tensors in files.items():
        save_file({key: value.contiguous() for key, value in tensors.items()}, staged / f"{name}.safetensors")
    (staged / "state.json").write_text(json.dumps(state, indent=1))
    write_manifest(staged)
    for path in [*staged.iterdir(), staged]:
        _to_disk(path)
    if place.exists():
        shutil.rmtree(place)
    staged.replace(place)
    _to_disk(folder)
    for old in _checkpoints(folder)[:-keep]:
        shutil.rmtree(old)


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a stage that verifies; None when it has none at all.

    Damaged ones are passed over with a warning that names the file.

    Raises:
        InputError: there are checkpoints, and every one is damaged.
    """
    found = _checkpoints(folder)
    for path in reversed(found):
        try:
            verify_manifest(path)
        except InputError as error:
            warnings.warn(f"{path} is passed over: {error}", ShowMeWarning, stacklevel=2)
        else:
            return path
    if found:
        raise InputError(f"Every checkpoint in {folder} is damaged: delete the folder to train this stage anew.")
    return None


def load_checkpoint(
    folder: Path,
    modules: Mapping[str, nn.Module],
    optimizer: optim.Optimizer | None = None,
    averages: Mapping[str, Tensor] | None = None,
) -> dict:
    """Load the newest checkpoint of a stage into ``modules``, ``optimizer`` and ``averages``; returns its ``state``.

    Raises:
        InputError: there is none that verifies, or it holds weights of other names than the modules'.
    """
    path = newest_checkpoint(folder)
    if path is None:
        raise InputError(f"There is no checkpoint in {folder}: train that stage first.")
    _fill_all(named_trainable(modules), path / "weights.safetensors")
    if averages is not None:
        _fill_all(averages, path / "ema.safetensors")
    if optimizer is not None:
        optimizer.load_state_dict({**optimizer.state_dict(), "state": _read_moments(path, optimizer)})
    return read_state(path)


def load_weights(path: Path, modules: Mapping[str, nn.Module]) -> None:
    """Load one checkpoint's weights, the averaged ones where it keeps them: those that are to be used.

    Raises:
        InputError: it holds weights of other names than the modules'.
    """
    averaged = path / "ema.safetensors"
    _fill_all(named_trainable(modules), averaged if averaged.exists() else path / "weights.safetensors")


def _fill_all(parameters: Mapping[str, Tensor], path: Path) -> None:
    values = load_file(path)
    if values.keys() != parameters.keys():
        raise InputError(f"{path} {_difference(set(values), set(parameters))}: {_ANEW}.")
    for key, parameter in parameters.items():
        fill(parameter, values[key])


def _difference(found: set[str], expected: set[str]) -> str:
    """How a checkpoint's names differ from those of what is trained."""
    kinds = (("lacks", expected - found), ("has no place for", found - expected))
    return " and ".join(f"{verb} {min(names)} ({len(names)} in all)" for verb, names in kinds if names)


def _read_moments(path: Path, optimizer: optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in load_file(path / "optimizer.safetensors").items():
        index, name = key.split(".", 1)
        parameter = parameters[int(index)]
        if isinstance(parameter, DTensor) and value.shape == parameter.shape:
            value = distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
        slots.setdefault(int(index), {})[name] = value
    return slots


def read_state(checkpoint: Path) -> dict:
    """The ``state`` that a checkpoint was saved with."""
    path = checkpoint / "state.json"
    state = json.loads(path.read_text())
    if not isinstance(state, dict) or "step" not in state:
        raise InputError(f"{path} does not say how far the run was: {_ANEW}.")
    return state


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.suffix != _PARTIAL)


def named_trainable(modules: Mapping[str, nn.Module]) -> dict[str, nn.Parameter]:
    """Trainable parameters of several modules, named module.parameter."""
    return {
        f"{name}.{key}": p
        for name, module in modules.items()
        for key, p in module.named_parameters()
        if p.requires_grad
    }


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
