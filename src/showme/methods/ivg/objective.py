"""IVG's training objective (arXiv 2412.04189, equations 3 and 6). Nothing is drawn here: a batch decides its loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...backbones.base import Backbone
from ...losses.motion_strength import motion_strength_loss
from ...losses.region import region_loss
from ..objective import BackboneObjective
from ..step import Step
from .config import MaskLossConfig
from .hands import HandTerm
from .regions import mask_of


class IVGObjective(BackboneObjective):
    """Batch -> named terms, whose sum is minimised: ``noise``, and ``mask``, ``motion`` or ``hands`` where asked for.

    Args:
        backbone: its networks are trained, as far as their parameters take gradients.
        mask_loss: of stage region; None: no such term.
        motion: weight of stage video's motion strength; 0: no such term.
        hands: of stage video; None: no such term.
    """

    def __init__(
        self,
        backbone: Backbone,
        mask_loss: MaskLossConfig | None = None,
        motion: float = 0.0,
        hands: HandTerm | None = None,
    ):
        super().__init__(backbone, decodes=mask_loss is not None or hands is not None)
        self.mask_loss, self.motion, self.hands = mask_loss, motion, hands

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        step = self.step(batch)
        terms = {"noise": step.loss}
        if self.mask_loss is not None:
            terms["mask"] = self.mask_loss.weight * self._mask_term(step, batch)
        if self.motion:
            rows = torch.arange(len(step.level), device=step.level.device)
            terms["motion"] = self.motion * motion_strength_loss(step.clean(rows), batch["latents"]).mean()
        if self.hands is not None:
            terms["hands"] = self.hands(step, self.backbone.decode, batch)
        return terms

    def _mask_term(self, step: Step, batch: Mapping[str, Tensor]) -> Tensor:
        assert self.mask_loss is not None
        rows = torch.arange(len(step.level), device=step.level.device)
        if "slots" not in batch:
            predicted = mask_of(self.backbone.decode(step.clean(rows))[:, 1:])
            return region_loss(predicted, batch["masks"], self.mask_loss.count_first_frame).mean()
        # Slots are the same for all samples: they are a choice of the run, not of the draw.
        latents = step.clean(rows)[:, :, batch["slots"][0]]
        predicted = mask_of(self.backbone.decode(latents))
        return region_loss(predicted, batch["masks"], self.mask_loss.count_first_frame).mean()
