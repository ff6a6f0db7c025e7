"""Settings of ``showme data annotate`` and ``showme data curate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from ..config import NAMED, Settings
from ..data.sampling import ClipPolicy
from ..data.sources import AnySource
from ..preparation.curation.rules import RULES, HandiMotion, HandPresence, LegoWindow, MotionIntensive, ShowMeGoal

Label = Literal["hands", "region", "flow", "depth", "edges", "states", "enrichment"]


def _rule_named(value: Any) -> Any:
    """A name alone stands for a rule with the papers' thresholds."""
    if isinstance(value, dict) and NAMED in value:
        return {"kind": value[NAMED]} | {name: each for name, each in value.items() if name != NAMED}
    return {"kind": value} if isinstance(value, str) else value


class LookConfig(Settings):
    """How clips are looked at: labels belong to pixels, so these are the settings of the training that reads them."""

    height: int = Field(256, ge=8, le=4096, description="pixels")
    width: int = Field(256, ge=8, le=4096, description="pixels")
    frames: int = Field(16, ge=2, le=1024, description="T, of the sampling")
    sampling: ClipPolicy = Field("evenly_spaced", description="which frames: a policy of showme.data.sampling")
    fit: Literal["crop", "squash"] = Field(
        "crop", description="crop: the middle; squash: all of it, brought to the shape"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of random samplings")


class EstimatorsConfig(Settings):
    """The networks that labels and scores come from, by the names of showme.perception."""

    hands: str = Field(
        "torch",
        description="torch[:FILE], mediapipe[:FILE], tabletop[:FILE], or rendered: what the clip's file says",
    )
    hand_confidence: float = Field(0.1, ge=0, le=1, description="least confidence of a palm and of a hand")
    region: Literal["per_hand", "over_hands"] = Field("per_hand", description="hull of each hand, or of all of a frame")
    flow: str = Field("dis", description="dis, raft or raft:FILE")
    depth: str | None = Field(None, description="tabletop or transformers:MODEL; null: tabletop, for rendered clips")
    edges: str = Field("sobel", description="sobel or hed:FILE")
    captions: str = Field("tabletop", description="tabletop, transformers:MODEL or server:ADDRESS#MODEL")
    attempts: int = Field(3, ge=1, description="how often a question is asked until its answer can be read")
    clip: str | None = Field(None, description="transformers:MODEL, CLIP, for the rules that ask it")
    dino: str | None = Field(None, description="transformers:MODEL, DINOv2, for the rules that ask it")


# Fields of both commands that had other names.
_RENAMED = {"eyes": "estimators"}

AnyRule = Annotated[ShowMeGoal | LegoWindow | HandiMotion | HandPresence | MotionIntensive, Field(discriminator="kind")]


class CurateConfig(Settings):
    """Which clips of a data set are kept."""

    renamed: ClassVar[dict[str, str]] = _RENAMED

    source: AnySource = Field(description="folder or list of clips, a YAML of a source, or its fields, with kind first")
    out: Path = Field(description="folder of the scores, the list of kept clips and the page to look at")
    rule: Annotated[AnyRule, BeforeValidator(_rule_named)] = Field(
        description=f"{', '.join(RULES)}, or kind with its thresholds"
    )
    clips: int | None = Field(None, ge=1, description="the first so many alone; null: all")
    look: LookConfig = LookConfig()
    estimators: EstimatorsConfig = EstimatorsConfig()
    shown: int = Field(48, ge=0, description="most clips on the page")


class AnnotateConfig(Settings):
    """Labels of a data set."""

    renamed: ClassVar[dict[str, str]] = _RENAMED

    source: AnySource = Field(description="folder or list of clips, a YAML of a source, or its fields, with kind first")
    out: Path = Field(description="folder of the labels; an interrupted run goes on where it stopped")
    labels: Annotated[list[Label], Field(min_length=1)] = Field(
        description=f"one or more of {', '.join(get_args(Label))}, in a list"
    )
    clips: int | None = Field(None, ge=1, description="the first so many alone; null: all")
    look: LookConfig = LookConfig()
    estimators: EstimatorsConfig = EstimatorsConfig()

    @model_validator(mode="after")
    def _each_once(self) -> AnnotateConfig:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels: name each once")
        return self
