"""Metrics of EgoVLP against cosines of clips put together by hand, on tiny random networks."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.egovlp import EgoVlpPlus, EgoVlpToText, EgoVlpToTruth

from ..networks.tiny_video_text import LETTERS, tiny_egovlp

_MEAN, _SPREAD = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


@dataclass(frozen=True)
class PairsWithFirst(Pairs):
    """Pairs beside the first frame of each true clip, (B, 3, H, W)."""

    first: torch.Tensor | None = None


def pairs_of(count: int, frames: int = 6, seed: int = 0) -> PairsWithFirst:
    generator = torch.Generator().manual_seed(seed)
    generated, reference = (torch.rand(count, frames, 3, 32, 32, generator=generator) for _ in range(2))
    sentences = [f"{LETTERS[n % 26]} {LETTERS[n % 7]}" for n in range(count)]
    first = torch.rand(count, 3, 32, 32, generator=generator)
    return PairsWithFirst(generated, reference, sentences, [str(n) for n in range(count)], None, first)


@torch.no_grad()
def seen(encoder, clips: torch.Tensor) -> torch.Tensor:
    """Features of clips that have the network's number of frames and its size already."""
    return encoder.network.videos((clips - _MEAN) / _SPREAD)


def test_the_cosine_of_generated_and_true_clip_takes_frames_evenly():
    encoder, pairs = tiny_egovlp(), pairs_of(64, frames=7)
    chosen = [0, 2, 4, 6]
    expected = F.cosine_similarity(seen(encoder, pairs.generated[:, chosen]), seen(encoder, pairs.reference[:, chosen]))
    assert float(expected.std()) > 1e-3
    values = EgoVlpToTruth(encoder).score(pairs)
    assert values.dtype == torch.float64
    torch.testing.assert_close(values.float(), expected, rtol=0, atol=1e-5)
    same = Pairs(pairs.reference, pairs.reference, pairs.instructions, pairs.ids)
    torch.testing.assert_close(EgoVlpToTruth(encoder).score(same), torch.ones(64).double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("frames", [4, 16])
def test_a_single_picture_is_repeated(frames):
    encoder, pairs = tiny_egovlp(frames), pairs_of(8, frames=1)
    sides = (torch.cat([clips] * frames, dim=1) for clips in (pairs.generated, pairs.reference))
    expected = F.cosine_similarity(*(seen(encoder, clips) for clips in sides))
    torch.testing.assert_close(EgoVlpToTruth(encoder).score(pairs).float(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("frames", [4, 16])
def test_plus_has_the_true_first_frame_for_half_of_both_sides(frames):
    encoder, pairs = tiny_egovlp(frames), pairs_of(64, frames=2)
    halves = [pairs.first] * (frames // 2)
    sides = (torch.stack(halves + [clips[:, 1]] * (frames // 2), dim=1) for clips in (pairs.generated, pairs.reference))
    expected = F.cosine_similarity(*(seen(encoder, clips) for clips in sides))
    assert float(expected.std()) > 1e-4
    torch.testing.assert_close(EgoVlpPlus(encoder).score(pairs).float(), expected, rtol=0, atol=1e-5)


def test_plus_without_the_first_frames_is_refused():
    pairs = pairs_of(2)
    without = Pairs(pairs.generated, pairs.reference, pairs.instructions, pairs.ids)
    with pytest.raises(InputError, match=r"needs the first frame of the true clip '0'"):
        EgoVlpPlus(tiny_egovlp()).score(without)


def test_the_cosine_of_clip_and_instruction():
    encoder, pairs = tiny_egovlp(), pairs_of(64, frames=4)
    texts = torch.cat([encoder.texts([sentence]) for sentence in pairs.instructions])
    expected = F.cosine_similarity(seen(encoder, pairs.generated), texts)
    torch.testing.assert_close(EgoVlpToText(encoder).score(pairs).float(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [EgoVlpToTruth, EgoVlpPlus, EgoVlpToText])
def test_merged_is_all_at_once_in_any_order(kind):
    encoder = tiny_egovlp()
    batches = [pairs_of(3, seed=seed) for seed in range(3)]
    whole, first, second = (kind(encoder) for _ in range(3))
    for index, batch in enumerate(batches):
        whole.update(batch)
        (first if index else second).update(batch)
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), whole.compute(), rtol=1e-12, atol=0)


def test_what_a_value_is_made_of_changes_with_weights_and_frames():
    made = [
        EgoVlpToTruth(encoder).fingerprint["egovlp"]
        for encoder in (tiny_egovlp(), tiny_egovlp(seed=1), tiny_egovlp(16))
    ]
    assert json.loads(json.dumps(made[0])) == made[0]
    assert {key for key in made[0] if made[0][key] != made[1][key]} == {"weights"}
    assert "frames" in {key for key in made[0] if made[0][key] != made[2][key]}
