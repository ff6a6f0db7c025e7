"""BLIP's matching and captions against transformers' own forward on tiny random networks."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import BlipForConditionalGeneration, BlipForImageTextRetrieval, BlipProcessor

from showme.errors import InputError, TruncationWarning
from showme.evaluation.networks.blip import BlipCaptioner, BlipMatching

from ...perception.test_similarity import make_tiny_clip
from .tiny_networks import save_blip

_SENTENCE = "the hand lifts a mug"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    path = tmp_path_factory.mktemp("blip")
    save_blip(path / "matching", "matching")
    save_blip(path / "captions", "captions")
    make_tiny_clip(path / "clip")
    return path


def _pixels(count: int = 64) -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((44, 36), Image.Resampling.BICUBIC)) for each in small])


@torch.no_grad()
def test_matching_and_cosine_are_those_of_transformers(folders):
    network = BlipForImageTextRetrieval.from_pretrained(folders / "matching").eval()
    processor = BlipProcessor.from_pretrained(folders / "matching")
    pictures = [Image.fromarray(each) for each in _pixels()]
    inputs = processor(images=pictures, text=[_SENTENCE] * 64, return_tensors="pt")
    matching = network(**inputs).itm_score.softmax(1)[:, 1]
    cosines = network(**inputs, use_itm_head=False).itm_score[:, 0]
    assert float(matching.std()) > 0.01
    assert float(cosines.std()) > 0.01
    matcher = BlipMatching.from_pretrained(folders / "matching").train()
    torch.testing.assert_close(matcher.matching(_pixels(), _SENTENCE), matching, atol=1e-5, rtol=0)
    torch.testing.assert_close(matcher.cosines(_pixels(), _SENTENCE), cosines, atol=1e-5, rtol=0)


def test_long_sentences_are_refused_or_cut_as_the_release_cuts_them(folders):
    matcher, cut = (BlipMatching.from_pretrained(folders / "matching", truncate=truncate) for truncate in (False, True))
    long, kept = " ".join(["mug"] * 40), " ".join(["mug"] * 33)
    for judge in (matcher.matching, matcher.cosines):
        with pytest.raises(InputError, match="has 42 tokens and BLIP reads 35"):
            judge(_pixels(2), long)
    with pytest.warns(
        TruncationWarning, match="35 tokens that BLIP reads: 'mug mug mug mug mug mug mug' is beyond them"
    ):
        found = cut.matching(_pixels(2), long)
    torch.testing.assert_close(found, matcher.matching(_pixels(2), kept))
    assert matcher.fingerprint != cut.fingerprint


@torch.no_grad()
def test_captions_are_those_of_transformers_without_the_prompt(folders):
    network = BlipForConditionalGeneration.from_pretrained(folders / "captions").eval()
    processor = BlipProcessor.from_pretrained(folders / "captions")
    pictures = [Image.fromarray(each) for each in _pixels()]
    inputs = processor(images=pictures, text=["a picture of"] * 64, return_tensors="pt")
    tokens = network.generate(**inputs, num_beams=3, min_length=5, max_length=20, do_sample=False)
    whole = processor.batch_decode(tokens, skip_special_tokens=True)
    assert all(each.startswith("a picture of") for each in whole)
    expected = [each[len("a picture of") :].strip() for each in whole]
    assert len(set(expected)) > 4
    assert BlipCaptioner.from_pretrained(folders / "captions").train().captions(_pixels()) == expected


def test_what_a_figure_is_made_of_does_not_name_the_place(folders, tmp_path):
    shutil.copytree(folders / "matching", tmp_path / "copy")
    matcher, copy = (BlipMatching.from_pretrained(each) for each in (folders / "matching", tmp_path / "copy"))
    assert json.loads(json.dumps(matcher.fingerprint)) == copy.fingerprint
    captioner = BlipCaptioner.from_pretrained(folders / "captions")
    assert json.loads(json.dumps(captioner.fingerprint))["prompt"] == "a picture of"


def test_what_is_no_such_network_is_reported_in_one_sentence(folders, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="is a clip network, not a BLIP model for captions: choose one with config"):
        BlipCaptioner.from_pretrained(folders / "clip")
    with pytest.raises(
        InputError, match=r"lacks .* of the weights of a BLIP model for image-text matching, .*: choose another model"
    ):
        BlipMatching.from_pretrained(folders / "captions")
    with pytest.raises(InputError, match=f"{tmp_path} holds no BLIP model for image-text matching"):
        BlipMatching.from_pretrained(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        InputError, match=r"model for image-text matching example/absent at revision v1 is not on this disk, and HF_HUB"
    ):
        BlipMatching.from_pretrained("example/absent@v1")


def test_damaged_weights_are_reported_and_never_unpickled(folders, tmp_path):
    for name in ("cut", "pickled"):
        shutil.copytree(folders / "matching", tmp_path / name)
    whole = (tmp_path / "cut" / "model.safetensors").read_bytes()
    (tmp_path / "cut" / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    weights = load_file(tmp_path / "pickled" / "model.safetensors")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(InputError, match="cut cannot be loaded"):
        BlipMatching.from_pretrained(tmp_path / "cut")
    # Tensors alone may lie in a pickle, as in the hub's older repositories.
    plain = BlipMatching.from_pretrained(folders / "matching").fingerprint
    assert BlipMatching.from_pretrained(tmp_path / "pickled").fingerprint == plain
    torch.save({**weights, "more": Fraction(1)}, tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickled cannot be loaded"):
        BlipMatching.from_pretrained(tmp_path / "pickled")
