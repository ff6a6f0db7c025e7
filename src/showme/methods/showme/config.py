"""Settings of ShowMe's two training stages; defaults are the released configuration's (arXiv 2511.17839)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ...config import Settings
from ...run_config import RunConfig
from ..dropout import DropoutConfig


class AdapterConfig(Settings):
    """Where LoRA sits, and of which rank."""

    rank: int | None = Field(None, ge=1, description="of attention; null: 128 for state_image, 64 else")
    feed_forward_rank: int | None = Field(None, ge=0, description="of feed-forward layers; null: as attention; 0: none")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the adapter's input")
    attention: Literal["joint", "folded"] | None = Field(
        None,
        description="state_image on Wan: folded adds what the adapter makes of self-attention slot by slot, so that it "
        "cannot still a video's motion; null: as the model was trained, joint at first",
    )
    projector: Literal["lora", "full", "frozen"] = Field("lora", description="the Q-Former's training, in state_image")
    projector_rank: int = Field(128, ge=1, description="of the Q-Former's attention, with projector: lora")


class StillConfig(Settings):
    """How Wan makes a picture, whose attention has no temporal half to leave out; null: as the model was trained."""

    slots: Literal[1, 2] | None = Field(
        None, description="2: the given picture and the wanted one, the default; 1: the wanted one alone, concatenated"
    )
    position: int | None = Field(
        None, ge=1, description="of two slots, where the wanted picture lies in time; 1 at first"
    )


class RewardConfig(Settings):
    """Reward tuning: terms added to the denoising loss. Estimators are named as in showme.perception; null: no term."""

    edge: str | None = Field(None, description="structure: sobel or hed:FILE; state_image")
    edge_weight: float = Field(1.0, gt=0, description="of its term")
    depth: str | None = Field(None, description="structure: tabletop or transformers:MODEL; state_image")
    depth_weight: float = Field(1.0, gt=0, description="of its term")
    motion: str | None = Field(None, description="dis, raft or raft:FILE; state_video")
    motion_weight: float = Field(1.0, gt=0, description="of its term, beside the paper's alpha = 0.01")
    levels: Literal["all", "gate"] = Field(
        "all", description="noise levels that are drawn; gate: those alone at which the stage's rewards speak"
    )

    @property
    def structure(self) -> dict[str, str]:
        """Estimators of the structure reward, by term."""
        return {
            name: estimator for name, estimator in (("edge", self.edge), ("depth", self.depth)) if estimator is not None
        }

    @property
    def weights(self) -> dict[str, float]:
        """Weights by term."""
        return {"edge": self.edge_weight, "depth": self.depth_weight, "motion": self.motion_weight}


MOST_STEPS = 50


class FastConfig(Settings):
    """Fewer steps: consistency within phases (arXiv 2405.18407), guidance inside, without a critic."""

    steps: int = Field(4, ge=1, le=MOST_STEPS, description="denoising steps that the model is to take")
    substeps: int = Field(10, ge=1, description="of the model as it is, for each of them")
    guidance: float | None = Field(
        None, ge=0, description="that goes inside, so that no second pass is needed; null: the model's own"
    )
    task: Literal["image", "video", "both"] = Field("both", description="which is learned; both: in turn, by the step")


class ShowMeConfig(RunConfig):
    """One run of one stage."""

    method: Literal["showme"] = Field("showme", description="the paper")  # type: ignore[assignment]
    stage: Literal["state_image", "state_video", "fast"] = Field(
        description="state_image: manipulation; state_video: prediction; fast: the same in fewer steps"
    )
    tuning: Literal["lora", "full"] = Field("lora", description="full: every weight of the UNet and the Q-Former")
    fresh: bool = Field(False, description="drop the stage's adapter that the model has, instead of going on with it")
    adapter: AdapterConfig = AdapterConfig()
    dropout: DropoutConfig = DropoutConfig()
    goal_share: float = Field(
        0.0, ge=0, le=1, description="state_video: share of clips whose last slot of the condition holds the result"
    )
    image_temporal_convolutions: bool | None = Field(
        None, description="state_image: whether temporal convolutions run on single frames; null: as in the model"
    )
    still: StillConfig = StillConfig()
    timestep_power: float = Field(1.0, gt=0, description="t = 1000 u^p, u uniform: below 1 the noisy end comes oftener")
    rewards: RewardConfig = RewardConfig()
    fast: FastConfig = FastConfig()

    @model_validator(mode="after")
    def _fits_the_stage(self) -> ShowMeConfig:
        image_only: dict[str, object] = {
            "rewards.edge": self.rewards.edge,
            "rewards.depth": self.rewards.depth,
            "image_temporal_convolutions": self.image_temporal_convolutions,
            "still.slots": self.still.slots,
            "still.position": self.still.position,
            "adapter.attention": self.adapter.attention,
        }
        video_only: dict[str, object] = {"rewards.motion": self.rewards.motion, "goal_share": self.goal_share or None}
        if self.rewards.levels == "gate" and not (self.rewards.structure or self.rewards.motion):
            raise ValueError("rewards.levels is gate, but no reward is on: name an estimator, or leave it out")
        if self.still.slots == 1 and self.still.position is not None:
            raise ValueError("still.position is of two slots: leave it out, or set still.slots to 2")
        others: dict[str, dict[str, object]] = {
            "state_image": video_only,
            "state_video": image_only,
            "fast": image_only | video_only,
        }
        for name, value in others[self.stage].items():
            if value is not None:
                other = "state_image" if name in image_only else "state_video"
                raise ValueError(f"{name} is of stage {other}: leave it out, or set stage to {other}")
        if self.tuning == "full" and self.memory.base not in ("fp32", "bf16"):
            raise ValueError(f"tuning full trains no {self.memory.base} weights: set memory.base to bf16 or fp32")
        if self.stage == "fast" and self.tuning == "full":
            raise ValueError("stage fast trains an adapter: leave tuning out")
        if self.stage != "fast" and self.fast != FastConfig():
            raise ValueError("fast is of stage fast: leave it out, or set stage to fast")
        return self

    @property
    def label(self) -> str:
        """The stage."""
        return self.stage

    @property
    def rank(self) -> int:
        """Of the stage's attention adapters."""
        return self.adapter.rank or (128 if self.stage == "state_image" else 64)

    @property
    def feed_forward_rank(self) -> int:
        """Of the stage's feed-forward adapters; 0: none."""
        return self.rank if self.adapter.feed_forward_rank is None else self.adapter.feed_forward_rank
