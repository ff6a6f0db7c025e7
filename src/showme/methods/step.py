"""One denoising step of training, whatever the method: what went in, what came out, what it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..backbones.base import Backbone, Conditions, Known
from ..backbones.paths import NoisePath
from ..losses.noise_prediction import noise_prediction_loss


@dataclass(frozen=True)
class Step:
    """One denoising step.

    Attributes:
        path: from latents to noise.
        noisy, prediction, target: (B, C, T', h, w).
        level: (B,), of the path.
        held: what is known, where the network has it in place of noisy latents: of that it predicts nothing.
    """

    path: NoisePath
    noisy: Tensor
    prediction: Tensor
    target: Tensor
    level: Tensor
    held: Known | None = None

    @property
    def loss(self) -> Tensor:
        """L_diff = E || target - prediction ||^2, over what is to be predicted."""
        where = None if self.held is None else 1 - self.held.where
        return noise_prediction_loss(self.prediction, self.target, where)

    def clean(self, rows: Tensor) -> Tensor:
        """z0_hat of some samples, in fp32, with gradient."""
        clean = self.path.clean(self.noisy[rows].float(), self.prediction[rows].float(), self.level[rows])
        if self.held is None:
            return clean
        where = self.held.where[rows]
        return where * self.held.latents[rows].float() + (1 - where) * clean


def denoising_step(backbone: Backbone, batch: Mapping[str, Tensor], still: bool) -> Step:
    """Noise the batch's latents and let the network take the noise off.

    Args:
        backbone: predicts.
        batch: collated samples: latents, known, noise (B, C, T', h, w), where (B, 1, T', 1, 1), level (B,), text (B, L,
            D); image (B, N, D), scalar (B,) and region (B, 1, 1, h, w) or absent.
        still: whether single pictures are wanted.
    """
    latents, level, path = batch["latents"], batch["level"], backbone.path
    noisy = path.noised(latents, batch["noise"], level)
    known = Known(batch["known"], batch["where"])
    image = backbone.project(batch.get("image"))
    conditions = Conditions(batch["text"], image, known, batch.get("scalar"), batch.get("region"))
    prediction = backbone.predict(noisy, level, conditions, still)
    held = known if backbone.holds_known and not still else None
    return Step(path, noisy, prediction, path.target(latents, batch["noise"], level), level, held)
