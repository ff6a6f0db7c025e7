"""What is trained: every row of the table as a chain of runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from showme.config import OptimizerConfig, Settings, TrainingConfig
from showme.methods.dropout import DropoutConfig
from showme.methods.showme.config import AdapterConfig, ShowMeConfig
from showme.run_config import DataConfig, ValidationConfig

BASE = "base"


class StudySettings(Settings):
    """Sizes of the study; steps and batches are equal for all rows of a task."""

    clips: int = Field(4000, description="training clips")
    frames: int = Field(8, description="frames of a video, evenly spaced over a clip")
    scenes: int = Field(128, description="test scenes")
    seeds: int = Field(3, description="of training and sampling")
    image_batch: int = Field(48, description="clips per step of state_image")
    video_batch: int = Field(8, description="clips per step of state_video")
    image_steps: int = Field(100, description="of stage 1")
    image_tuning: int = Field(60, description="steps after stage 1, with a reward or without any")
    video_steps: int = Field(60, description="of stage 2")
    video_tuning: int = Field(40, description="steps after stage 2, with a reward or without any")
    rank: int = Field(32, description="of every adapter")


@dataclass(frozen=True)
class Row:
    """One model of the study.

    key: of its folder. title: in the table; None: a way station that the table leaves out. task: what it is asked for.
    after: the row that it starts from. stage: state_image or state_video. tuning: whether it is the second half, at
    which conditions are kept and timesteps uniform, as in the paper's reward tuning. changes: further settings.
    """

    key: str
    title: str | None
    task: str
    after: str
    stage: str
    tuning: bool = False
    changes: dict[str, Any] = field(default_factory=dict)


def _second(key: str, title: str, after: str, stage: str, **changes: Any) -> Row:
    return Row(key, title, "image" if stage == "state_image" else "video", after, stage, True, changes)


IMAGE, VIDEO = "state_image", "state_video"
FULL = {"tuning": "full"}
# What the released code does at T = 1; the paper draws the whole temporal half off.
CONVOLUTIONS = {"image_temporal_convolutions": True}
# Sobel edges and 64-pixel depth give terms of 1e-4 and 1e-5 beside a noise loss of 0.3: at the paper's weight of 1
# their gradients are 1,000 to 5,000 times smaller than its; that of the motion term is 50 times smaller. These weights
# bring edge and motion to about a fifth of it, depth to between a fifth and four fifths.
EDGE = {"edge": "sobel", "edge_weight": 1000.0}
DEPTH = {"depth": "tabletop", "depth_weight": 1000.0}
MOTION = {"motion": "dis", "motion_weight": 10.0}
ROWS = (
    Row("image-first", None, "image", BASE, IMAGE),
    _second("image", "stage 1", "image-first", IMAGE),
    _second("image-edge", "stage 1 + edge", "image-first", IMAGE, rewards=EDGE),
    _second("image-depth", "stage 1 + depth", "image-first", IMAGE, rewards=DEPTH),
    _second("image-both", "stage 1 + edge + depth", "image-first", IMAGE, rewards=EDGE | DEPTH),
    Row("conv-first", None, "image", BASE, IMAGE, changes=CONVOLUTIONS),
    _second("conv", "stage 1, temporal convolutions running", "conv-first", IMAGE, **CONVOLUTIONS),
    Row("alone-first", None, "video", BASE, VIDEO),
    _second("alone", "stage 2 without stage 1", "alone-first", VIDEO),
    Row("video-first", None, "video", "image", VIDEO),
    _second("video", "stage 2 after stage 1", "video-first", VIDEO),
    _second("video-motion", "stage 2 after stage 1 + motion", "video-first", VIDEO, rewards=MOTION),
    Row("full-first", None, "video", BASE, VIDEO, changes=FULL),
    _second("full", "everything fine-tuned", "full-first", VIDEO, **FULL),
)


def row_config(row: Row, seed: int, folder: Path, settings: StudySettings) -> ShowMeConfig:
    """Settings of the run that makes ``row``; its model ends up in ``folder``/seed<n>/<key>/model."""
    image = row.stage == IMAGE
    if row.tuning:
        steps = settings.image_tuning if image else settings.video_tuning
        more = {"dropout": DropoutConfig(text=0, image=0, both=0), "timestep_power": 1.0}
    else:
        steps = settings.image_steps if image else settings.video_steps
        more = {"timestep_power": 0.5}
    optimizer = OptimizerConfig(
        name="muon",
        learning_rate=1e-3,
        # Whole weights move by less than adapters on top of them.
        muon_rate=0.003 if "tuning" in row.changes else 0.002,
        betas=(0.9, 0.99),
        clip_norm=1.0,
    )
    training = TrainingConfig(
        steps=steps,
        batch_size=settings.image_batch if image else settings.video_batch,
        optimizer=optimizer,
        warmup=10,
        schedule="linear" if row.tuning else "constant",
        seed=seed + (1000 if row.tuning else 0),
        tensorboard=False,
        keep_checkpoints=1,
    )
    return ShowMeConfig(
        stage=row.stage,
        model=str(model_of(row.after, seed, folder)),
        out=model_of(row.key, seed, folder).parent,
        data=DataConfig(source=folder / "clips", cache=folder / "cache", clips=settings.clips, frames=settings.frames),
        adapter=AdapterConfig(rank=settings.rank, projector_rank=settings.rank, dropout=0.0),
        validation=ValidationConfig(scenes=0),
        training=training,
        **(more | row.changes),
    )


def model_of(key: str, seed: int, folder: Path) -> Path:
    """Where the model of a row lies."""
    return folder / BASE / "model" if key == BASE else folder / f"seed{seed}" / key / "model"
