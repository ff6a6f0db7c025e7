"""The bundle that the package carries: whole, at home in its own world, and able to tell what is outside."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import showme
from showme.bundle import open_bundle
from showme.generation.familiarity import is_unfamiliar
from showme.instruction import unknown_words
from showme.pictures.fit import fit_photo

EXAMPLES = sorted((Path(showme.__file__).parent / "assets" / "examples").glob("*.png"))
DATA = Path(os.environ.get("SHOWME_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def embedded():
    return open_bundle("embedded")


def test_it_is_whole_and_small_enough(embedded):
    size = sum(path.stat().st_size for path in embedded.folder.rglob("*") if path.is_file())
    assert size < 60 * MEBIBYTE


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_its_examples_are_its_world(embedded, path):
    with Image.open(path) as image:
        assert image.size == (embedded.info.width, embedded.info.height)
        assert not is_unfamiliar(image.convert("RGB"), embedded.info.familiarity)
    words = path.with_suffix(".txt").read_text()
    assert not unknown_words(words, embedded.info.vocabulary, embedded.info.synonyms)


@pytest.mark.parametrize("path", sorted((DATA / "bridge_v2_teaser").glob("*.mp4"))[:5] or [None], ids=str)
def test_real_scenes_are_recognised_as_outside(embedded, path):
    if path is None:
        pytest.skip(f"no real clips in {DATA} (set SHOWME_DATA_DIR)")
    import av

    with av.open(str(path)) as container:
        frame = next(container.decode(video=0)).to_image()
    fitted, _ = fit_photo(frame, embedded.info.height, embedded.info.width, "crop")
    assert is_unfamiliar(fitted, embedded.info.familiarity)


def test_it_generates_and_keeps_the_scene(embedded):
    pipeline = showme.load()
    pipeline.set_progress_bar_config(disable=True)
    photo = Image.open(EXAMPLES[0]).convert("RGB")
    output = pipeline(photo, EXAMPLES[0].with_suffix(".txt").read_text(), seed=0)
    assert len(output.frames) == embedded.info.num_frames
    first, began = np.asarray(photo, float), np.asarray(output.frames[0], float)
    # The first frame is the photo, through the codec and the denoiser.
    assert 10 * np.log10(255**2 / ((first - began) ** 2).mean()) > 22
    assert np.asarray(output.image).std() > 10
