"""AID's training objective: noise prediction with a context of its own. Nothing is drawn: a batch decides its loss."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from ...backbones.base import Backbone
from ..objective import BackboneObjective
from ..step import Step, denoising_step
from .guidance import chosen, null_context


class AIDObjective(BackboneObjective):
    """Batch -> ``noise``, the squared error of what is not known.

    The adapters stand beside the denoiser's layers as long as the objective lives.

    Args:
        backbone: with the networks ``dqformer`` and ``bottlenecks``, those that are there.
        judge_known: whether known slots count too.
        null_is_base: whether a dropped text is the base's own empty one, and not what the DQFormer makes of it.
    """

    def __init__(self, backbone: Backbone, judge_known: bool, null_is_base: bool):
        super().__init__(backbone, decodes=False)
        self.judge_known, self.null_is_base = judge_known, null_is_base
        self.handles = attach(backbone)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        step = self.step(batch)
        return {"noise": step.loss if self.judge_known else unknown_error(step, batch["where"])}

    def step(self, batch: Mapping[str, Tensor]) -> Step:
        return denoising_step(self.backbone, {**batch, "text": self._context(batch)}, self.still)

    @property
    def adapts(self) -> bool:
        return bool(self.handles) or super().adapts

    @contextlib.contextmanager
    def unadapted(self) -> Iterator[None]:
        for handle in self.handles:
            handle.remove()
        try:
            with super().unadapted():
                yield
        finally:
            self.handles = attach(self.backbone)

    def _context(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, T', M, D), or the instructions' tokens (B, L, D) without a DQFormer."""
        dqformer: Any = self.backbone.networks.get("dqformer")
        if dqformer is None:
            return batch["text"]
        count = batch["latents"].shape[2]
        context = dqformer(
            batch["text"], batch.get("image"), count, batch.get("states"), batch.get("states_there")
        )  # fmt: skip
        if not self.null_is_base:
            return context
        return chosen(batch["no_text"], null_context(batch["null_text"], context), context)


def unknown_error(step: Step, where: Tensor) -> Tensor:
    """Mean squared error in fp32 of the slots that are not known; where (B, 1, T', 1, 1) is 1 at those that are."""
    unknown = (1 - where).float().expand_as(step.target)
    return ((step.prediction.float() - step.target.float()).square() * unknown).sum() / unknown.sum()


def attach(backbone: Backbone) -> list[Any]:
    """Let the adapters add to the denoiser's layers, where there are any; handles take it back."""
    bottlenecks: Any = backbone.networks.get("bottlenecks")
    if bottlenecks is None:
        return []
    kinds = bottlenecks.config.sites
    frames = {name: site.frames for name, site in backbone.sites("short_term").items()} if "short_term" in kinds else {}
    return bottlenecks.attach(backbone.networks[backbone.denoiser], frames)
