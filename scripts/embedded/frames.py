"""Stage "render": the tabletop world's clips, and their kept frames packed into one file that training reads."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from rich.progress import track
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from showme.data.sampling import evenly_spaced
from showme.worlds.render import render_dataset

from .settings import Settings

SOURCE_FRAMES = 16


def render_and_pack(folder: Path, settings: Settings) -> None:
    """Render both splits under ``folder``/clips and pack them; what exists already is kept."""
    for split, count in (("train", settings.clips), ("validation", settings.validation_clips)):
        packed = folder / f"{split}.safetensors"
        if packed.exists():
            continue
        index = render_dataset(folder / "clips" / split, count, split, labels=False)
        pack(index, packed, settings)


def pack(index: Path, packed: Path, settings: Settings) -> None:
    """Copy the kept frames of the clips that ``index`` lists into the file ``packed``."""
    rows = [json.loads(line) for line in index.read_text().splitlines()]
    keep = evenly_spaced(SOURCE_FRAMES, settings.frames)
    frames = torch.empty(len(rows), settings.frames, 3, settings.size, settings.size, dtype=torch.uint8)
    for number, row in enumerate(track(rows, description=f"packing {packed.stem}")):
        with safe_open(index.parent / row["file"], "np") as file:
            frames[number] = torch.from_numpy(file.get_tensor("frames")[keep]).permute(0, 3, 1, 2)
    staged = packed.with_suffix(".partial")
    save_file({"frames": frames}, staged, {"instructions": json.dumps([row["instruction"] for row in rows])})
    staged.replace(packed)


def load_frames(folder: Path, split: str) -> tuple[Tensor, list[str]]:
    """Packed frames uint8 (N, T, 3, H, W), memory-mapped, and the N instructions."""
    with safe_open(folder / f"{split}.safetensors", "pt") as file:
        return file.get_tensor("frames"), json.loads(file.metadata()["instructions"])


def to_unit(frames: Tensor) -> Tensor:
    """uint8 -> float in [-1, 1]."""
    return frames.float() / 127.5 - 1
