"""A tiny study: a random model, two recipes, moving squares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import save_file

FRAMES, SIZE, CLIPS = 4, 32, 4
METRICS = "metrics=[psnr,ssim]"
PROTOCOL = [f"frames={FRAMES}", f"height={SIZE}", f"width={SIZE}", METRICS, "bootstrap=100"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks this small gain nothing from a second thread, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_clips(folder: Path, level: int = 200, count: int = CLIPS, words=("red", "blue")) -> Path:
    """A folder of squares that move to the right, with a list; the instructions take turns."""
    folder.mkdir(parents=True)
    lines = []
    for number in range(count):
        frames = np.full((FRAMES, SIZE, SIZE, 3), 60, np.uint8)
        for time, frame in enumerate(frames):
            frame[8:16, 2 + number + 2 * time : 10 + number + 2 * time] = (level, 120, 40)
        save_file({"frames": frames}, folder / f"{number}.safetensors")
        words_of = f"push the {words[number % len(words)]} box"
        lines.append(json.dumps({"id": str(number), "file": f"{number}.safetensors", "instruction": words_of}))
    (folder / "index.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """Clips to train on, and to be judged by."""
    return write_clips(tmp_path_factory.mktemp("study") / "clips")


@pytest.fixture
def study_file(tmp_path, clips, tiny_bundle):
    """study_file(**changes) -> path of a study of two rows and two seeds, with its recipes beside it."""

    def make(**changes) -> Path:
        folder = tmp_path / "study"
        folder.mkdir(exist_ok=True)
        for stage in ("state_image", "state_video"):
            recipe = {
                "stage": stage, "model": str(tiny_bundle), "out": "unused", "validation": {"scenes": 0},
                "adapter": {"rank": 2, "projector_rank": 2},
                "data": {"source": str(clips), "cache": str(tmp_path / "cache"), "frames": FRAMES},
                "training": {"steps": 1, "batch_size": 2, "precision": "fp32", "tensorboard": False},
            }  # fmt: skip
            (folder / f"{stage}.yaml").write_text(yaml.safe_dump(recipe))
        tree = {
            "seeds": [0, 100],
            "reference": str(clips),
            "protocol_fields": PROTOCOL,
            "codec": str(tiny_bundle),
            "rows": [
                {"name": "plain", "model": str(tiny_bundle)},
                {"name": "tuned", "trainings": [{"recipe": "state_image.yaml"}, {"recipe": "state_video.yaml"}]},
            ],
        }
        path = folder / "study.yaml"
        path.write_text(yaml.safe_dump(tree | changes))
        return path

    return make
