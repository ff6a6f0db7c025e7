"""The run that trains the adapter ``fast``."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.utils.data import Dataset

from ....backbones.base import Backbone
from ....bundle import BundleInfo
from ....data.cache import Part
from ....data.rows import ClipRows
from ...base import Stage
from ...cached import CachedClips, clip_parts
from ...dropout import DropoutConfig
from ...samples import Draw
from ..config import MOST_STEPS, ShowMeConfig
from ..trainable import prepare
from .objective import FastObjective
from .samples import FastSamples, phases_of


class FastStage(Stage):
    """One more adapter over what the model has, for the same in fewer steps."""

    config: ShowMeConfig

    def __init__(self, config: ShowMeConfig, pipeline: Any):
        super().__init__(config, pipeline)
        self.backbone: Backbone = pipeline.backbone
        self.task = "image" if config.fast.task == "image" else "video"
        own = pipeline.config.guidance_scale
        self.guidance = own if config.fast.guidance is None else config.fast.guidance
        self._rewritten = _look_at_one_step(pipeline)

    @property
    def rewritten(self) -> tuple[str, ...]:
        return self._rewritten

    def parts(self, rows: ClipRows) -> list[Part]:
        return clip_parts(self.backbone, rows)

    def prepare(self) -> None:
        prepare(self.backbone, self.config)
        # Validation asks the model as it will be asked.
        self.pipeline.register_to_config(num_inference_steps=self.config.fast.steps, guidance_scale=1.0)

    def samples(self, clips: CachedClips) -> Dataset:
        config, fast, boundary = self.config, self.config.fast, self.backbone.boundary
        goal = 0.5 if self.pipeline.config.goal_conditioning else 0.0
        draw = Draw(
            config.training.seed, self.backbone.path, DropoutConfig(text=0, image=0, both=0), goal_share=goal,
            boundary=boundary, batch=config.training.batch_size,
        )  # fmt: skip
        phases = phases_of(self.backbone, self.pipeline.scheduler, fast.steps, fast.substeps)
        return FastSamples(clips, draw, self.backbone, phases, fast.task)

    def objective(self) -> nn.Module:
        objective = FastObjective(self.backbone, self.guidance)
        if self.config.training.gradient_checkpointing:
            for expert in self.backbone.experts:
                expert.enable_gradient_checkpointing(objective.checkpointed)
        for network in self.backbone.networks.values():
            # Dropout would move what is to be met.
            network.eval()
        return objective

    def finish(self, info: BundleInfo) -> BundleInfo:
        return info.model_copy(update={"default_steps": self.config.fast.steps})


def _look_at_one_step(pipeline: Any) -> tuple[str, ...]:
    """Have a scheduler that fits a curve to several steps take straight ones, which are what is learned; returns the
    components that were changed."""
    scheduler = pipeline.scheduler
    if getattr(scheduler.config, "solver_order", 1) == 1:
        return ()
    changes: dict[str, Any] = {"solver_order": 1}
    if "disable_corrector" in scheduler.config:
        changes["disable_corrector"] = list(range(MOST_STEPS))
    pipeline.register_modules(scheduler=type(scheduler).from_config(scheduler.config, **changes))
    return ("scheduler",)
