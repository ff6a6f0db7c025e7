"""A term that would be 0 at every step is refused, with the levels that there are."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from diffusers import DDIMScheduler

from showme.backbones.paths import DiscretePath, EDMPath, FlowPath
from showme.errors import InputError
from showme.experiment import train
from showme.methods.gates import check_gate
from tests.blob_clips import clips
from tests.conversion.test_wan_folder import thin_model
from tests.methods.showme.test_wan import recipe

__all__ = ["clips"]


@pytest.mark.parametrize("path", [DiscretePath(DDIMScheduler()), FlowPath(3.0), EDMPath()])
def test_a_gate_that_no_level_meets_is_refused(path):
    check_gate(path, -0.5 * math.log(10), math.inf, "here")
    check_gate(path, -math.inf, -1.045 * math.log(10), "here")
    with pytest.raises(InputError, match=r"hands\.least 50: the term would be 0 .* reach from -\d+\.\d\d to \d+"):
        check_gate(path, 50 * math.log(10), math.inf, "hands.least 50")


def test_one_movement_has_no_time(clips: Path, tmp_path: Path):
    model = thin_model("2.1", tmp_path / "wan", 5)
    with pytest.raises(InputError, match=r"5 frames are 2 slots .* set data\.frames to 9 or more"):
        train(recipe("state_video", model, clips, tmp_path / "run", rewards={"motion": "dis"}))
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "cache").exists()
