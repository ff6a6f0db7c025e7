"""One run of one of ShowMe's two stages."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.utils.data import Dataset

from ...backbones.base import Backbone, Still
from ...bundle import BundleInfo
from ...data.cache import Part
from ...data.clips import Look
from ...data.rows import ClipRows
from ...errors import InputError
from ..base import Stage
from ..cached import CachedClips, clip_parts
from ..gates import check_gate
from ..samples import Draw
from .cached import ESTIMATORS, blank_targets, reward_parts
from .config import ShowMeConfig
from .objective import ShowMeObjective
from .rewards import motion_gate, structure_gate
from .samples import StateImageSamples, StateVideoSamples
from .tasks import STATE_IMAGE, STATE_VIDEO
from .trainable import prepare


class ShowMeStage(Stage):
    """Stage 1, state manipulation, or stage 2, state prediction, with or without rewards."""

    config: ShowMeConfig

    def __init__(self, config: ShowMeConfig, pipeline: Any):
        super().__init__(config, pipeline)
        self.backbone: Backbone = pipeline.backbone
        self.video = config.stage == STATE_VIDEO
        self.task = "video" if self.video else "image"
        # Refused before anything is cached.
        if config.rewards.motion is not None:
            self._check_slots()
        if config.rewards.motion is not None or config.rewards.structure:
            gate = motion_gate if self.video else structure_gate
            check_gate(self.backbone.path, *gate(self.backbone.path), "rewards")

    def _check_slots(self) -> None:
        """Refuse clips in which nothing can be said of when a place moves.

        Raises:
            InputError: there are two slots, and so one movement.
        """
        frames, facts = self.config.data.frames, self.backbone.facts
        if facts.slots(frames) < 3:
            raise InputError(
                f"rewards.motion compares when places move, and {frames} frames are {facts.slots(frames)} slots of "
                f"this model, between which they move once: set data.frames to {facts.frames(3)} or more."
            )

    def parts(self, rows: ClipRows) -> list[Part]:
        return [*clip_parts(self.backbone, rows), *reward_parts(self.backbone, rows, self.config.rewards)]

    def blank(self, look: Look, latents: Tensor) -> dict[str, Tensor]:
        return blank_targets(look, latents, self.config.rewards)

    def prepare(self) -> None:
        self._check_goal()
        self._choose_still()
        prepare(self.backbone, self.config)

    def _check_goal(self) -> None:
        """Refuse clips of which nothing is left to learn.

        Raises:
            InputError: first and last slot are known, and there is no other.
        """
        frames, facts = self.config.data.frames, self.backbone.facts
        if self.config.goal_share and self.backbone.holds_known and facts.slots(frames) < 3:
            raise InputError(
                f"goal_share: of {frames} frames this model is told both ends and has nothing to predict: set "
                f"data.frames to {facts.frames(3)} or more."
            )

    def _choose_still(self) -> None:
        """Keep the settings of single pictures with the model.

        Raises:
            InputError: choices that the backbone does not have.
        """
        attention, chosen = self.config.adapter.attention, self.config.still.model_dump(exclude_none=True)
        if attention is not None:
            chosen["folded"] = (STATE_IMAGE,) if attention == "folded" else ()
        known = self.pipeline.config.still or {}
        if choices := known | chosen:
            self.backbone.check_still(Still(**choices))
            self.pipeline.register_to_config(still=choices)

    def samples(self, clips: CachedClips) -> Dataset:
        config, path = self.config, self.backbone.path
        gate = (motion_gate if self.video else structure_gate)(path) if config.rewards.levels == "gate" else None
        draw = Draw(
            config.training.seed, path, config.dropout, config.timestep_power, gate, config.goal_share,
            self.backbone.boundary, config.training.batch_size,
        )  # fmt: skip
        return (StateVideoSamples if self.video else StateImageSamples)(clips, draw)

    def objective(self) -> nn.Module:
        rewards, networks = self.config.rewards, self.backbone.networks
        estimators = {name: ESTIMATORS[name](estimator) for name, estimator in rewards.structure.items()}
        if self.config.training.gradient_checkpointing:
            for expert in self.backbone.experts:
                expert.enable_gradient_checkpointing()
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
