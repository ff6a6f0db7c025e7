"""CLIP metrics against transformers' own forward on a tiny random CLIP."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.clip import ClipFrames, ClipToConsecutive, ClipToText, ClipToTruth, ClipVideoToText
from showme.perception.similarity import ClipSimilarity

from ...perception.test_similarity import make_tiny_clip

_METRICS = (ClipToTruth, ClipToText, ClipToConsecutive, ClipVideoToText)
_WORDS = ("open jar", "lift mug", "turn", "push it")
_COUNT, _FRAMES = 16, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip")
    make_tiny_clip(path)
    return path


@pytest.fixture
def frames(folder) -> ClipFrames:
    return ClipFrames(ClipSimilarity.from_pretrained(folder))


def _smooth(seed: int) -> np.ndarray:
    """uint8 (16, 4, 40, 60, 3), no two frames alike."""
    small = np.random.default_rng(seed).integers(0, 256, (_COUNT * _FRAMES, 4, 4, 3), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(each).resize((60, 40), Image.Resampling.BICUBIC)) for each in small]
    return np.stack(large).reshape(_COUNT, _FRAMES, 40, 60, 3)


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).movedim(-1, -3) / 255


def _pairs(rows: slice = slice(None)) -> Pairs:
    instructions = [_WORDS[number % 4] for number in range(_COUNT)]
    ids = [f"clip {number}" for number in range(_COUNT)]
    return Pairs(_tensor(_smooth(1))[rows], _tensor(_smooth(2))[rows], instructions[rows], ids[rows])


@torch.no_grad()
def _expected(folder) -> dict[type, np.ndarray]:
    """From the logits and features that transformers computes for files of these pixels."""
    network, processor = CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)
    seen = []
    for clips in (_smooth(1), _smooth(2)):
        pictures = [Image.fromarray(each) for each in clips.reshape(-1, 40, 60, 3)]
        out = network(**processor(text=list(_WORDS), images=pictures, padding=True, return_tensors="pt"))
        seen.append(out)
    made, true = (out.image_embeds.double().reshape(_COUNT, _FRAMES, -1) for out in seen)
    logits = (seen[0].logits_per_image / network.logit_scale.exp()).double().reshape(_COUNT, _FRAMES, 4)
    words = seen[0].text_embeds.double()[[number % 4 for number in range(_COUNT)]]
    cosine = torch.nn.functional.cosine_similarity
    return {
        ClipToTruth: cosine(made, true, dim=-1).mean(1).numpy(),
        ClipToText: np.array([logits[n, :, n % 4].mean() for n in range(_COUNT)]),
        ClipToConsecutive: cosine(made[:, :-1], made[:, 1:], dim=-1).mean(1).numpy(),
        ClipVideoToText: cosine(made.mean(1), words, dim=-1).numpy(),
    }


def test_the_four_cosines_are_those_of_transformers(frames, folder):
    expected = _expected(folder)
    for kind in _METRICS:
        assert expected[kind].std() > 0.001
        seen = kind(frames).score(_pairs())
        assert seen.dtype == torch.float64
        np.testing.assert_allclose(seen.numpy(), expected[kind], rtol=0, atol=1e-5)


def _cubic(size: int, target: int) -> np.ndarray:
    """(target, size): cubic convolution with a = -0.75 at the centres of the target's pixels, edges repeated."""

    def weight(distance: float) -> float:
        x = abs(distance)
        if x <= 1:
            return 1.25 * x**3 - 2.25 * x**2 + 1
        return -0.75 * x**3 + 3.75 * x**2 - 6 * x + 3 if x < 2 else 0.0

    matrix = np.zeros((target, size))
    for row in range(target):
        place = (row + 0.5) * size / target - 0.5
        for column in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            matrix[row, min(max(column, 0), size - 1)] += weight(place - column)
    return matrix


@torch.no_grad()
def test_squash_bends_the_whole_picture_bicubically_without_smoothing(folder):
    network, processor = CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)
    pixels = np.concatenate([_smooth(1), _smooth(2)]).reshape(-1, 40, 60, 3) / 255
    small = _cubic(40, 32) @ pixels.transpose(0, 3, 1, 2) @ _cubic(60, 32).T
    assert small.max() > 1 > 0 > small.min()
    mean, spread = (
        np.array(getattr(processor.image_processor, name)).reshape(3, 1, 1) for name in ("image_mean", "image_std")
    )
    given = torch.from_numpy((small - mean) / spread).float()
    features = network.visual_projection(network.vision_model(pixel_values=given).pooler_output).double()
    made, true = features.unflatten(0, (2, _COUNT, _FRAMES))
    expected = torch.nn.functional.cosine_similarity(made, true, dim=-1).mean(1)
    encoder = ClipSimilarity.from_pretrained(folder)
    squashed, cropped = (ClipToTruth(ClipFrames(encoder, resize)) for resize in ("squash", "processor"))
    torch.testing.assert_close(squashed.score(_pairs()), expected, atol=1e-5, rtol=0)
    assert float((cropped.score(_pairs()) - expected).abs().max()) > 1e-3
    assert squashed.fingerprint != cropped.fingerprint


def test_equal_clips_have_cosine_1_and_one_frame_has_no_next(frames):
    pairs = _pairs()
    same = ClipToTruth(frames).score(Pairs(pairs.generated, pairs.generated, pairs.instructions, pairs.ids))
    torch.testing.assert_close(same, torch.ones(_COUNT, dtype=torch.float64), atol=1e-12, rtol=0)
    still = pairs.generated[:, :1].expand(-1, 3, -1, -1, -1)
    following = ClipToConsecutive(frames).score(Pairs(still, still, pairs.instructions, pairs.ids))
    torch.testing.assert_close(following, torch.ones(_COUNT, dtype=torch.float64), atol=1e-6, rtol=0)
    single = pairs.generated[:, :1]
    assert ClipToConsecutive(frames).score(Pairs(single, single, pairs.instructions, pairs.ids)).isnan().all()


def test_metrics_that_share_frames_look_at_each_clip_once(frames, monkeypatch):
    looked = []
    look = frames.encoder.pictures
    monkeypatch.setattr(frames.encoder, "pictures", lambda pixels: looked.append(len(pixels)) or look(pixels))
    for kind in _METRICS:
        kind(frames).score(_pairs())
    assert looked == [_FRAMES] * 2 * _COUNT
    assert len(frames._seen) == 2 * _COUNT
    few = ClipFrames(frames.encoder, clips=3)
    few(_pairs().generated)
    assert len(few._seen) == 3


@pytest.mark.parametrize("kind", _METRICS)
def test_two_metrics_merged_are_one_fed_everything(frames, kind):
    whole, first, second = kind(frames), kind(frames), kind(frames)
    whole.update(_pairs())
    first.update(_pairs(slice(9, None)))
    second.update(_pairs(slice(0, 9)))
    first.merge_state(second)
    assert float(first.compute()) == pytest.approx(float(whole.compute()), abs=1e-7)


def test_long_instructions_are_refused_or_cut(frames, folder):
    pairs = _pairs(slice(0, 1))
    long = Pairs(pairs.generated, pairs.reference, ["abcdefghijklmnopqrstuvwxyz"], pairs.ids)
    cut = ClipFrames(ClipSimilarity.from_pretrained(folder, truncate=True))
    assert (
        ClipToText(cut).text_reader.cuts(long.instructions).endswith("'opqrstuvwxyz' is beyond them and is not judged.")
    )
    for kind in (ClipToText, ClipVideoToText):
        with pytest.raises(InputError, match="has 28 tokens"):
            kind(frames).score(long)
        assert abs(float(kind(cut).score(long))) <= 1
    assert ClipToText(cut).fingerprint != ClipToText(frames).fingerprint
