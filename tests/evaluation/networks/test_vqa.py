"""How likely a network finds an answer, against transformers' own forward and loss on tiny random networks."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from showme.errors import InputError
from showme.evaluation.networks.vqa import QuestionAnswering

from ...perception.captions.tiny_models import save_llava, save_qwen
from .tiny_networks import save_instructblip

_QUESTION = "Does this figure show lift jar Please answer yes or no."


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    path = tmp_path_factory.mktemp("vqa")
    save_instructblip(path / "instructblip")
    save_llava(path / "llava", noisy=True)
    save_qwen(path / "qwen", noisy=True)
    return path


def _pixels(count: int) -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((44, 36), Image.Resampling.BICUBIC)) for each in small])


@torch.no_grad()
def test_an_encoder_and_decoder_finds_what_its_own_loss_says(folders):
    network = InstructBlipForConditionalGeneration.from_pretrained(folders / "instructblip").eval()
    processor = InstructBlipProcessor.from_pretrained(folders / "instructblip")
    labels = processor.tokenizer(["Yes"], return_tensors="pt")["input_ids"]
    assert labels.shape == (1, 2)
    asked = QuestionAnswering.from_pretrained(folders / "instructblip").train()
    seen = asked.answer_log_probabilities(_pixels(64), _QUESTION, "Yes")
    assert seen.shape == (64, 2)
    assert seen.dtype == torch.float64
    assert float(seen.exp().std()) > 1e-3
    for number, pixels in enumerate(_pixels(64)):
        inputs = processor(images=[Image.fromarray(pixels)], text=[_QUESTION], return_tensors="pt")
        loss = network(**inputs, labels=labels).loss
        assert float(seen[number].mean()) == pytest.approx(-float(loss), abs=1e-4)


@torch.no_grad()
def test_a_decoder_finds_what_its_forward_says_of_the_whole_text(folders):
    asked = QuestionAnswering.from_pretrained(folders / "llava")
    _noise(asked.network)
    network, processor = asked.network, LlavaProcessor.from_pretrained(folders / "llava")
    assert isinstance(network, LlavaForConditionalGeneration)
    words, number = "lift drop", len(processor.tokenizer("lift drop")["input_ids"])
    seen = asked.answer_log_probabilities(_pixels(64), "process", words)
    assert seen.shape == (64, number + 1)
    pictures = [Image.fromarray(each) for each in _pixels(64)]
    text = f"USER: <image> process ASSISTANT: {words} </s>"
    inputs = processor(images=pictures, text=[text] * 64, return_tensors="pt")
    logits = network(**inputs).logits[:, -number - 2 : -1].log_softmax(-1)
    expected = logits.gather(2, inputs["input_ids"][:, -number - 1 :, None])[..., 0]
    assert float(expected.std(0).min()) > 1e-3
    torch.testing.assert_close(seen, expected.double(), atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_network_that_sees_pictures_at_their_own_size_agrees_whatever_goes_along(folders):
    asked = QuestionAnswering.from_pretrained(folders / "qwen")
    _noise(asked.network)
    together = asked.answer_log_probabilities(_pixels(9), "process", "lift")
    alone = torch.cat([asked.answer_log_probabilities(_pixels(9)[n : n + 1], "process", "lift") for n in range(9)])
    assert float(together.std(0).min()) > 1e-4
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    inputs = asked._inputs([Image.fromarray(_pixels(1)[0])], "process")
    first = asked.network(**inputs).logits[0, -1].double().log_softmax(-1)
    lift = asked.processor.tokenizer("lift")["input_ids"][0]
    assert float(together[0, 0]) == pytest.approx(float(first[lift]), abs=1e-5)


@torch.no_grad()
def _noise(network) -> None:
    """The tiny chat models say one thing, whatever they see."""
    torch.manual_seed(0)
    for weight in network.parameters():
        if weight.ndim > 1:
            weight.normal_(std=0.3)


def test_control_tokens_and_other_pictures_are_refused(folders):
    asked = QuestionAnswering.from_pretrained(folders / "instructblip")
    for marker in ("<image>", "</s>"):
        with pytest.raises(InputError, match=f"holds '{marker}', which the network reads as a control token"):
            asked.answer_log_probabilities(_pixels(1), f"{_QUESTION} {marker}", "Yes")
    with pytest.raises(ValueError, match="pictures are uint8"):
        asked.answer_log_probabilities(_pixels(1) / 255, _QUESTION, "Yes")


def test_the_record_is_json_and_tells_precision_apart(folders):
    full, half = (
        QuestionAnswering.from_pretrained(folders / "instructblip", dtype=dtype).fingerprint
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert json.loads(json.dumps(full)) == full
    assert {name for name in full if full[name] != half[name]} == {"weights"}


def test_what_is_no_such_network_is_reported(tmp_path):
    with pytest.raises(InputError, match=r"holds no model that answers questions .*: give a folder with config"):
        QuestionAnswering.from_pretrained(tmp_path)
    # A kind that transformers does not know.
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip_t5", "architectures": ["CLIPT5"]}))
    with pytest.raises(InputError, match="cannot be loaded"):
        QuestionAnswering.from_pretrained(tmp_path)
