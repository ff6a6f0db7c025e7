"""Videos of several clips: what each goes on from, where the seams are, how far the still parts drift."""

from __future__ import annotations

import gc
import json
import weakref

import av
import numpy as np
import pytest
from PIL import Image

from showme.errors import InputError
from showme.generation.long_video import make_long_video
from showme.generation.request import GenerateRequest
from showme.generation.run import generate
from tests.conftest import TINY_FRAMES

TEXT, NEXT = "push the red box to the left", "lift the blue mug up"


class Frames(list):
    """A clip that can be watched as it goes."""


def flat(level: int, square: int | None = None) -> Image.Image:
    picture = Image.new("RGB", (32, 32), (level,) * 3)
    if square is not None:
        picture.paste((255, 0, 0), (square, 4, square + 8, 12))
    return picture


@pytest.mark.parametrize("references", [1, 2])
def test_each_clip_goes_on_from_the_last_frames_and_is_then_forgotten(tmp_path, references):
    given, alive = [], []

    def make(number: int, first: list[Image.Image]) -> list[Image.Image]:
        given.append([picture.getpixel((0, 31))[0] for picture in first])
        gc.collect()
        assert [ref() for ref in alive[:-1]] == [None] * len(alive[:-1])
        known = first if number else first * references
        clip = Frames([*known, *(flat(100 + 10 * number + index) for index in range(5 - references))])
        alive.append(weakref.ref(clip))
        return clip

    video = make_long_video(flat(50), ["a", "b", "c"], references, make, tmp_path / "a.mp4", 8.0)
    last = [103 if references == 1 else 102, 113 if references == 1 else 112]
    assert given[0] == [50]
    assert [levels[-1] for levels in given[1:]] == last
    assert all(len(levels) == references for levels in given[1:])
    assert [(part.first, part.frames) for part in video.parts] == [
        (0, 5), (5, 5 - references), (10 - references, 5 - references),
    ]  # fmt: skip
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 15 - 2 * references


def test_drift_is_of_what_has_stood_still_in_every_clip(tmp_path):
    def make(number: int, first: list[Image.Image]) -> list[Image.Image]:
        # The square moves on, from 2 to 10 and then to 18; the rest grows brighter by four levels a clip, in its seam.
        level = 100 + 4 * number
        return [first[0], *(flat(level, 2 + 8 * number + step) for step in (2, 5, 8))]

    video = make_long_video(flat(100, 2), ["a", "b"], 1, make, tmp_path / "a.mp4", 8.0)
    first, second = (part.drift for part in video.parts)
    assert first == 100
    # The squares' places are left out, all others are off by four levels.
    assert second == pytest.approx(20 * np.log10(255 / 4), abs=0.01)


def test_the_whole_run_says_where_its_clips_are(photo, tiny_bundle, tmp_path):
    stages = []
    request = GenerateRequest(
        photo, TEXT, str(tiny_bundle), "both", tmp_path / "out", device="cpu", clips=3, then=(NEXT,)
    )
    result = generate(request, lambda *event: stages.append(event))
    record = json.loads((result.out / "run.json").read_text())
    assert [(clip["instruction"], clip["first_frame"], clip["frames"]) for clip in record["clips"]] == [
        (TEXT, 0, TINY_FRAMES), (NEXT, TINY_FRAMES, TINY_FRAMES - 1), (NEXT, 2 * TINY_FRAMES - 1, TINY_FRAMES - 1),
    ]  # fmt: skip
    page = result.page.read_text()
    assert page.count('<span style="flex:') == 3
    assert f"{3 * TINY_FRAMES - 2} frames at 8 per second" in page
    with av.open(str(result.video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 3 * TINY_FRAMES - 2
    assert [event for event in stages if event[0] == "video"][-1] == ("video", 6, 6)
    assert result.result is not None
    # The first clip is the one that would be made alone.
    alone = generate(GenerateRequest(photo, TEXT, str(tiny_bundle), "video", tmp_path / "one", device="cpu"))
    with av.open(str(result.video)) as long, av.open(str(alone.video)) as short:
        pairs = zip(long.decode(video=0), short.decode(video=0), strict=False)
        apart = [
            np.abs(a.to_ndarray(format="rgb24").astype(int) - b.to_ndarray(format="rgb24")).mean() for a, b in pairs
        ]
    assert len(apart) == TINY_FRAMES
    assert max(apart) < 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"then": (NEXT,)}, "--then is the instruction of a further clip: say with --clips how many there are"),
        ({"clips": 2, "then": (NEXT, NEXT)}, "2 instructions were given with --then for 1 further clips"),
        ({"clips": 0}, "--clips"),
        ({"clips": 2, "task": "image"}, "--clips is for videos: ask for --task video"),
        ({"clips": 2, "goal": True}, "--goal is for a video of one clip"),
        ({"clips": 2, "region": "white"}, "--region is for a video of one clip"),
        ({"clips": 2, "states": "file.txt"}, "a file of --states is for a video of one clip"),
        ({"clips": 2, "then": ("  ",)}, "instruction"),
        ({"states": "tabletop"}, "reads no states: leave --states out, or choose one of AID"),
    ],
)
def test_what_does_not_go_together_is_refused(photo, tiny_bundle, tmp_path, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        generate(GenerateRequest(photo, TEXT, str(tiny_bundle), out=tmp_path / "out", device="cpu", **changes))
    assert not (tmp_path / "out").exists()
