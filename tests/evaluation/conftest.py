"""Small clips as people keep them: true ones with a list, generated ones beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

FRAMES, SIZE = 6, 32


def moving_square(speed: int, frames: int = FRAMES, size: int = SIZE, level: int = 200) -> np.ndarray:
    """uint8 (T, size, size, 3): a square that moves to the right."""
    clip = np.full((frames, size, size, 3), 60, np.uint8)
    for time, frame in enumerate(clip):
        left = 2 + time * speed
        frame[8:16, left : left + 8] = (level, 120, 40)
    return clip


def write_set(folder: Path, clips: dict[str, np.ndarray], index: bool = False) -> Path:
    """Clips as safetensors, ``<id>.safetensors``; with a list where they are true ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frames in clips.items():
        save_file({"frames": frames}, folder / f"{name}.safetensors")
    if index:
        rows = [{"id": name, "file": f"{name}.safetensors", "instruction": "push the red box"} for name in clips]
        (folder / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> tuple[Path, Path]:
    """Generated and true clips, six of each; generated squares are a little darker and one pixel a frame slower."""
    root = tmp_path_factory.mktemp("sets")
    true = {f"clip {n}": moving_square(n % 3 + 1, level=150 + 10 * n) for n in range(6)}
    made = {f"clip {n}": moving_square(n % 3, level=145 + 10 * n) for n in range(6)}
    return write_set(root / "made", made), write_set(root / "true", true, index=True)
