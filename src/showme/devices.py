"""The device that a model runs on."""

from __future__ import annotations

import torch

from .errors import InputError


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device asked for, or a GPU when there is one.

    Raises:
        InputError: a device that this machine does not have.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(device)
    present = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }.get(device.type, 0)
    if (device.index or 0) >= present:
        raise InputError(f"This machine has no device {str(device)!r}: `showme doctor` lists what it has.")
    return device
