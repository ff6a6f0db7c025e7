"""The folder of one run: its settings are kept there, and no other run may go on in it."""

from __future__ import annotations

import os
from pathlib import Path

from .bundle import refuse_foreign
from .config import Settings, dump_config, load_config, read_yaml
from .errors import InputError
from .run_config import RunConfig

CONFIG = "config.yaml"
MODEL = "model"
# What may differ between the beginning of a run and its resumption.
_MAY_CHANGE = {"steps", "minutes", "workers", "checkpoint_seconds", "checkpoint_steps", "keep_checkpoints",
               "validate_steps", "tensorboard", "accumulation", "gradient_checkpointing", "validation"}  # fmt: skip


def check_folder(folder: Path, settings: RunConfig) -> None:
    """Refuse to mix two runs in one folder.

    Raises:
        InputError: the folder is a file, holds other things, or a run with other settings.
    """
    path = folder / CONFIG
    for place in (folder, *folder.parents):
        if place.is_file():
            raise InputError(f"{place} is a file: choose another folder for the run (out).")
    refuse_foreign(folder / MODEL)
    if not path.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise InputError(f"{folder} holds other files: choose an empty folder for the run (out).")
        return
    if read_yaml(path).get("method", settings.method) != settings.method:
        raise InputError(f"{folder} was begun with another method: choose another folder (out), or what {path} says.")
    before = load_config(path, type(settings))
    differs = _difference(before.model_dump(exclude={"out"}), settings.model_dump(exclude={"out"}))
    if differs:
        raise InputError(
            f"{folder} was begun with another {differs}: choose another folder (out), or what {path} says."
        )


def begin_folder(folder: Path, settings: Settings) -> None:
    """Make the folder and keep the settings there; of several processes the first does."""
    if os.environ.get("RANK", "0") == "0":
        folder.mkdir(parents=True, exist_ok=True)
        dump_config(settings, folder / CONFIG)


def _difference(before: dict, now: dict, place: str = "") -> str | None:
    """Name of the first field that differs and may not."""
    for name, value in now.items():
        if name in _MAY_CHANGE:
            continue
        other = before.get(name)
        if isinstance(value, dict) and isinstance(other, dict):
            below = _difference(other, value, f"{place}{name}.")
            if below:
                return below
        elif value != other:
            return f"{place}{name}"
    return None
