"""Validation during training: the public pipeline on fixed scenes, and how near it comes to the truth."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from functools import cached_property
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from .data.clips import Look, read_clip
from .data.sources import Record
from .errors import ShowMeWarning
from .fingerprint import digest_of
from .generation.outputs import write_png, write_video
from .long_text import truncation_reported
from .methods.base import Pipeline
from .methods.strength import NOTHING, Strength
from .pictures.psnr import psnr
from .run_config import RunConfig
from .run_input import enriched
from .staged_files import staged
from .training.validation import Scene, Validated, add_validation

_FPS = 8.0
# What the page shows, by fingerprints.
_SCENES = "scenes.json"


class Validator:
    """Shows the pipeline the run's scenes with one task and adds a column to ``validation/index.html``.

    Args:
        config: the run's settings.
        task: what the pipeline is asked for, ``image``, ``video`` or ``region``.
        size: (height, width) of the model's pictures.

    Raises:
        InputError: no clips where the settings say.
    """

    def __init__(self, config: RunConfig, task: str, size: tuple[int, int]):
        self.config, self.task, self.size = config, task, size
        source = config.validation.source or config.data.source
        scenes = config.validation.scenes
        self.records: list[Record] = source.records(scenes) if scenes else []
        own = config.validation.source is not None
        enrichment = config.validation.enrichment if own else config.data.enrichment
        if enrichment is not None:
            self.records = enriched(self.records, enrichment)
        self.folder: Path = config.out / "validation"

    @cached_property
    def clips(self) -> list[np.ndarray]:
        """True frames (T, H, W, 3) of every scene."""
        look = Look(*self.size, self.config.data.frames, fit=self.config.data.fit)
        return [read_clip(record, look).frames for record in self.records]

    def run(self, step: int, pipeline: Pipeline, strengths: Sequence[Strength] = ()) -> dict[str, float]:
        """Generate every scene with ``pipeline`` and write the page; returns the figures.

        Args:
            step: of the training.
            pipeline: of the model as it is then.
            strengths: of its adapters, by level; none where none is trained.
        """
        self._own_folder()
        scenes = [self._scene(number) for number in range(len(self.records))]
        pipeline.set_progress_bar_config(disable=True)
        files, values = [], []
        for number, (record, clip) in enumerate(zip(self.records, self.clips, strict=True)):
            name, made = self._generate(pipeline, number, record, clip, step)
            files.append(name)
            values.append(self._figure(made, clip))
        what = "share of the picture in the region" if self.task == "region" else "gain over the first frame, dB"
        figures = {what: float(np.mean(values))}
        if strengths and max(each.moved for each in strengths) < NOTHING:
            warnings.warn(
                f"After {step} steps the adapters move the prediction by less than {NOTHING:.0e} of it at every level "
                "of noise: raise training.optimizer.learning_rate, or train longer.",
                ShowMeWarning,
                stacklevel=2,
            )
        moved = [(each.log_snr, each.moved) for each in strengths]
        add_validation(self.folder, self.config.title, scenes, Validated(step, files, figures, moved))
        return figures

    def _figure(self, made: np.ndarray, clip: np.ndarray) -> float:
        if self.task == "region":
            return float(made.mean()) / 255
        return psnr(made, clip[-1]) - psnr(clip[0], clip[-1])

    def _own_folder(self) -> None:
        """Make the folder; one that shows other scenes steps aside: pictures of two do not belong in one row."""
        path = self.folder / _SCENES
        scenes = [digest_of([each.id, each.instruction, each.media.identity(each.span)]) for each in self.records]
        if path.exists() and json.loads(path.read_text()) != scenes:
            aside = next(name for n in count(1) if not (name := self.folder.with_name(f"validation-{n}")).exists())
            self.folder.rename(aside)
            warnings.warn(
                f"{self.folder} is of other scenes than before: what it showed of those is now in {aside}.",
                ShowMeWarning,
                stacklevel=2,
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        with staged(path) as neighbour:
            neighbour.write_text(json.dumps(scenes))

    def _scene(self, number: int) -> Scene:
        first, truth = f"scene{number}-first.png", f"scene{number}-truth." + ("mp4" if self.task == "video" else "png")
        if not (self.folder / truth).exists():
            clip = [Image.fromarray(frame) for frame in self.clips[number]]
            write_png(clip[0], self.folder / first)
            if self.task == "video":
                write_video(clip, self.folder / truth, _FPS)
            else:
                write_png(clip[-1], self.folder / truth)
        return Scene(self.records[number].instruction, first, truth)

    def _generate(
        self, pipeline: Pipeline, number: int, record: Record, clip: np.ndarray, step: int
    ) -> tuple[str, np.ndarray]:
        """The file that was written, and the end or the region that the model predicts."""
        stem = f"scene{number}-step{step:07d}"
        # The beginning of the run warns of instructions that are cut; every validation would warn again.
        with truncation_reported():
            output = pipeline(
                Image.fromarray(clip[0]),
                record.instruction,
                self.task,
                num_frames=len(clip),
                num_inference_steps=self.config.validation.steps,
                seed=number,
            )
        if self.task == "video":
            write_video(output.frames, self.folder / f"{stem}.mp4", _FPS)
            return f"{stem}.mp4", np.asarray(output.frames[-1])
        picture = getattr(output, self.task)
        write_png(picture, self.folder / f"{stem}.png")
        return f"{stem}.png", np.asarray(picture)
