"""What a reward did where it acts: its own term on clips that nothing was trained on, at the timesteps it is let in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import default_collate

from showme.experiment import open_run
from showme.methods.dropout import DropoutConfig
from showme.methods.showme.config import RewardConfig, ShowMeConfig
from showme.run_config import DataConfig
from showme.worlds.render import render_dataset

from .rows import ROWS, StudySettings, model_of, row_config

_BATCH = 16
# t = 1000 u^p: with these, four samples of five lie at t <= 200, or at t >= 700.
_POWERS = {"image": 7.0, "video": 0.25}
# Terms in thousandths, as the table's errors are.
_REWARDS = {
    "image": RewardConfig(edge="sobel", depth="tabletop", edge_weight=1000, depth_weight=1000),
    "video": RewardConfig(motion="dis", motion_weight=1000),
}
# (row with a reward, its control, the reward's term)
PAIRS = (
    ("image-edge", "image", "edge"),
    ("image-depth", "image", "depth"),
    ("image-both", "image", "edge"),
    ("image-both", "image", "depth"),
    ("video-motion", "video", "motion"),
)


def held_out_terms(key: str, seed: int, folder: Path, settings: StudySettings) -> dict[str, np.ndarray]:
    """A row's terms, a value per batch of 16 samples; the same clips, noise and timesteps for every row.

    Returns:
        ``noise``, and ``edge`` and ``depth``, or ``motion``, in thousandths.
    """
    path = folder / f"seed{seed}" / "scores" / f"{key}-held-out.json"
    if not path.exists():
        terms = _terms(_config(key, seed, folder, settings))
        path.write_text(json.dumps(terms))
    return {name: np.array(values) for name, values in json.loads(path.read_text()).items()}


def _config(key: str, seed: int, folder: Path, settings: StudySettings) -> ShowMeConfig:
    """The row's own settings, on the held-out clips and with every reward of its stage."""
    row = next(row for row in ROWS if row.key == key)
    config = row_config(row, seed, folder, settings)
    clips = folder / "held-out"
    data = DataConfig(source=clips, cache=folder / "cache", clips=settings.scenes, frames=settings.frames)
    changes = {
        "model": str(model_of(key, seed, folder)),
        "data": data,
        "rewards": _REWARDS[row.task],
        "dropout": DropoutConfig(text=0, image=0, both=0),
        "timestep_power": _POWERS[row.task],
        "training": config.training.model_copy(update={"seed": 5000 + seed}),
    }
    render_dataset(clips, settings.scenes, "validation", labels=False)
    return config.model_copy(update=changes)


@torch.no_grad()
def _terms(config: ShowMeConfig) -> dict[str, list[float]]:
    """Means of each batch over two passes through the clips."""
    run = open_run(config, device="cpu")
    clips = run.clips()
    run.stage.prepare()
    objective, samples = run.stage.objective().eval(), run.stage.samples(clips)
    terms: dict[str, list[float]] = {}
    for start in range(0, 2 * len(run.rows), _BATCH):
        batch = default_collate([samples[position] for position in range(start, start + _BATCH)])
        for name, value in objective(batch).items():
            terms.setdefault(name, []).append(float(value))
    return terms
