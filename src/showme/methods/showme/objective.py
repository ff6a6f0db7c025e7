"""ShowMe's training objective (arXiv 2511.17839): a denoising step of either stage, and rewards on what it predicts.

Nothing is drawn here (see :mod:`.samples`): a batch decides its loss.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ...backbones.base import Backbone
from ..objective import BackboneObjective
from .rewards import motion_terms, structure_terms


class ShowMeObjective(BackboneObjective):
    """Batch -> named terms, whose sum is minimised: ``noise``, and ``edge``, ``depth``, ``motion`` where tuned.

    Args:
        backbone: its networks are trained, as far as their parameters take gradients.
        still: True for stage 1 (single pictures), False for stage 2.
        estimators: frozen ones of the structure reward, ``edge`` and ``depth``.
        motion: whether the motion reward is tuned; its target is the batch's ``flow``.
        weights: of the terms; 1 where absent.
    """

    def __init__(
        self,
        backbone: Backbone,
        still: bool,
        estimators: Mapping[str, nn.Module] | None = None,
        motion: bool = False,
        weights: Mapping[str, float] | None = None,
    ):
        super().__init__(backbone, decodes=bool(estimators))
        self.still, self.motion = still, motion
        self.frozen_estimators = nn.ModuleDict(dict(estimators or {}))
        self.weights = dict(weights or {})

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        step = self.step(batch)
        terms = {"noise": step.loss}
        if self.frozen_estimators:
            terms |= structure_terms(step, self.backbone.decode, dict(self.frozen_estimators.items()), batch)
        if self.motion:
            terms |= motion_terms(step, batch["flow"])
        return {name: self.weights.get(name, 1.0) * term for name, term in terms.items()}
