"""BLIP metrics: what is averaged, and what the record holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BlipForImageTextRetrieval, BlipProcessor

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.blip import BlipCaption, BlipImageText
from showme.evaluation.networks.blip import BlipCaptioner, BlipMatching

from ..networks.tiny_networks import WORDS, save_blip

_INSTRUCTIONS = ["the hand lifts a mug", "opens the jar", "turns a cup", "the table"]


class CountedWords:
    """An encoder whose feature is how often each word occurs."""

    fingerprint = {"words": list(WORDS)}  # noqa: RUF012

    def texts(self, sentences: list[str]) -> torch.Tensor:
        counts = [[each.split().count(word) for word in WORDS] for each in sentences]
        return torch.nn.functional.normalize(torch.tensor(counts).float(), dim=-1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("blip")
    save_blip(path / "matching", "matching")
    save_blip(path / "captions", "captions")
    return path


def _pixels() -> np.ndarray:
    """uint8 (64, 36, 44, 3)."""
    small = np.random.default_rng(0).integers(0, 256, (64, 4, 4, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((44, 36), Image.Resampling.BICUBIC)) for each in small])


def _pairs(rows: slice = slice(None)) -> Pairs:
    clips = (torch.from_numpy(_pixels()).movedim(-1, 1) / 255).unflatten(0, (4, 16))
    names = ["a", "b", "c", "d"]
    return Pairs(clips[rows], clips[rows].flip(1), _INSTRUCTIONS[rows], names[rows])


@torch.no_grad()
def test_image_text_is_the_mean_over_frames_of_what_transformers_says(folder):
    network = BlipForImageTextRetrieval.from_pretrained(folder / "matching").eval()
    processor = BlipProcessor.from_pretrained(folder / "matching")
    matching, cosine = [], []
    for clip, instruction in zip(_pixels().reshape(4, 16, 36, 44, 3), _INSTRUCTIONS, strict=True):
        pictures = [Image.fromarray(each) for each in clip]
        inputs = processor(images=pictures, text=[instruction] * 16, return_tensors="pt")
        matching.append(float(network(**inputs).itm_score.softmax(1)[:, 1].mean()))
        cosine.append(float(network(**inputs, use_itm_head=False).itm_score[:, 0].mean()))
    matcher = BlipMatching.from_pretrained(folder / "matching")
    assert BlipImageText(matcher).score(_pairs()).tolist() == pytest.approx(matching, abs=1e-5)
    assert BlipImageText(matcher, "cosine").score(_pairs()).tolist() == pytest.approx(cosine, abs=1e-5)
    assert BlipImageText(matcher).fingerprint != BlipImageText(matcher, "cosine").fingerprint


def test_caption_is_the_mean_cosine_of_captions_and_instruction(folder):
    captioner = BlipCaptioner.from_pretrained(folder / "captions")
    captions = captioner.captions(_pixels())
    expected = []
    for number, instruction in enumerate(_INSTRUCTIONS):
        cosines = []
        for caption in captions[16 * number : 16 * number + 16]:
            a, b = (np.array([text.split().count(word) for word in WORDS]) for text in (caption, instruction))
            cosines.append(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))
        expected.append(np.mean(cosines))
    assert np.std(expected) > 1e-3
    metric = BlipCaption(captioner, CountedWords())
    assert metric.score(_pairs()).tolist() == pytest.approx(expected, abs=1e-6)
    assert metric.fingerprint["text"] == CountedWords.fingerprint


def test_two_metrics_merged_are_one_fed_everything(folder):
    matcher, captioner = (
        BlipMatching.from_pretrained(folder / "matching"),
        BlipCaptioner.from_pretrained(folder / "captions"),
    )
    for make in (lambda: BlipImageText(matcher), lambda: BlipCaption(captioner, CountedWords())):
        whole, first, second = make(), make(), make()
        whole.update(_pairs())
        first.update(_pairs(slice(3, None)))
        second.update(_pairs(slice(0, 3)))
        first.merge_state(second)
        assert float(first.compute()) == pytest.approx(float(whole.compute()), abs=1e-6)


def test_long_instructions_are_refused(folder):
    pairs = _pairs(slice(0, 1))
    long = Pairs(pairs.generated, pairs.reference, ["mug " * 40], pairs.ids)
    with pytest.raises(InputError, match="has 42 tokens"):
        BlipImageText(BlipMatching.from_pretrained(folder / "matching")).score(long)
