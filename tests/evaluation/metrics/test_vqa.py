"""VQAScore: the question asked, the two probabilities, and the mean over frames."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import InstructBlipForConditionalGeneration, InstructBlipProcessor

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.vqa import VqaScore
from showme.evaluation.networks.vqa import QuestionAnswering

from ..networks.tiny_networks import save_instructblip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("vqa")
    save_instructblip(path)
    return path


def _pixels() -> np.ndarray:
    """uint8 (6, 36, 44, 3)."""
    small = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((44, 36), Image.Resampling.BICUBIC)) for each in small])


def _pairs(rows: slice = slice(None), instructions: tuple[str, ...] = (" lift ", " jar {x} ")) -> Pairs:
    clips = (torch.from_numpy(_pixels()).movedim(-1, 1) / 255).unflatten(0, (2, 3))
    return Pairs(clips[rows], clips[rows], instructions[rows], ["a", "b"][rows])


@torch.no_grad()
def test_the_score_is_the_probability_of_yes_to_the_papers_question(folder):
    network = InstructBlipForConditionalGeneration.from_pretrained(folder).eval()
    processor = InstructBlipProcessor.from_pretrained(folder)
    yes = processor.tokenizer.convert_tokens_to_ids("Yes")
    labels = torch.tensor([[yes, processor.tokenizer.eos_token_id]])
    answer, released = [], []
    for number, pixels in enumerate(_pixels()):
        words = (" lift ", " jar {x} ")[number // 3]
        question = f'Does this figure show "{words}"? Please answer yes or no.'
        inputs = processor(images=[Image.fromarray(pixels)], text=[question], return_tensors="pt")
        out = network(**inputs, labels=labels)
        answer.append(float(out.logits[0, 0].softmax(-1)[yes]))
        released.append(math.exp(-float(out.loss)))
    asked = QuestionAnswering.from_pretrained(folder)
    expected = np.array(answer).reshape(2, 3).mean(1)
    assert VqaScore(asked).score(_pairs()).tolist() == pytest.approx(expected, abs=1e-5)
    expected = np.array(released).reshape(2, 3).mean(1)
    metric = VqaScore(asked, probability="released")
    assert metric.score(_pairs()).tolist() == pytest.approx(expected, abs=1e-5)
    assert metric.fingerprint != VqaScore(asked).fingerprint != VqaScore(asked, answer="yes").fingerprint


def test_two_metrics_merged_are_one_fed_everything(folder):
    asked = QuestionAnswering.from_pretrained(folder)
    whole, first, second = (VqaScore(asked) for _ in range(3))
    whole.update(_pairs())
    first.update(_pairs(slice(1, None)))
    second.update(_pairs(slice(0, 1)))
    first.merge_state(second)
    assert float(first.compute()) == pytest.approx(float(whole.compute()), abs=1e-9)


def test_questions_without_a_place_and_control_tokens_are_refused(folder):
    asked = QuestionAnswering.from_pretrained(folder)
    with pytest.raises(InputError, match=r"must hold \{text\}"):
        VqaScore(asked, question="Is it?")
    with pytest.raises(InputError, match="its answer ' ' a word"):
        VqaScore(asked, answer=" ")
    with pytest.raises(InputError, match="control token"):
        VqaScore(asked).score(_pairs(instructions=("<image>", "lift")))
