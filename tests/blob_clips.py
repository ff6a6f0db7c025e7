"""Clips of blobs in a hand, for short runs of any method."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

CLIPS = 5


def _clip(folder: Path, number: int, joints: bool) -> None:
    """A blob that moves to the right, and a hand around it."""
    row, column = np.random.default_rng(number).integers(6, 18, 2)
    frames = np.full((7, 32, 32, 3), 90, np.uint8)
    corners = np.zeros((7, 1, 21, 2), np.float32)
    for time, frame in enumerate(frames):
        frame[row : row + 8, column + time : column + time + 8] = 200
        angles = np.linspace(0, 2 * np.pi, 21)
        corners[time, 0] = np.stack([column + time + 4 + 4 * np.cos(angles), row + 4 + 4 * np.sin(angles)], 1)
    arrays = {"frames": frames} | ({"joints": corners} if joints else {})
    save_file(arrays, folder / f"{number}.safetensors")


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for number in range(CLIPS):
        _clip(folder, number, joints=True)
    lines = [
        json.dumps({"id": str(n), "file": f"{n}.safetensors", "instruction": "push the red box"}) for n in range(CLIPS)
    ]
    (folder / "index.jsonl").write_text("\n".join(lines) + "\n")
    return folder
