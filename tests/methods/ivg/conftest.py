"""Clips of blobs in a hand, and settings of short runs of IVG's stages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from showme.config import OptimizerConfig
from showme.methods.ivg.config import IVGConfig
from showme.methods.recipes import parse_recipe

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


@pytest.fixture
def settings(tiny_bundle, clips, tmp_path):
    """settings(stage, **changes) -> IVGConfig of a short run into tmp_path / stage."""

    def make(stage: str, training=None, **changes) -> IVGConfig:
        trainer = {"steps": 3, "batch_size": 2, "precision": "fp32", "tensorboard": False} | (training or {})
        trainer.setdefault("optimizer", OptimizerConfig(learning_rate=0.01).model_dump())
        tree = {
            "method": "ivg", "stage": stage, "model": str(tiny_bundle), "out": str(tmp_path / stage),
            "validation": {"scenes": 0}, "adapter": {"rank": 2}, "estimators": {"hands": "rendered"},
            "data": {"source": str(clips), "cache": str(tmp_path / "cache"), "frames": 4}, "training": trainer,
        }  # fmt: skip
        return parse_recipe(tree | changes, [], "test.yaml")

    return make
