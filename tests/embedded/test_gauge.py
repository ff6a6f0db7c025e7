"""The curve of a stage, on answers whose figures are known."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from embedded.frames import VALIDATION
from embedded.gauge import CURVE, Gauge
from embedded.judge import figures_of
from showme.methods.output import Output


class Answer:
    """Stands for a pipeline that leaves everything as it was."""

    def __init__(self):
        self.asked = []

    def set_progress_bar_config(self, **settings):
        pass

    def __call__(self, image, instruction, task, goal, seed):
        self.asked.append((task, goal, seed))
        return Output(image=image, frames=[image, image] if task == "both" else None)


@pytest.fixture(scope="module")
def folder(opengl, tmp_path_factory):
    from showme.worlds.render import render_dataset

    place = tmp_path_factory.mktemp("run")
    render_dataset(place / VALIDATION, 4, "validation", processes=1)
    return place


def test_standing_still_gains_nothing(folder):
    pipeline = Answer()
    Gauge(pipeline, folder, "spatial", 4)(20)
    (line,) = [json.loads(each) for each in (folder / "spatial" / CURVE).read_text().splitlines()]
    assert line["step"] == 20
    assert line["gain"] == 0
    assert line["background"] > 40, "noise of the renderer aside, what is still in truth is still here"
    assert pipeline.asked == [("image", False, seed) for seed in range(4)]


def test_later_stages_are_asked_for_videos_that_end_with_the_picture(folder):
    pipeline = Answer()
    figures = Gauge(pipeline, folder, "base", 4).measure()
    assert pipeline.asked == [("both", True, 0), *[("image", False, seed) for seed in (1, 2, 3)]]
    assert figures["video gain"] == 0


def test_an_end_near_the_truth_has_its_figures(folder):
    from showme.worlds.render import load_clip

    clip = load_clip(next((folder / VALIDATION).glob("*.safetensors")))
    almost = np.clip(clip.frames[-1].astype(int) + 2, 0, 255).astype(np.uint8)
    figures = figures_of(np.asarray(Image.fromarray(almost)), clip)
    assert figures["near"]
    assert figures["gain"] > 15
    assert figures["background"] == pytest.approx(42.1, abs=0.5)
