"""The tabletop figures on answers whose scores are known: standing still, and the truth."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from embedded.judge import Judge, summarise
from showme.methods.output import Output


class Answer:
    """Stands for a pipeline: answers with given pictures, and has a pipeline's codec."""

    def __init__(self, pipeline, answer):
        self.image_processor, self.backbone = pipeline.image_processor, pipeline.backbone
        self.config, self.answer, self.instructions = pipeline.config, answer, []

    def __call__(self, image, instruction, task, goal, num_frames, seed):
        self.instructions.append(instruction)
        picture = self.answer(image, instruction)
        frames = [picture if index else image for index in range(num_frames)]
        return Output(image=picture, frames=frames)


@pytest.fixture(scope="module")
def clip(opengl):
    from showme.worlds.tabletop import render

    return render(0, "test")


def test_standing_still_gains_nothing_and_listens_to_nothing(tiny_pipeline, clip):
    pipeline = Answer(tiny_pipeline, lambda image, instruction: image)
    score = Judge(pipeline).score(clip, seed=0)
    assert score.gain == score.wrong_gain == {"image": 0.0, "video": 0.0}
    assert score.near["image"] == score.stayed_near
    assert score.true_named
    assert score.background["image"] > 40
    assert score.agreement == 100.0
    assert score.edge["video"] > 0
    assert score.depth["image"] > 0
    assert score.motion > 0
    assert pipeline.instructions[0] == clip.instruction != pipeline.instructions[1]


def test_the_truth_beats_standing_still_by_what_the_first_frame_lacks(tiny_pipeline, clip):
    almost = np.clip(clip.frames[-1].astype(int) + 2, 0, 255).astype(np.uint8)
    truth = {clip.instruction: almost}
    pipeline = Answer(tiny_pipeline, lambda image, words: Image.fromarray(truth.get(words, clip.frames[0])))
    score = Judge(pipeline).score(clip, seed=0)
    # 20 log10(255 / 2), or a little more where white could not rise.
    assert score.gain["video"] + score.first_frame_psnr == pytest.approx(42.1, abs=0.5)
    assert score.wrong_gain["video"] == 0.0
    assert score.near["video"] == score.locator_near
    assert summarise([score])["video: fall by the wrong instruction (dB)"].mean == pytest.approx(score.gain["video"])
