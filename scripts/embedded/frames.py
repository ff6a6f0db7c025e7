"""Stage "render": pairs for the pictures, clips for the videos, and labelled validation clips to judge by."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from showme.worlds.render import render_dataset

from .pairs import render_pairs
from .settings import Settings

TRAINING = Path("clips") / "train"
VALIDATION = Path("clips") / "validation"


def render_all(folder: Path, settings: Settings) -> None:
    """Render under ``folder``; what exists already is kept."""
    render_pairs(folder, settings)
    render_dataset(folder / TRAINING, settings.clips, "train", labels=False)
    render_dataset(folder / VALIDATION, settings.validation_clips, "validation")


def to_unit(frames: Tensor) -> Tensor:
    """uint8 -> float in [-1, 1]."""
    return frames.float() / 127.5 - 1
