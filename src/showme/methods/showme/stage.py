"""One run of one of ShowMe's two stages."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.utils.data import Dataset

from ...backbones.base import Backbone
from ...bundle import BundleInfo
from ...data.cache import Part
from ...data.rows import ClipRows
from ..base import Stage
from ..cached import CachedClips, clip_parts
from ..samples import Draw
from .cached import ESTIMATORS, reward_parts
from .config import ShowMeConfig
from .objective import ShowMeObjective
from .rewards import motion_gate, structure_gate
from .samples import StateImageSamples, StateVideoSamples
from .tasks import STATE_VIDEO
from .trainable import prepare


class ShowMeStage(Stage):
    """Stage 1, state manipulation, or stage 2, state prediction, with or without rewards."""

    config: ShowMeConfig

    def __init__(self, config: ShowMeConfig, pipeline: Any):
        super().__init__(config, pipeline)
        self.backbone: Backbone = pipeline.backbone
        self.video = config.stage == STATE_VIDEO
        self.task = "video" if self.video else "image"

    def parts(self, rows: ClipRows) -> list[Part]:
        return [*clip_parts(self.backbone, rows), *reward_parts(self.backbone, rows, self.config.rewards)]

    def prepare(self) -> None:
        prepare(self.backbone, self.config)

    def samples(self, clips: CachedClips) -> Dataset:
        config, path = self.config, self.backbone.path
        gate = (motion_gate if self.video else structure_gate)(path) if config.rewards.levels == "gate" else None
        draw = Draw(config.training.seed, path, config.dropout, config.timestep_power, gate, config.goal_share)
        return (StateVideoSamples if self.video else StateImageSamples)(clips, draw)

    def objective(self) -> nn.Module:
        rewards, networks = self.config.rewards, self.backbone.networks
        estimators = {name: ESTIMATORS[name](estimator) for name, estimator in rewards.structure.items()}
        if self.config.training.gradient_checkpointing:
            networks[self.backbone.denoiser].enable_gradient_checkpointing()  # type: ignore[operator]
        objective = ShowMeObjective(
            self.backbone, not self.video, estimators, motion=rewards.motion is not None, weights=rewards.weights
        )
        for network in networks.values():
            network.train()
        return objective

    def finish(self, info: BundleInfo) -> BundleInfo:
        if not self.video:
            return info
        frames, config = self.config.data.frames, self.pipeline.config
        goal = self.config.goal_share > 0 or config.goal_conditioning
        self.pipeline.register_to_config(num_frames=frames, repeat_first_frame=False, goal_conditioning=goal)
        return info.model_copy(update={"num_frames": frames})
