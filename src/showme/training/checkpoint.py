"""Checkpoints of a training stage: safetensors and JSON, written whole or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn, optim


def save_checkpoint(folder: Path, modules: dict[str, nn.Module], optimizer: optim.Optimizer, state: dict) -> None:
    """Replace ``folder`` with the trainable weights, the optimiser's moments and ``state`` (JSON).

    Frozen parameters are not written: they come from the stage before.
    """
    staged = folder.with_name(folder.name + ".partial")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    weights = {f"{name}.{key}": p.detach() for name, m in modules.items() for key, p in _trainable(m).items()}
    save_file({k: v.contiguous() for k, v in weights.items()}, staged / "weights.safetensors")
    moments: dict[str, Tensor] = {}
    for index, slot in optimizer.state_dict()["state"].items():
        moments |= {f"{index}.{key}": value.contiguous() for key, value in slot.items()}
    save_file(moments, staged / "optimizer.safetensors")
    (staged / "state.json").write_text(json.dumps(state, indent=1))
    if folder.exists():
        shutil.rmtree(folder)
    staged.replace(folder)


def load_checkpoint(folder: Path, modules: dict[str, nn.Module], optimizer: optim.Optimizer | None = None) -> dict:
    """Load what :func:`save_checkpoint` wrote into ``modules`` and ``optimizer``; returns its ``state``.

    Raises:
        KeyError: the checkpoint holds a weight that the modules do not have, or lacks one.
    """
    weights = load_file(folder / "weights.safetensors")
    for name, module in modules.items():
        for key, parameter in _trainable(module).items():
            parameter.data.copy_(weights.pop(f"{name}.{key}"))
    if weights:
        raise KeyError(f"{folder}: no place for {', '.join(sorted(weights)[:3])}")
    if optimizer is not None:
        layout = optimizer.state_dict()
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in load_file(folder / "optimizer.safetensors").items():
            index, name = key.split(".", 1)
            slots.setdefault(int(index), {})[name] = value
        layout["state"] = slots
        optimizer.load_state_dict(layout)
    return json.loads((folder / "state.json").read_text())


def _trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    return {key: p for key, p in module.named_parameters() if p.requires_grad}
