"""What validation scenes say of a model while it is trained: the curve of its quality over time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from showme.methods.showme import ShowMePipeline
from showme.worlds.render import load_clip
from showme.worlds.tabletop import Clip

from .frames import VALIDATION
from .judge import figures_of

CURVE = "curve.jsonl"


class Gauge:
    """Called with a step: writes the figures of that step as a line of ``folder``/<stage>/curve.jsonl.

    Args:
        pipeline: whose networks are being trained.
        folder: of the run, with validation clips and their labels.
        stage: whose pictures are looked at; of later ones than spatial also the videos, of a quarter of the scenes,
            which end with the picture.
        count: scenes.
    """

    def __init__(self, pipeline: ShowMePipeline, folder: Path, stage: str, count: int):
        self.pipeline, self.curve, self.videos = pipeline, folder / stage / CURVE, stage != "spatial"
        clips = folder / VALIDATION
        rows = [json.loads(line) for line in (clips / "index.jsonl").read_text().splitlines()][:count]
        self.clips: Sequence[Clip] = [load_clip(clips / row["file"]) for row in rows]
        pipeline.set_progress_bar_config(disable=True)

    def __call__(self, step: int) -> None:
        figures = {"step": step, **self.measure()}
        self.curve.parent.mkdir(parents=True, exist_ok=True)
        with self.curve.open("a") as file:
            file.write(json.dumps(figures) + "\n")

    @torch.no_grad()
    def measure(self, **settings) -> dict[str, float]:
        """Means over the scenes of a picture's gain over the first frame (dB), whether the object is near and was the
        one that moved, and the background's PSNR; of videos the same, of the last frame."""
        videos = len(self.clips) // 4 if self.videos else 0
        rows = [self._score(clip, seed, seed < videos, settings) for seed, clip in enumerate(self.clips)]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: round(float(np.mean([row[name] for row in rows if name in row])), 3) for name in names}

    def _score(self, clip: Clip, seed: int, video: bool, settings: dict) -> dict[str, float]:
        task = "both" if video else "image"
        photo = Image.fromarray(clip.frames[0])
        output = self.pipeline(photo, clip.instruction, task, goal=video, seed=seed, **settings)
        figures = figures_of(np.asarray(output.image), clip)
        if video:
            figures |= {
                f"video {name}": value for name, value in figures_of(np.asarray(output.frames[-1]), clip).items()
            }
        return figures
