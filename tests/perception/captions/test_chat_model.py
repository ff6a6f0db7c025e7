"""Chat models of transformers: real classes, loaded from a folder and generating."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from showme.errors import InputError
from showme.perception import captioner
from showme.perception.captions import ENRICHMENT, STATES, AnswerError, AnswerStore, ChatModel, ask

from .tiny_models import SENTENCES, save_llava, save_qwen

_FAMILIES = {"llava": save_llava, "qwen2_vl": save_qwen}


@pytest.fixture(scope="module", params=_FAMILIES)
def folder(request, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    _FAMILIES[request.param](place)
    return place


@pytest.fixture(scope="module")
def noisy(tmp_path_factory) -> ChatModel:
    place = tmp_path_factory.mktemp("noisy")
    torch.manual_seed(0)
    save_llava(place, noisy=True)
    return ChatModel.from_pretrained(place, "cpu", max_new_tokens=400)


@pytest.fixture
def picture() -> Image.Image:
    gradient = Image.linear_gradient("L").resize((40, 32))
    return Image.merge("RGB", (gradient, gradient.rotate(180), gradient))


def test_a_model_in_a_folder_answers_by_name(folder, picture, tmp_path):
    model = captioner(f"transformers:{folder}")
    assert model.name.startswith(f"transformers:{folder}@")
    assert model.answer(picture, STATES, "lift the ball") == " ".join(SENTENCES)
    states = ask(model, STATES, picture, "lift the ball", AnswerStore(tmp_path))
    assert states == tuple(sentence[3:] for sentence in SENTENCES)


def test_the_picture_and_the_whole_question_reach_the_network(folder, picture, monkeypatch):
    model = ChatModel.from_pretrained(folder, "cpu")
    seen = {}

    def generate(**inputs):
        seen.update(inputs)
        return torch.cat([inputs["input_ids"], torch.tensor([[3]])], dim=1)

    monkeypatch.setattr(model.network, "generate", generate)
    model.answer(picture, ENRICHMENT, "lift")
    tokenizer = model.processor.tokenizer
    words = tokenizer.convert_ids_to_tokens(seen["input_ids"][0].tolist())
    question = ENRICHMENT.question("lift").split()
    known = tokenizer.get_vocab()
    assert words[-1 - len(question) : -1] == [word if word in known else "<unk>" for word in question]
    assert {"person", "properly", "lift"} <= set(words)
    image = tokenizer.convert_tokens_to_ids(model.processor.image_token)
    assert (seen["input_ids"] == image).sum() > 1
    alone = model.processor.image_processor(picture, return_tensors="pt")["pixel_values"]
    assert torch.equal(seen["pixel_values"], alone)
    assert alone.std() > 0.1


def test_the_network_looks_at_the_picture(folder, picture):
    model = ChatModel.from_pretrained(folder, "cpu")
    model.network.model.language_model.embed_tokens.weight.normal_()
    for weight in model.network.model.language_model.layers.parameters():
        weight.normal_(std=0.5)
    logits = [
        model.network(**model._inputs(image, "lift")).logits[0, -1] for image in (picture, picture.rotate(90), picture)
    ]
    assert torch.equal(logits[0], logits[2])
    assert not torch.equal(logits[0], logits[1])


def test_an_answer_that_does_not_end_is_no_answer(folder, picture):
    with pytest.raises(AnswerError, match="did not end within 3 tokens"):
        ChatModel.from_pretrained(folder, "cpu", max_new_tokens=3).answer(picture, STATES, "lift the ball")


def test_later_attempts_differ_and_are_the_same_every_time(noisy, picture):
    before = torch.random.get_rng_state()
    answers = [noisy.answer(picture, STATES, "lift", attempt) for attempt in (0, 1, 2, 0, 1, 2)]
    assert answers[:3] == answers[3:]
    assert len(set(answers)) == 3
    assert answers[0] == " ".join(SENTENCES)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("word", ["</s>", "image_token"])
def test_control_tokens_in_an_instruction_are_refused(folder, picture, word):
    model = ChatModel.from_pretrained(folder, "cpu")
    token = model.processor.image_token if word == "image_token" else word
    with pytest.raises(InputError, match=r"which transformers:.* reads as a control token"):
        model.answer(picture, STATES, f"lift {token} up")


def test_other_weights_have_another_name(folder, tmp_path):
    names = [ChatModel.from_pretrained(folder, "cpu").name.split("@")[1]]
    shutil.copytree(folder, tmp_path / "copy")
    names.append(ChatModel.from_pretrained(tmp_path / "copy", "cpu").name.split("@")[1])
    weights = load_file(tmp_path / "copy" / "model.safetensors")
    weights[_head(weights)][0, 0] += 1
    save_file(weights, tmp_path / "copy" / "model.safetensors", {"format": "pt"})
    names.append(ChatModel.from_pretrained(tmp_path / "copy", "cpu").name.split("@")[1])
    assert names[0] == names[1] != names[2]


def _head(weights: dict) -> str:
    """Name of the last layer in a file; families differ in what they put ahead of it."""
    return next(name for name in weights if name.endswith("lm_head.weight"))


def _without_weights(place: Path) -> None:
    (place / "model.safetensors").unlink()


def _objects(place: Path) -> None:
    torch.save({**load_file(place / "model.safetensors"), "more": Fraction(1)}, place / "pytorch_model.bin")
    (place / "model.safetensors").unlink()


def _half_the_file(place: Path) -> None:
    data = (place / "model.safetensors").read_bytes()
    (place / "model.safetensors").write_bytes(data[: len(data) // 2])


def _one_weight_less(place: Path) -> None:
    weights = load_file(place / "model.safetensors")
    del weights[_head(weights)]
    save_file(weights, place / "model.safetensors", {"format": "pt"})


def _another_shape(place: Path) -> None:
    weights = load_file(place / "model.safetensors")
    weights[_head(weights)] = weights[_head(weights)][:4].clone()
    save_file(weights, place / "model.safetensors", {"format": "pt"})


def _another_family(place: Path) -> None:
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | {"model_type": "no-such-model"}))


def _code_of_its_own(place: Path) -> None:
    config = json.loads((place / "config.json").read_text())
    own = {"AutoConfig": "own.Config", "AutoModelForImageTextToText": "own.Network"}
    (place / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": own}))
    (place / "own.py").write_text(f"import pathlib\npathlib.Path({str(place / 'ran')!r}).touch()\n")


def _without_template(place: Path) -> None:
    (place / "chat_template.jinja").unlink()


def _config_of_text(place: Path) -> None:
    (place / "config.json").write_text("not json")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_without_weights, "holds no chat model"),
        (_objects, "cannot be loaded as a chat model"),
        (_half_the_file, "cannot be loaded as a chat model"),
        (_one_weight_less, r"lacks 1 of the weights of a chat model that sees pictures, lm_head\.weight among them"),
        (_another_shape, "cannot be loaded as a chat model"),
        (_another_family, "cannot be loaded as a chat model"),
        (_code_of_its_own, "cannot be loaded as a chat model"),
        (_without_template, "is no chat model that sees pictures .its processor has no chat_template"),
        (_config_of_text, r"holds no chat model .*not a valid JSON"),
    ],
)
def test_folders_that_cannot_be_used_are_refused_in_one_sentence(tmp_path, harm, message):
    place = tmp_path / "model"
    save_llava(place)
    harm(place)
    with pytest.raises(InputError, match=message) as caught:
        ChatModel.from_pretrained(place, "cpu")
    assert "\n" not in str(caught.value)
    assert not (place / "ran").exists()


def test_a_model_that_is_nowhere_is_an_input_error(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"The chat model .* nobody/none-at-all at revision main is not on this disk"):
        captioner("transformers:nobody/none-at-all")
