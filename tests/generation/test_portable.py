"""One file that holds a run: nothing in it is fetched, and the animations show what the video shows."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from showme.generation.portable import animation, portable_page
from showme.generation.request import GenerateRequest
from showme.generation.run import generate
from showme.generation.side_by_side import generate_side_by_side
from tests.pages import Page

HOSTILE = 'lift src="result.png" <b>'


@pytest.fixture(scope="module")
def made(tiny_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(folder / "photo.png")
    request = GenerateRequest(folder / "photo.png", HOSTILE, str(tiny_bundle), "both", folder / "out")
    generate(request)
    return folder / "out"


def _sources(page: str) -> list[str]:
    elements = Page(page).elements
    return [str(given[name]) for _, given in elements for name in ("src", "href") if given.get(name)]


def test_everything_is_within_the_page(made):
    page = portable_page(made)
    sources = _sources(page)
    assert len(sources) >= 5
    assert all(source.startswith("data:") for source in sources)
    assert HOSTILE in Page(page).inside("h1")


def test_of_several_models_too(tiny_bundle, tmp_path, photo):
    again = tmp_path / "again"
    again.symlink_to(tiny_bundle)
    request = GenerateRequest(photo, "lift it", task="image", out=tmp_path / "out")
    generate_side_by_side(request, [str(tiny_bundle), str(again)])
    sources = _sources(portable_page(tmp_path / "out"))
    assert sources.count("#") == 2
    assert all(source.startswith("data:image/png") for source in sources if source != "#")


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_animations_show_the_video(made, kind):
    with av.open(str(made / "action.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24").astype(float) for frame in container.decode(video=0)]
    picture = Image.open(io.BytesIO(animation(made / "action.mp4", kind)))
    shown = [np.asarray(each.convert("RGB"), float) for each in ImageSequence.Iterator(picture)]
    assert len(shown) == len(frames)
    assert picture.info["duration"] == pytest.approx(125, abs=6)
    assert picture.info.get("loop") == 0
    assert max(np.abs(a - b).mean() for a, b in zip(shown, frames, strict=True)) < 12
