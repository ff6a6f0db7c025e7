"""Peak signal-to-noise ratio, and the mean over frames that frame metrics share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from .base import ClipMetric, Pairs

# Of equal frames: their ratio has no bound, and a mean needs one. One level off in one channel of one pixel is 101 dB
# at 256x256 pixels already.
BOUND_DB = 100.0
# Frames that are compared together: bounds the memory.
_TOGETHER = 8


class PeakSignalToNoiseRatio(ClipMetric):
    """10 log10(1 / mean squared error) of values in [0, 1], in dB, float64.

    The error is over the pixels and channels of one frame; a clip's value is the mean over its T frames of their dB,
    not the dB of their mean error. A frame counts at most 100 dB, :data:`BOUND_DB`, equal ones as much.

    Args:
        values: ``8-bit`` rounds both clips to the 256 levels that files hold, ``float`` takes them as they are. Clips
            that were read from files are the same either way.
    """

    better = "higher"
    unit = "dB"

    def __init__(self, values: Literal["8-bit", "float"] = "8-bit", **kwargs: Any):
        super().__init__(**kwargs)
        self.values_compared = values

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"values": self.values_compared, "bound": BOUND_DB}

    def score(self, pairs: Pairs) -> Tensor:
        """(B,) dB, at most :data:`BOUND_DB`.

        Raises:
            ValueError: clips of two shapes, or values outside [0, 1].
        """
        return mean_over_frames(pairs, self._frames)

    def _frames(self, generated: Tensor, reference: Tensor) -> Tensor:
        frames = [generated.double(), reference.double()]
        if self.values_compared == "8-bit":
            frames = [(each * 255).round() / 255 for each in frames]
        ratios = peak_signal_noise_ratio(frames[0], frames[1], data_range=1.0, reduction="none", dim=(1, 2, 3))
        return ratios.clamp(max=BOUND_DB)


def mean_over_frames(pairs: Pairs, compare: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The mean over frames of what a function says of each, float64 (B,).

    Args:
        pairs: whose frames are compared, a few at a time.
        compare: generated and true frames (N, 3, H, W) in [0, 1] -> (N,).

    Raises:
        ValueError: clips of two shapes, or values outside [0, 1].
    """
    generated, reference = pairs.generated, pairs.reference
    if generated.shape != reference.shape or generated.ndim != 5:
        raise ValueError(f"clips of two shapes: {tuple(generated.shape)} and {tuple(reference.shape)}.")
    for clips in (generated, reference):
        # Said so that NaN fails as well.
        if not (clips.amin() >= 0 and clips.amax() <= 1):
            raise ValueError(f"clips {pairs.ids} hold values outside [0, 1].")
    frames = zip(generated.flatten(0, 1).split(_TOGETHER), reference.flatten(0, 1).split(_TOGETHER), strict=True)
    values = torch.cat([compare(*each).double() for each in frames])
    return values.unflatten(0, generated.shape[:2]).mean(1)
