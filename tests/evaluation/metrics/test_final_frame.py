"""The gain of the last frame: against pictures whose errors are known."""

from __future__ import annotations

import math

import pytest
import torch

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.final_frame import FinalFrameGain


def test_it_is_what_the_last_frame_is_better_by():
    first, last = torch.full((2, 3, 8, 8), 51 / 255), torch.full((2, 3, 8, 8), 153 / 255)
    true = torch.stack([first, last], dim=1)
    made = torch.stack([torch.zeros_like(first), torch.full_like(last, 102 / 255)], dim=1)
    made[1, 1] = first[1]
    pairs = Pairs(made, true, ["a", "b"], ["a", "b"], first=first)
    # Half of the error is left in the first clip; the second stands still at its end.
    torch.testing.assert_close(
        FinalFrameGain().score(pairs), torch.tensor([20 * math.log10(2), 0], dtype=torch.float64)
    )


def test_first_frames_have_to_be_known():
    clips = torch.zeros(1, 2, 3, 8, 8)
    with pytest.raises(InputError, match="final_frame_gain needs the true first frames"):
        FinalFrameGain().score(Pairs(clips, clips, ["a"], ["a"]))
