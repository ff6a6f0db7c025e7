"""Whether, and how much, a clip moves, by optical flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError
from .base import ClipMetric, Pairs
from .estimators import estimator_record

# Steps whose flow is computed together: bounds the memory.
_STEPS_TOGETHER = 8

# VBench's numbers: the fastest twentieth of the pixels, six pixels a step at a short side of 256, in four of sixteen
# frames, at eight frames per second.
_FASTEST_SHARE = 0.05
_THRESHOLD, _AT_SIDE = 6.0, 256.0
_STEPS, _OF_FRAMES = 4, 16.0
_FPS = 8.0

# Clips (B, T, 3, H, W) in [0, 1] -> flow (B, T - 1, 2, H, W) in pixels, as `showme.perception.flow_estimator` gives it.
FlowEstimator = Callable[[Tensor], Tensor]


class DynamicDegree(ClipMetric):
    """VBench's dynamic degree (arXiv 2311.17982): 1 for a clip that moves, 0 for one that does not.

    Frames are taken at 8 per second: every round(fps / 8)-th from the first. A step between two of them moves if the
    mean length of the flow in its fastest 5% of pixels exceeds 6 pixels times the short side / 256; a clip of T such
    frames does if at least round(4 T / 16) of its steps do. VBench sees with RAFT trained on FlyingThings and 20
    iterations; other estimators, named in the record, draw the line elsewhere. Some versions of VBench's code also
    multiply the threshold of slower clips by 8 / fps, which neither the paper nor this does.

    Args:
        flow: the estimator, as ``showme.perception.flow_estimator``.
        name: the estimator's, for the record.
        fps: frames per second of the clips.

    Raises:
        InputError: fewer than three frames at 8 per second, of which VBench's rule says that they move, whatever they
            show; or pictures of fewer than 20 pixels, which have no fastest 5%.
    """

    better = "higher"

    def __init__(self, flow: FlowEstimator, name: str, fps: float = _FPS, **kwargs: Any):
        super().__init__(**kwargs)
        self.flow, self.name, self.fps = flow, name, fps

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"flow": estimator_record(self.name, self.flow), "fps": self.fps}

    def score(self, pairs: Pairs) -> Tensor:
        clips = pairs.generated[:, :: max(1, round(self.fps / _FPS))]
        frames, (height, width) = clips.shape[1], clips.shape[-2:]
        fastest = int(height * width * _FASTEST_SHARE)
        if frames < 3 or not fastest:
            raise InputError(
                f"Dynamic degree needs three frames at 8 per second and 20 pixels, not {frames} of {width}x{height} "
                f"(clips of {pairs.generated.shape[1]} at {self.fps:g})."
            )
        threshold, needed = _THRESHOLD * (min(height, width) / _AT_SIDE), round(_STEPS * (frames / _OF_FRAMES))
        values = []
        for clip in clips:
            speeds = torch.cat(
                [lengths.flatten(1).topk(fastest, 1).values.mean(1) for lengths in flow_lengths(clip, self.flow)]
            )
            values.append((speeds > threshold).sum() >= needed)
        return torch.stack(values).double()


class FlowMagnitudeError(ClipMetric):
    """How far a clip's mean length of flow, over steps and pixels, lies from that of the true clip, in pixels.

    More motion is not better in itself: a clip that stands still errs by all that the true one moves.

    Args:
        flow: the estimator, as ``showme.perception.flow_estimator``.
        name: the estimator's, for the record.

    Raises:
        InputError: clips of one frame.
    """

    better = "lower"
    unit = "pixels"

    def __init__(self, flow: FlowEstimator, name: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.flow, self.name = flow, name

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"flow": estimator_record(self.name, self.flow)}

    def score(self, pairs: Pairs) -> Tensor:
        if pairs.generated.shape[1] < 2:
            raise InputError("Motion needs clips of at least two frames, and these have one.")
        pairs_of_clips = zip(pairs.generated, pairs.reference, strict=True)
        return torch.stack([(self._of(made) - self._of(true)).abs() for made, true in pairs_of_clips])

    def _of(self, clip: Tensor) -> Tensor:
        """A clip's mean length."""
        return torch.cat([lengths.flatten(1).mean(1) for lengths in flow_lengths(clip, self.flow)]).mean()


@torch.no_grad()
def flow_lengths(clip: Tensor, flow: FlowEstimator) -> Iterator[Tensor]:
    """Lengths of the flow of a clip (T, 3, H, W), float64 (n, H, W), a few steps at a time, T - 1 in all."""
    for start in range(0, len(clip) - 1, _STEPS_TOGETHER):
        yield flow(clip[None, start : start + _STEPS_TOGETHER + 1])[0].double().norm(dim=1)
