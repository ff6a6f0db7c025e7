"""Settings of AID's training; defaults are the paper's (arXiv 2406.06465) where it gives them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ...config import Settings
from ...run_config import RunConfig
from ..dropout import DropoutConfig


class DQFormerConfig(Settings):
    """The dual-query transformer (table 8); without both branches the base reads the instruction as it always did."""

    multimodal: bool = Field(True, description="tokens of the instruction that have looked at the picture")
    decomposed: bool = Field(True, description="queries of each frame that have read instruction and states")
    channels: int = Field(1024, ge=8, description="of both branches")
    layers: int = Field(2, ge=1, description="of each branch")
    heads: int = Field(8, ge=1, description="of every attention")
    queries: int | None = Field(
        None,
        ge=1,
        description="of each frame; null: as many as the text encoder has tokens, 77 in CLIP and in the paper. A "
        "multiple of these where a dropped text is the base's own",
    )


class BottleneckConfig(Settings):
    """The three adapters. Widths, kernel and heads are ours: the paper does not give them."""

    spatial: bool = Field(True, description="beside spatial self-attention")
    short_term: bool = Field(True, description="after the convolutions of a layer, over neighbouring frames")
    long_term: bool = Field(True, description="beside temporal self-attention")
    spatial_ratio: float = Field(0.25, gt=0, le=4, description="inner to outer width")
    short_term_ratio: float = Field(0.5, gt=0, le=4, description="inner to outer width")
    long_term_ratio: float = Field(0.25, gt=0, le=4, description="inner to outer width, rounded to whole heads")
    kernel: tuple[int, int, int] = Field((3, 1, 1), description="of the depth-wise convolution: frames, height, width")
    head_dim: int = Field(64, ge=1, description="of the long-term adapter's attention")

    @model_validator(mode="after")
    def _kernel_has_a_middle(self) -> BottleneckConfig:
        if any(size < 1 or size % 2 == 0 for size in self.kernel):
            raise ValueError(f"kernel {list(self.kernel)}: choose odd numbers")
        return self

    @property
    def kinds(self) -> list[str]:
        """Those that are there."""
        return [kind for kind in ("spatial", "short_term", "long_term") if getattr(self, kind)]


class CrossAttentionConfig(Settings):
    """The base's cross-attention, which the main paper trains and its supplement does not speak of."""

    train: Literal["frozen", "lora", "full"] = Field("full", description="full: its weights; lora: beside them; frozen")
    rank: int = Field(64, ge=1, description="of lora")


class AIDConfig(RunConfig):
    """One run."""

    method: Literal["aid"] = Field("aid", description="the paper")  # type: ignore[assignment]
    references: int = Field(1, ge=1, description="K, frames from the first on that are known")
    unknown: Literal["grey", "zeros"] = Field(
        "grey", description="what stands for the others in the condition: an encoded grey frame, as drawn in the paper"
    )
    judge_known: bool = Field(
        False, description="whether the loss is of the known frames too (ours: the paper is silent)"
    )
    dqformer: DQFormerConfig = DQFormerConfig()
    adapters: BottleneckConfig = BottleneckConfig()
    cross_attention: CrossAttentionConfig = CrossAttentionConfig()
    states: str | None = Field(
        None,
        min_length=1,
        description="what the decomposed branch reads beside the instruction: labels.jsonl of `showme data annotate "
        "labels=[states]`, or tabletop, the rendered world's own; null: the instruction again, as without LLaVA",
    )
    null_context: Literal["base", "dqformer"] = Field(
        "base",
        description="what cross-attention reads where the text is dropped (ours): the base's own empty text, or what "
        "the DQFormer makes of it",
    )
    drop_known: bool = Field(
        True, description="whether the known frames are dropped with the picture's tokens, for visual guidance (ours)"
    )
    dropout: DropoutConfig = DropoutConfig()
    timestep_power: float = Field(1.0, gt=0, description="t = 1000 u^p, u uniform: below 1 the noisy end comes oftener")
    text_guidance: float = Field(12.0, ge=0, description="s_T, of the trained model's settings")
    visual_guidance: float = Field(1.5, ge=0, description="s_V, of the trained model's settings")

    @model_validator(mode="after")
    def _goes_together(self) -> AIDConfig:
        if self.references >= self.data.frames:
            raise ValueError(f"references {self.references}: less than data.frames, {self.data.frames}")
        if self.states is not None and not self.dqformer.decomposed:
            raise ValueError(
                "states are read by the decomposed branch: leave them out, or set dqformer.decomposed to true"
            )
        if not self.trains:
            raise ValueError("nothing is trained: leave a branch, an adapter or the cross-attention in")
        return self

    @property
    def trains(self) -> bool:
        """Whether there is anything to train."""
        branches = self.dqformer.multimodal or self.dqformer.decomposed
        return branches or bool(self.adapters.kinds) or self.cross_attention.train != "frozen"

    @property
    def label(self) -> str:
        """What is trained, in a word."""
        return "aid"
