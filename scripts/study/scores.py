"""What is measured: scenes scored once and kept, and the cost of every row."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors import safe_open

from embedded.judge import Judge, SceneScore, score_split
from showme.pipelines import load_bundle
from showme.training import CHECKPOINTS
from showme.training.checkpoint import newest_checkpoint
from showme.training.log import LOG

# Figure's name -> how it is read off a scene's score, and which way is better.
FIGURES: dict[str, tuple[Callable[[SceneScore, str], float | None], int]] = {
    "gain (dB)": (lambda s, task: s.gain[task], 1),
    "fall by a wrong instruction (dB)": (lambda s, task: s.gain[task] - s.wrong_gain[task], 1),
    "object within 8 px (%)": (lambda s, task: 100.0 * s.near[task], 1),
    "edge error": (lambda s, task: s.edge[task], -1),
    "depth error": (lambda s, task: s.depth[task], -1),
    "motion KL": (lambda s, task: s.motion, -1),
}


def score_model(
    model: Path, task: str, path: Path, scenes: int, frames: int, seed: int, progress: Callable
) -> list[SceneScore]:
    """Score ``model`` on test scenes by one task; what ``path`` holds already is not made again."""
    done = [SceneScore(**row) for row in json.loads(path.read_text())] if path.exists() else []
    if len(done) == scenes:
        return done
    bundle = load_bundle(model)
    bundle.pipeline.set_progress_bar_config(disable=True)
    judge = Judge(bundle.pipeline, (task,), num_frames=frames)
    scores = score_split(judge, "test", scenes, progress, seed=1000 * seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".partial")
    staged.write_text(json.dumps([asdict(score) for score in scores]))
    staged.replace(path)
    return scores


def figures_of(scores: list[SceneScore], task: str) -> dict[str, np.ndarray]:
    """Figure -> its values over the scenes; figures that the task has not are left out."""
    columns = {}
    for name, (read, _) in FIGURES.items():
        values = [read(score, task) for score in scores]
        if None not in values:
            columns[name] = np.array(values, dtype=float)
    return columns


def trainable_parameters(run: Path) -> int:
    """Numbers that a run trained, counted in its checkpoint."""
    newest = newest_checkpoint(run / CHECKPOINTS)
    if newest is None:
        raise FileNotFoundError(f"{run} has no checkpoint")
    with safe_open(newest / "weights.safetensors", "pt") as file:
        return sum(int(np.prod(file.get_slice(name).get_shape())) for name in file.keys())  # noqa: SIM118


def seconds_per_step(run: Path) -> float:
    """Median over a run's steps."""
    clock = [json.loads(line)["seconds"] for line in (run / LOG).read_text().splitlines()]
    return float(np.median(np.diff(clock)))
