"""The page of a run's validations: what it shows in one row is of one scene."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from showme.errors import ShowMeWarning
from showme.methods.showme.config import ShowMeConfig
from showme.run_validation import Validator
from tests.evaluation.conftest import moving_square, write_set


def validator(clips: Path, out: Path, scenes: int) -> Validator:
    tree = {"stage": "state_image", "out": out, "data": {"source": clips}, "training": {"steps": 1}}
    return Validator(ShowMeConfig(**tree, validation={"scenes": scenes}), "image", (32, 32))


def run(clips: Path, out: Path, scenes: int, step: int) -> None:
    def pipeline(image, *_, **__):
        return SimpleNamespace(image=image)

    pipeline.set_progress_bar_config = lambda **_: None
    validator(clips, out, scenes).run(step, pipeline)


def test_a_page_of_other_scenes_is_begun_anew_and_what_was_there_is_kept(tmp_path):
    clips = {f"{number}": moving_square(1, level=100 + 50 * number) for number in range(3)}
    true, out = write_set(tmp_path / "true", clips, index=True), tmp_path / "run"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(true, out, 1, step=1)
        run(true, out, 1, step=2)
    page = (out / "validation" / "index.html").read_text()
    with pytest.warns(
        ShowMeWarning, match="is of other scenes than before: what it showed of those is now in .*tion-1"
    ):
        run(true, out, 3, step=3)
    assert (out / "validation-1" / "index.html").read_text() == page
    assert "step 1" not in (out / "validation" / "index.html").read_text()
    # Another clip of the same name, and so another truth.
    write_set(true, {"0": moving_square(1, level=220)})
    with pytest.warns(ShowMeWarning, match="is now in .*validation-2"):
        run(true, out, 3, step=4)
    truth = np.asarray(Image.open(out / "validation" / "scene0-truth.png"))
    assert np.array_equal(truth, moving_square(1, level=220)[-1])
