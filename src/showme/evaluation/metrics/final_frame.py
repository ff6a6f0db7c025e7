"""How much nearer the end of a clip is to the truth than the picture that the model was shown."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import InputError
from .base import ClipMetric, Pairs
from .psnr import PeakSignalToNoiseRatio


class FinalFrameGain(ClipMetric):
    """PSNR of the last frame less that of the true first frame in its place, in dB: 0 for a clip that stands still.

    Raises:
        InputError: clips whose first frames nobody knows.
    """

    better = "higher"
    unit = "dB"

    def score(self, pairs: Pairs) -> Tensor:
        if pairs.first is None:
            raise InputError("final_frame_gain needs the true first frames: give true clips that begin there.")
        last = pairs.reference[:, -1:]
        psnr = PeakSignalToNoiseRatio()
        ours, still = (
            psnr.score(Pairs(clips, last, pairs.instructions, pairs.ids))
            for clips in (pairs.generated[:, -1:], pairs.first[:, None])
        )
        return torch.as_tensor(ours - still)
