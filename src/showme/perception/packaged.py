"""Files of the small networks that scripts/ trains: fp16 weights, with the network's settings in the header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import InputError, absent
from ..staged_files import staged


class Configured(Protocol):
    """A module whose ``config`` are the arguments that make it anew."""

    config: dict

    def state_dict(self) -> dict[str, Tensor]: ...
    def load_state_dict(self, state: dict[str, Tensor], *, assign: bool = False): ...
    def requires_grad_(self, needed: bool = True): ...
    def eval(self): ...


Network = TypeVar("Network", bound=Configured)


def read_packaged(
    make: type[Network], path: str | Path, what: str, script: str, **expected: object
) -> tuple[Network, dict[str, str]]:
    """A network in fp32, frozen, and the notes of its file.

    Args:
        make: its class.
        path: of a file that :func:`write_packaged` wrote.
        what: the network's name, for messages.
        script: the one of scripts/ that makes such files, for messages.
        expected: what the notes must say, as JSON.

    Raises:
        InputError: no such file, or not of this network.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{absent(path, f'{what} file')}: make it with scripts/{script}.")
    try:
        with safe_open(path, "pt") as file:
            notes = file.metadata() or {}
            if any(json.loads(notes[name]) != value for name, value in expected.items()):
                raise ValueError("made for something else")
            # Without memory of its own: settings that do not belong to the weights cost none.
            with torch.device("meta"):
                network = make(**json.loads(notes["config"]))
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (not a dict)
            network.load_state_dict(weights, assign=True)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} does not hold {what} weights: make it with scripts/{script}.") from error
    network.requires_grad_(False).eval()
    return network, notes


def write_packaged(network: Configured, path: str | Path, **notes: str) -> None:
    """Write fp16 weights, with the settings and the ``notes`` in the header."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.detach().cpu().half().contiguous() for name, weight in network.state_dict().items()}
    with staged(path) as draft:
        save_file(weights, draft, {"config": json.dumps(network.config), **notes})
