"""Real networks and real hands, for the tests in this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence


@pytest.fixture(scope="session")
def hand_bundle(real_data) -> Path:
    """MediaPipe's two networks as its Tasks read them."""
    return real_data / "weights" / "mediapipe" / "hand_landmarker.task"


@pytest.fixture(scope="session")
def loaf(real_data) -> np.ndarray:
    """Every fourth frame of a cook, face to the camera, who slices a loaf: uint8 (10, 180, 320, 3)."""
    return read_gif(real_data, "loaf")[::4]


@pytest.fixture(scope="session")
def dough(real_data) -> np.ndarray:
    """Every fourth frame of fists in dough, seen from near: uint8 (13, 180, 320, 3)."""
    return read_gif(real_data, "dough")[::4]


def read_gif(real_data: Path, word: str) -> np.ndarray:
    (path,) = (real_data / "mixkit").glob(f"*{word}*.gif")
    with Image.open(path) as clip:
        return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(clip)])
