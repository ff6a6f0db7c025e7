"""Whether a clip moves as smoothly as an interpolator of frames expects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError
from .base import ClipMetric, Pairs
from .estimators import estimator_record

# Pairs of frames that are interpolated together: bounds the memory.
_PAIRS_TOGETHER = 8

# (N, 3, H, W) and (N, 3, H, W), RGB in [0, 1] -> the frames half-way between them, likewise.
Interpolator = Callable[[Tensor, Tensor], Tensor]


class MotionSmoothness(ClipMetric):
    """VBench's motion smoothness (arXiv 2311.17982): (255 - mean |frame - interpolation|) / 255.

    Every second frame, from the second, is interpolated from its two neighbours and compared with itself, in 8-bit
    levels; a last frame without a right neighbour is left out. As in VBench, the interpolation is rounded down to whole
    levels. VBench interpolates with AMT-S (arXiv 2304.09790); figures with other interpolators, whose name is in the
    record, do not compare with its own.

    Args:
        interpolate: two batches of frames -> the frames half-way.
        name: the interpolator's, for the record.

    Raises:
        InputError: clips of fewer than three frames.
    """

    better = "higher"

    def __init__(self, interpolate: Interpolator, name: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.interpolate, self.name = interpolate, name

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"interpolator": estimator_record(self.name, self.interpolate)}

    def score(self, pairs: Pairs) -> Tensor:
        frames = pairs.generated.shape[1]
        if frames < 3:
            raise InputError(f"Motion smoothness needs three frames to leave one out, and clips have {frames}.")
        return torch.stack([self._of_clip(clip) for clip in pairs.generated])

    @torch.no_grad()
    def _of_clip(self, clip: Tensor) -> Tensor:
        left, right = clip[:-2:2], clip[2::2]
        dropped = clip[1:-1:2]
        differences = []
        for a, b, true in zip(*(part.split(_PAIRS_TOGETHER) for part in (left, right, dropped)), strict=True):
            middle = (self.interpolate(a, b) * 255).floor().clamp(0, 255)
            differences.append((middle.double() - (true * 255).round().double()).abs().flatten(1).mean(1))
        return (255 - torch.cat(differences).mean()) / 255


class FlowMiddle(nn.Module):
    """An interpolator that needs no weights of its own: both frames, warped half-way along the flow, averaged.

    With flows F01 and F10 between the frames, a pixel of the middle frame is looked up at F_t0 = (F10 - F01) / 4 from
    itself in the first frame and at F_t1 = -F_t0 in the second: equations 4 of Super SloMo (arXiv 1712.00080) at
    t = 1/2. What lies outside one frame is taken from the other alone.

    Args:
        flow: clips (B, T, 3, H, W) -> (B, T - 1, 2, H, W) in pixels, as ``showme.perception.flow_estimator``.
    """

    def __init__(self, flow: Callable[[Tensor], Tensor]):
        super().__init__()
        self.flow = flow

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(N, 3, H, W) twice -> (N, 3, H, W)."""
        forth, back = self.flow(torch.stack([first, second, first], 1)).to(first.dtype).unbind(1)
        to_first = (back - forth) / 4
        warped, inside = zip(warp(first, to_first), warp(second, -to_first), strict=True)
        weights = torch.stack(inside)
        # Where both look outside, both count.
        weights = torch.where(weights.sum(0) > 0, weights, torch.ones_like(weights))
        return (torch.stack(warped) * weights).sum(0) / weights.sum(0)


def warp(frames: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Look frames up at each pixel's own place plus ``flow``, bilinearly; beyond the border, its nearest pixel.

    Args:
        frames: (N, C, H, W).
        flow: (N, 2, H, W), pixels to the right and down.

    Returns:
        The pictures (N, C, H, W), and (N, 1, H, W): 1 where the place looked up lies inside the frame, else 0.
    """
    height, width = frames.shape[-2:]
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)
    x, y = columns + flow[:, 0], rows + flow[:, 1]
    # grid_sample's pixel c of W lies at (2 c + 1) / W - 1.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    looked_up = F.grid_sample(frames, grid, mode="bilinear", padding_mode="border", align_corners=False)
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return looked_up, inside[:, None].to(frames.dtype)
