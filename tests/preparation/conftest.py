"""Small clips of moving squares, as rendered ones are kept, with the joints of a made-up hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

FRAMES, SIZE = 6, 32
SPEEDS = (0, 1, 2, 3)


def write_squares(folder: Path, count: int) -> Path:
    """``count`` clips; square n moves by n % 4 pixels a frame, and a hand of 21 joints moves with it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(count):
        frames = np.full((FRAMES, SIZE, SIZE, 3), 60, np.uint8)
        joints = np.zeros((FRAMES, 1, 21, 2), np.float32)
        for time, frame in enumerate(frames):
            left = 2 + number % 5 + time * SPEEDS[number % 4]
            frame[8:16, left : left + 8] = (200, 120, 40)
            # Files count from the corner of the picture, not from the middle of its first pixel.
            joints[time, 0] = 0.5 + np.array(
                [(left + 8 * (joint % 7) / 6, 8 + 4 * (joint // 7)) for joint in range(21)]
            )
        save_file({"frames": frames, "joints": joints}, folder / f"{number}.safetensors")
        lines.append(
            {"id": str(number), "file": f"{number}.safetensors", "instruction": "push the red box to the left"}
        )
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def squares(tmp_path_factory) -> Path:
    """Eight clips."""
    return write_squares(tmp_path_factory.mktemp("squares") / "clips", 8)
