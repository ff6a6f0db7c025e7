"""ViCLIP's cosine of clip and instruction, on tiny random networks."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.viclip import ViClipToText

from ..networks.tiny_video_text import LETTERS, tiny_viclip


def pairs_of(count: int, frames: int = 12, seed: int = 0) -> Pairs:
    generated = torch.rand(count, frames, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    sentences = [f"{LETTERS[n % 26]}{LETTERS[n % 7]}" for n in range(count)]
    return Pairs(generated, torch.zeros_like(generated), sentences, [str(n) for n in range(count)])


@torch.no_grad()
@pytest.mark.parametrize(("frames", "chosen"), [(12, [0, 2, 3, 5, 6, 8, 9, 11]), (1, [0] * 8)])
def test_the_cosine_of_eight_frames_taken_evenly_and_the_instruction(frames, chosen):
    encoder, pairs = tiny_viclip(), pairs_of(64, frames)
    levels = (pairs.generated[:, chosen] * 255).round() / 255
    mean, spread = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    clips = encoder.network.vision_encoder((levels - mean) / spread)
    texts = torch.cat(
        [encoder.network.text_encoder(torch.tensor([encoder.tokenizer(t)["input_ids"]])) for t in pairs.instructions]
    )
    expected = F.cosine_similarity(clips, texts)
    assert float(expected.std()) > 1e-3
    values = ViClipToText(encoder).score(pairs)
    assert values.dtype == torch.float64
    torch.testing.assert_close(values.float(), expected, rtol=0, atol=1e-5)


def test_instructions_that_are_too_long_are_refused():
    pairs = pairs_of(1)
    with pytest.raises(InputError, match="ViCLIP reads 12"):
        ViClipToText(tiny_viclip()).score(Pairs(pairs.generated, pairs.reference, [LETTERS], ["0"]))


def test_merged_is_all_at_once_in_any_order():
    encoder = tiny_viclip()
    whole, first, second = (ViClipToText(encoder) for _ in range(3))
    for index in range(3):
        batch = pairs_of(2, seed=index)
        whole.update(batch)
        (first if index else second).update(batch)
    first.merge_state(second)
    torch.testing.assert_close(first.compute(), whole.compute(), rtol=1e-12, atol=0)


def test_what_a_value_is_made_of_changes_with_the_weights():
    made = [ViClipToText(encoder).fingerprint["viclip"] for encoder in (tiny_viclip(), tiny_viclip(seed=1))]
    assert json.loads(json.dumps(made[0])) == made[0]
    assert {key for key in made[0] if made[0][key] != made[1][key]} == {"weights"}
