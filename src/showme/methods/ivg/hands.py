"""Equation 2 on what one step predicts: the hands of decoded frames, sought where the true clip has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ...losses.gate import gated_mean, gated_rows
from ...losses.hand_structure import hand_structure_loss
from ...perception.hands.landmarks import regions_of_joints
from ..step import Step
from .config import HandLossConfig


class HandTerm(nn.Module):
    """A step -> its hand structure loss, for samples whose noise is low enough for hands to be seen.

    Args:
        landmarks: frozen; pictures and squares -> joints and presence, with gradient to the pictures.
        config: how.
    """

    def __init__(self, landmarks: nn.Module, config: HandLossConfig):
        super().__init__()
        self.landmarks, self.config = landmarks, config
        self.least_log_snr = config.least_log10_snr * math.log(10)

    def forward(self, step: Step, decode: Callable[[Tensor], Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """The term (): batch has ``hand_slots`` (B, F) and ``joints`` (B, F, K, 21, 2) in pixels, NaN for no hand."""
        rows = gated_rows(step.path.log_snr(step.level), self.least_log_snr)
        if not len(rows):
            return step.prediction.sum() * 0
        # Slots are the same for all samples: they are a choice of the run, not of the draw.
        pixels = decode(step.clean(rows)[:, :, batch["hand_slots"][0]]).clamp(0, 1)
        joints, presence = self._found(pixels, batch["joints"][rows])
        size = joints.new_tensor([pixels.shape[-1], pixels.shape[-2]])
        truth = batch["joints"][rows] / size
        per_sample = hand_structure_loss(joints / size, presence, truth, self.config.least_presence)
        return self.config.weight * gated_mean(per_sample, len(step.level))

    def _found(self, pixels: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Joints (R, F, K, 21, 2) in pixels and presence (R, F, K); zeros where the truth has no hand."""
        there = ~truth.isnan().flatten(3).any(-1)
        row, frame, _ = there.nonzero(as_tuple=True)
        joints, presence = torch.zeros_like(truth), truth.new_zeros(there.shape)
        if not len(row):
            return joints, presence
        squares = regions_of_joints(truth[there])
        dtype = next(self.landmarks.parameters()).dtype
        # Autocast would round joints to whole pixels.
        with torch.autocast(pixels.device.type, enabled=False):
            seen = self.landmarks(pixels[row, frame].to(dtype), squares.to(dtype))
        place = there.nonzero(as_tuple=True)
        found = seen.joints[..., :2].to(truth.dtype), seen.presence.to(truth.dtype)
        return joints.index_put(place, found[0]), presence.index_put(place, found[1])
