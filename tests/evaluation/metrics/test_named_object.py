"""Which thing moved: on true renders, on clips that stand still, and on ends that move another thing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.named_object import NamedObject, most_changed


@pytest.fixture(scope="module")
def clips(opengl):
    from showme.worlds.tabletop import render

    return [render(seed, "test") for seed in range(12)]


def pixels(clips, ends) -> Pairs:
    first = np.stack([clip.frames[[0, 0]] for clip in clips])
    shown = first.copy()
    shown[:, 1] = ends
    generated, reference = (torch.from_numpy(each).permute(0, 1, 4, 2, 3).float() / 255 for each in (shown, first))
    names = [str(clip.scene.seed) for clip in clips]
    return Pairs(generated, reference, names, names)


def metric_of(clips) -> NamedObject:
    scenes = {str(clip.scene.seed): clip.scene for clip in clips}
    return NamedObject(scenes, {str(clip.scene.seed): clip.hand_masks[-1] for clip in clips})


def test_true_ends_move_the_named_object(clips):
    values = metric_of(clips).score(pixels(clips, [clip.frames[-1] for clip in clips]))
    assert values.mean() >= 11 / 12


def test_ends_of_another_instruction_move_another_object(clips):
    from showme.worlds.tabletop import render_scene, wrong_scene

    others = [(clip, wrong) for clip in clips if (wrong := wrong_scene(clip.scene)).target != clip.scene.target]
    assert len(others) >= 3
    ends = [render_scene(wrong).frames[-1] for _, wrong in others]
    chosen = [clip for clip, _ in others]
    assert metric_of(chosen).score(pixels(chosen, ends)).mean() <= 1 / len(chosen)


def test_what_the_hand_hides_is_not_asked(clips):
    clip = clips[0]
    end = clip.frames[0].copy()
    everything = np.ones((128, 128), bool)
    assert most_changed(clip.frames[0], end, clip.scene, everything) is None


def test_unknown_clips_and_other_sizes_are_refused():
    clips = torch.zeros(1, 2, 3, 128, 128)
    with pytest.raises(InputError, match="'7'"):
        NamedObject({}, {}).score(Pairs(clips, clips, ["7"], ["7"]))
    with pytest.raises(InputError, match="128x128, not 64x32"):
        NamedObject({}, {}).score(Pairs(clips[..., :32, :64], clips[..., :32, :64], ["7"], ["7"]))
