"""DINOv2 to the truth against transformers' own class token on a tiny random DINOv2."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BitImageProcessor, Dinov2Model

from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.dino import DinoToTruth
from showme.perception.similarity import DinoSimilarity

from ...perception.test_similarity import make_tiny_dino


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("dino")
    make_tiny_dino(path)
    return path


def _pixels(seed: int) -> np.ndarray:
    """uint8 (64, 36, 44, 3)."""
    small = np.random.default_rng(seed).integers(0, 256, (64, 4, 4, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((44, 36), Image.Resampling.BICUBIC)) for each in small])


def _pairs(rows: slice = slice(None)) -> Pairs:
    made, true = ((torch.from_numpy(_pixels(seed)).movedim(-1, 1) / 255).unflatten(0, (16, 4)) for seed in (1, 2))
    names = [f"clip {number}" for number in range(16)][rows]
    return Pairs(made[rows], true[rows], names, names)


@torch.no_grad()
def test_the_cosine_is_that_of_the_class_tokens_of_transformers(folder):
    network, processor = Dinov2Model.from_pretrained(folder).eval(), BitImageProcessor.from_pretrained(folder)
    made, true = (
        network(**processor([Image.fromarray(each) for each in _pixels(seed)], return_tensors="pt")).last_hidden_state[
            :, 0
        ]
        for seed in (1, 2)
    )
    expected = torch.nn.functional.cosine_similarity(made.double(), true.double()).unflatten(0, (16, 4)).mean(1)
    assert float(expected.std()) > 1e-3
    seen = DinoToTruth(DinoSimilarity.from_pretrained(folder)).score(_pairs())
    torch.testing.assert_close(seen, expected, atol=1e-5, rtol=0)


def test_equal_clips_have_cosine_1_and_merging_changes_nothing(folder):
    encoder, pairs = DinoSimilarity.from_pretrained(folder), _pairs()
    metric, first, second = (DinoToTruth(encoder) for _ in range(3))
    same = metric.score(Pairs(pairs.reference, pairs.reference, pairs.ids, pairs.ids))
    torch.testing.assert_close(same, torch.ones(16, dtype=torch.float64), atol=1e-12, rtol=0)
    metric.update(pairs)
    first.update(_pairs(slice(5, None)))
    second.update(_pairs(slice(0, 5)))
    first.merge_state(second)
    assert float(first.compute()) == pytest.approx(float(metric.compute()), abs=1e-9)
    assert metric.fingerprint["dino"] == encoder.fingerprint
