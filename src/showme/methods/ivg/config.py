"""Settings of IVG's two training stages; defaults are the paper's (arXiv 2412.04189) where it gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ...config import Settings
from ...preparation.config import EstimatorsConfig
from ...run_config import RunConfig
from ..dropout import DropoutConfig


class AdapterConfig(Settings):
    """LoRA on the attentions of both halves, and their feed-forward layers."""

    rank: int = Field(64, ge=1, description="of attention")
    feed_forward_rank: int | None = Field(None, ge=0, description="of feed-forward layers; null: as attention; 0: none")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the adapter's input")


class MaskLossConfig(Settings):
    """Stage region: beta (1 - mIoU) of the video that one step predicts, equations 3 and 4."""

    weight: float = Field(0.1, ge=0, description="beta; 0: no term")
    frames: int | None = Field(
        None, ge=1, description="frames that are decoded for it, evenly spaced, the first aside; null: all of them"
    )
    count_first_frame: bool = Field(False, description="divide by L + 1, as the paper writes it, instead of by L")


class HandLossConfig(Settings):
    """Stage video: alpha times the hand structure loss, equations 2 and 6."""

    estimator: str | None = Field(
        None, description="torch[:FILE] or tabletop[:FILE], the network with a gradient; null: no term"
    )
    weight: float = Field(1.0, gt=0, description="alpha; the paper's is 1, the released code's 1000")
    every: int = Field(4, ge=1, description="every so many frames are decoded, the first aside")
    least_presence: float = Field(0.1, gt=0, le=1, description="of a hand that is there; below it joints shrink to 0")
    least_log10_snr: float = Field(
        -0.5, description="noise levels at which a predicted frame can show hands: log10 of signal over noise power"
    )


class CleanUpConfig(Settings):
    """From decoded mask frames to the region; shares are of the picture's area or its short side."""

    threshold: float = Field(0.5, gt=0, lt=1, description="of a pixel's brightness, above which it is in the mask")
    least_area: float = Field(0.002, ge=0, lt=1, description="smaller connected components are removed")
    closing: float = Field(0.02, ge=0, lt=0.5, description="radius; gaps up to twice that are filled")
    margin: float = Field(0.0, ge=0, lt=0.5, description="radius by which the region is widened")


class IVGConfig(RunConfig):
    """One run of one stage."""

    method: Literal["ivg"] = Field("ivg", description="the paper")  # type: ignore[assignment]
    stage: Literal["region", "video"] = Field(description="region: stage 1, where it happens; video: stage 2, in it")
    fresh: bool = Field(False, description="drop the stage's adapter that the model has, instead of going on with it")
    adapter: AdapterConfig = AdapterConfig()
    dropout: DropoutConfig = DropoutConfig(text=0.15, image=0.0, both=0.0)
    timestep_power: float = Field(1.0, gt=0, description="t = 1000 u^p, u uniform: below 1 the noisy end comes oftener")
    labels: Path | None = Field(
        None,
        description="folder of `showme data annotate` with the clips' regions; null: found and kept in the cache",
    )
    estimators: EstimatorsConfig = EstimatorsConfig()
    target: Literal["union", "frames"] = Field(
        "union", description="stage region: every frame's mask is the clip's whole region, or its own hands"
    )
    region_frames: int | None = Field(
        None,
        ge=2,
        description="stage region: frames of the mask video, the photo included; null: as many as the clip's. With "
        "target union few of them teach the same",
    )
    mask_loss: MaskLossConfig = MaskLossConfig()
    clean_up: CleanUpConfig = CleanUpConfig()
    region: Literal["predicted", "truth", "prior", "white"] = Field(
        "predicted",
        description="stage video: what the network sees; predicted: by the model's first stage; truth: the clip's "
        "hands; prior: the union over all clips; white: everything",
    )
    freeze_outside: bool = Field(
        True, description="stage video: the target is the first frame outside of the region, as AnimateAnything trains"
    )
    motion_strength_weight: float = Field(
        0.0,
        ge=0,
        description="stage video: of the squared error of the clip's motion strength, 0.001 in AnimateAnything; "
        "0: no term",
    )
    hands: HandLossConfig = HandLossConfig()

    @model_validator(mode="after")
    def _fits_the_stage(self) -> IVGConfig:
        defaults = type(self).model_fields
        of = {"target": "region", "mask_loss": "region", "region_frames": "region"}
        of |= dict.fromkeys(("region", "freeze_outside", "motion_strength_weight", "hands"), "video")
        for name, stage in of.items():
            if stage != self.stage and getattr(self, name) != defaults[name].default:
                raise ValueError(f"{name} is of stage {stage}: leave it out, or set stage to {stage}")
        if self.region == "white" and "freeze_outside" in self.model_fields_set and self.freeze_outside:
            raise ValueError("region is white: nothing is outside of it, so leave freeze_outside out")
        if self.region_frames is not None and self.region_frames > self.data.frames:
            raise ValueError(f"region_frames {self.region_frames}: at most data.frames, {self.data.frames}")
        return self

    @property
    def label(self) -> str:
        """The stage."""
        return self.stage
