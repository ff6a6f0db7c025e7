"""Scores of clips: against transformers, closed forms and colorsys."""

from __future__ import annotations

import colorsys
import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from transformers import AutoImageProcessor, CLIPModel, CLIPProcessor, Dinov2Model

from showme.data.sampling import draw_sample
from showme.perception import clip_similarity, dino_similarity
from showme.preparation.curation import ChangeScores, GoalScores, HandScores, MotionScores, frame_numbers
from showme.preparation.curation.scores import motion_score, region_share

from ...perception.test_similarity import make_tiny_clip, make_tiny_dino

_FRAMES = 6


@dataclass
class Hand:
    joints: np.ndarray
    presence: float | None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    make_tiny_clip(folder / "clip")
    make_tiny_dino(folder / "dino")
    return folder


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """One smooth picture that turns into another."""
    small = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    first, last = (
        np.asarray(Image.fromarray(each).resize((48, 40), Image.Resampling.BICUBIC), float) for each in small
    )
    return np.stack([first + (last - first) * t for t in np.linspace(0, 1, _FRAMES)]).round().astype(np.uint8)


@torch.no_grad()
def test_goal_scores_are_the_cosines_of_transformers_own_outputs(folder, frames):
    scorer = GoalScores(
        clip_similarity(f"transformers:{folder / 'clip'}"), dino_similarity(f"transformers:{folder / 'dino'}")
    )
    scores = scorer.score(frames, "open a jar")
    pictures = [Image.fromarray(frame) for frame in frames]
    clip, dino = (
        network.from_pretrained(folder / name).eval() for network, name in ((CLIPModel, "clip"), (Dinov2Model, "dino"))
    )
    inputs = CLIPProcessor.from_pretrained(folder / "clip")(text="open a jar", images=pictures, return_tensors="pt")
    text = clip(**inputs).logits_per_text[0] / clip.logit_scale.exp()
    seen = dino(**AutoImageProcessor.from_pretrained(folder / "dino")(pictures, return_tensors="pt")).pooler_output
    first = torch.cosine_similarity(seen, seen[:1])
    assert {name: (value.dtype, value.shape) for name, value in scores.items()} == {
        "text_similarity": (np.float32, (_FRAMES,)),
        "first_similarity": (np.float32, (_FRAMES,)),
    }
    np.testing.assert_allclose(scores["text_similarity"], text, atol=1e-5)
    np.testing.assert_allclose(scores["first_similarity"], first, atol=1e-5)
    assert scores["first_similarity"][0] == pytest.approx(1)
    assert np.ptp(scores["text_similarity"]) > 0.01
    assert set(json.loads(json.dumps(scorer.fingerprint))) == {"scorer", "clip", "dino"}


@torch.no_grad()
def test_change_compares_the_last_frame_with_the_first(folder, frames):
    scorer = ChangeScores(clip_similarity(f"transformers:{folder / 'clip'}"))
    change = scorer.score(frames, "whatever")["change"]
    clip = CLIPModel.from_pretrained(folder / "clip").eval()
    pictures = [Image.fromarray(frames[0]), Image.fromarray(frames[-1])]
    inputs = CLIPProcessor.from_pretrained(folder / "clip")(text="", images=pictures, return_tensors="pt")
    first, last = clip(**inputs).image_embeds
    assert change.dtype == np.float32
    assert change.shape == ()
    assert float(change) == pytest.approx(float(torch.cosine_similarity(first, last, dim=0)), abs=1e-5)
    assert float(change) < 0.99
    assert scorer.score(frames[:1].repeat(3, 0), "")["change"] == pytest.approx(1)


def _plain(*colours) -> np.ndarray:
    return np.array(colours, np.uint8)[:, None, None].repeat(4, 1).repeat(5, 2)


@pytest.mark.parametrize(
    ("colours", "expected"),
    [
        # Grey has no hue and no saturation: a third of the change of its value, ten times.
        ([(10, 10, 10), (40, 40, 40)], 100),
        # The mean over pairs, not their sum: 30, then nothing, then 30 back.
        ([(10, 10, 10), (40, 40, 40), (40, 40, 40), (10, 10, 10)], 200 / 3),
        # Red to green is 120 degrees, 60 of OpenCV's 180 steps.
        ([(255, 0, 0), (0, 255, 0)], 200),
        # Red to a red that is 20 degrees from it on the other side, 170 steps away: hues do not wrap.
        ([(255, 0, 0), (255, 0, 85)], 1700 / 3),
    ],
)
def test_motion_of_plain_pictures_is_known(colours, expected):
    assert motion_score(_plain(*colours)) == pytest.approx(expected)
    score = MotionScores().score(_plain(*colours), "")["motion"]
    assert score.dtype == np.float32
    assert score.shape == ()
    assert float(score) == pytest.approx(expected, rel=1e-6)


def test_motion_agrees_with_colours_computed_one_by_one():
    clip = np.random.default_rng(1).integers(0, 256, (3, 6, 7, 3), dtype=np.uint8)
    hsv = np.array([colorsys.rgb_to_hsv(*(pixel / 255)) for pixel in clip.reshape(-1, 3)]).reshape(clip.shape)
    steps = np.round(hsv * (180, 255, 255))
    expected = 10 * np.abs(np.diff(steps, axis=0)).mean()
    assert motion_score(clip) == pytest.approx(expected, rel=2e-3)
    assert motion_score(clip[..., ::-1]) != pytest.approx(expected, rel=2e-3)


def test_motion_needs_two_frames():
    with pytest.raises(ValueError, match="two frames or more, not in 1"):
        motion_score(np.zeros((1, 4, 4, 3), np.uint8))


def _square(x: float, y: float, side: float) -> np.ndarray:
    """21 joints within a square whose corners are among them."""
    joints = np.random.default_rng(0).uniform(0, side, (21, 3)).astype(np.float32)
    joints[:4, :2] = [[0, 0], [side, 0], [0, side], [side, side]]
    return joints + np.array([x, y, 0], np.float32)


def test_hands_are_counted_and_their_region_is_the_union_over_the_clip():
    frames = np.zeros((4, 20, 40, 3), np.uint8)
    found = [
        [],
        [Hand(_square(2, 3, 4), 0.3), Hand(_square(30, 3, 4), 0.9)],
        [Hand(_square(4, 3, 4), 0.5)],
        [Hand(_square(38, 18, 10), 0.7)],
    ]
    asked = []

    def estimator(pictures):
        asked.append(pictures.shape)
        return found

    scores = HandScores(estimator, {"estimator": "known"}).score(frames, "")
    assert asked == [frames.shape]
    assert {name: (value.dtype, value.shape) for name, value in scores.items()} == {
        "hands": (np.float32, (4,)),
        "hand_confidence": (np.float32, (4,)),
        "region": (np.float32, ()),
    }
    assert scores["hands"].tolist() == [0, 2, 1, 1]
    np.testing.assert_allclose(scores["hand_confidence"], [0, 0.9, 0.5, 0.7])
    # Columns 2 to 8, then 30 to 34, rows 3 to 7; the last hand lies all but 2x2 pixels outside.
    assert float(scores["region"]) == pytest.approx((7 * 5 + 5 * 5 + 2 * 2) / 800)
    over = HandScores(estimator, {"estimator": "known"}, "over_hands").score(frames, "")
    assert float(over["region"]) == pytest.approx((33 * 5 + 2 * 2) / 800)


def test_an_estimator_that_does_not_say_how_sure_it_is_gives_no_number():
    found = [[Hand(_square(1, 1, 2), None)], []]
    scores = HandScores(lambda frames: found, {}).score(np.zeros((2, 8, 8, 3), np.uint8), "")
    assert np.isnan(scores["hand_confidence"]).tolist() == [True, False]
    assert scores["hands"].tolist() == [1, 0]


def test_what_hand_scores_fingerprint_holds_the_estimators_weights():
    class Estimator(nn.Linear):
        def forward(self, frames):
            return [[] for _ in frames]

    torch.manual_seed(0)
    made = [HandScores(Estimator(2, 2), {"estimator": "tiny"}).fingerprint for _ in range(2)]
    assert json.loads(json.dumps(made[0])) == made[0]
    assert {key for key in made[0] if made[0][key] != made[1][key]} == {"weights"}
    assert HandScores(Estimator(2, 2), {}, "over_hands").fingerprint["hull"] == "over_hands"


def test_region_share_is_the_covered_part():
    mask = np.zeros((4, 10), bool)
    mask[1, 2:5] = True
    assert region_share(mask) == pytest.approx(3 / 40)


def test_frame_numbers_are_those_of_the_sample():
    generator = torch.Generator().manual_seed(0)
    numbers = frame_numbers(draw_sample("evenly_spaced", 91, 16, None, generator))
    assert numbers.tolist() == list(range(0, 91, 6))
    with pytest.raises(ValueError, match="blended"):
        frame_numbers(draw_sample("seer_blend", 91, 16, None, generator))
