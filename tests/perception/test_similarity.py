"""Estimators for similarity: their cosines against transformers' own forward, and what they refuse."""

from __future__ import annotations

import json
import shutil
import warnings
from fractions import Fraction

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    BitImageProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    Dinov2Config,
    Dinov2Model,
)

from showme.errors import InputError, TruncationWarning
from showme.perception import clip_similarity, dino_similarity
from showme.perception.similarity import ClipSimilarity, DinoSimilarity

_LONGEST = 16
_SENTENCES = ["open the jar", "", "lift a mug", "z"]
_BLOCK = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


def make_tiny_clip(folder) -> None:
    """A random CLIP whose words are letters."""
    letters = [*"abcdefghijklmnopqrstuvwxyz'"]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    text = {**_BLOCK, "vocab_size": len(words), "max_position_embeddings": _LONGEST, "bos_token_id": len(words) - 2}
    text |= {"eos_token_id": len(words) - 1, "pad_token_id": len(words) - 1}
    vision = {**_BLOCK, "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=12, initializer_factor=10.0)
    CLIPModel(config).save_pretrained(folder)
    processor = CLIPImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32})
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=_LONGEST)
    CLIPProcessor(processor, tokenizer).save_pretrained(folder)


def make_tiny_dino(folder) -> None:
    """A random DINOv2."""
    torch.manual_seed(1)
    config = Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=7, initializer_range=0.3
    )
    Dinov2Model(config).save_pretrained(folder)
    BitImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}).save_pretrained(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    make_tiny_clip(folder / "clip")
    make_tiny_dino(folder / "dino")
    return folder


@pytest.fixture(scope="module")
def clip(folders) -> ClipSimilarity:
    return clip_similarity(f"transformers:{folders / 'clip'}")


@pytest.fixture(scope="module")
def dino(folders) -> DinoSimilarity:
    return dino_similarity(f"transformers:{folders / 'dino'}")


def _pictures(count: int, height: int = 40, width: int = 60) -> np.ndarray:
    """Smooth colours, no two alike."""
    generator = np.random.default_rng(count)
    small = generator.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    size = (width, height)
    return np.stack([np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)) for picture in small])


@torch.no_grad()
def test_clip_agrees_with_the_logits_of_transformers(clip, folders):
    pictures = _pictures(5)
    network = CLIPModel.from_pretrained(folders / "clip").eval()
    processor = CLIPProcessor.from_pretrained(folders / "clip")
    inputs = processor(
        text=_SENTENCES, images=[Image.fromarray(each) for each in pictures], padding=True, return_tensors="pt"
    )
    expected = network(**inputs).logits_per_image / network.logit_scale.exp()
    seen = clip.pictures(pictures) @ clip.texts(_SENTENCES).T
    assert float(expected.std()) > 0.01
    torch.testing.assert_close(seen, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_dino_sees_the_class_token_of_transformers(dino, folders):
    pictures = _pictures(5)
    network = Dinov2Model.from_pretrained(folders / "dino").eval()
    processor = BitImageProcessor.from_pretrained(folders / "dino")
    inputs = processor([Image.fromarray(each) for each in pictures], return_tensors="pt")
    tokens = network(**inputs).last_hidden_state[:, 0]
    expected = torch.nn.functional.cosine_similarity(tokens[:, None], tokens[None], dim=-1)
    features = dino.pictures(pictures)
    assert float(expected.min()) < 0.99
    torch.testing.assert_close(features @ features.T, expected, atol=1e-5, rtol=0)


def test_features_have_length_1_and_do_not_depend_on_what_goes_along(clip, dino):
    # More than go through a network together, and sentences of many lengths.
    pictures = _pictures(35, 32, 32)
    sentences = ["abc"[: n % 4] + " xy" * (n % 5) for n in range(35)]
    for encoder, given in ((clip.pictures, pictures), (dino.pictures, pictures), (clip.texts, sentences)):
        together = encoder(given)
        torch.testing.assert_close(together.norm(dim=1), torch.ones(35))
        assert not together.requires_grad
        for row in (0, 31, 32, 34):
            torch.testing.assert_close(encoder(given[row : row + 1])[0], together[row], atol=1e-5, rtol=0)


def test_a_picture_three_pixels_high_is_not_taken_for_channels_first(clip):
    picture = np.repeat(np.arange(0, 180, 3, dtype=np.uint8)[None, None, :, None], 3, axis=1)
    picture = np.concatenate([picture, picture // 2, 255 - picture], axis=3)
    large = clip.processor.image_processor(Image.fromarray(picture[0]), return_tensors="pt")["pixel_values"]
    given = []
    hook = clip.network.vision_model.register_forward_pre_hook(
        lambda module, args, kwargs: given.append(kwargs["pixel_values"]), with_kwargs=True
    )
    clip.pictures(picture)
    hook.remove()
    torch.testing.assert_close(given[0], large)


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8, 8, 3), np.uint8)]
)
def test_other_pictures_are_refused(clip, dino, wrong):
    for encoder in (clip, dino):
        with pytest.raises(ValueError, match=r"uint8 \(N, H, W, 3\)"):
            encoder.pictures(wrong)


def test_sentences_that_are_too_long_are_refused_or_cut_when_that_is_asked_for(clip, folders):
    long = "abcdefghijklmnopqrstuvwxyz"
    with pytest.raises(InputError, match=f"has 28 tokens and CLIP reads {_LONGEST}"):
        clip.texts(["a", long])
    cut = clip_similarity(f"transformers:{folders / 'clip'}", truncate=True)
    # Kept: a start, 14 letters, an end; the last letter kept is inside a word.
    tokens = cut.processor.tokenizer([long], truncation=True, max_length=_LONGEST, return_tensors="pt")
    with torch.no_grad():
        expected = cut.network.text_projection(cut.network.text_model(**tokens).pooler_output)
    with pytest.warns(
        TruncationWarning, match=f"{_LONGEST} tokens that CLIP reads: '{long[_LONGEST - 2 :]}' is beyond them"
    ):
        features = cut.texts([long])
    torch.testing.assert_close(features, torch.nn.functional.normalize(expected, dim=-1))
    with warnings.catch_warnings():
        # Once for each encoder, and never where it was asked before.
        warnings.simplefilter("error")
        cut.texts([long])
        asked = clip_similarity(f"transformers:{folders / 'clip'}", truncate=True)
        assert f"1 of 2 instructions is longer than the {_LONGEST} tokens" in asked.cuts(["a", long])
        asked.texts([long])
        assert asked.cuts(["a"]) is None
    assert cut.fingerprint != clip.fingerprint


def test_what_a_feature_is_made_of_changes_with_weights_and_processing_but_not_with_the_place(clip, folders, tmp_path):
    shutil.copytree(folders / "clip", tmp_path / "copy")
    shutil.copytree(folders / "clip", tmp_path / "weights")
    shutil.copytree(folders / "clip", tmp_path / "processing")
    weights = load_file(tmp_path / "weights" / "model.safetensors")
    weights["visual_projection.weight"] += 1e-3
    save_file(weights, tmp_path / "weights" / "model.safetensors", {"format": "pt"})
    settings = next(file for file in (tmp_path / "processing").glob("*processor_config.json"))
    settings.write_text(settings.read_text().replace('"shortest_edge": 36', '"shortest_edge": 40'))
    made = {
        name: ClipSimilarity.from_pretrained(tmp_path / name).fingerprint for name in ("copy", "weights", "processing")
    }
    assert json.loads(json.dumps(made["copy"])) == clip.fingerprint
    assert {key for key in clip.fingerprint if made["weights"][key] != clip.fingerprint[key]} == {"weights"}
    assert {key for key in clip.fingerprint if made["processing"][key] != clip.fingerprint[key]} == {"processor"}


def test_what_is_no_such_network_is_reported_in_one_sentence(folders, tmp_path, monkeypatch):
    for make, what in ((clip_similarity, "CLIP"), (dino_similarity, "DINOv2")):
        with pytest.raises(InputError, match=f"holds no {what} model"):
            make(f"transformers:{tmp_path}")
    with pytest.raises(InputError, match="is a dinov2 network, not a CLIP model"):
        clip_similarity(f"transformers:{folders / 'dino'}")
    with pytest.raises(InputError, match="is a clip network, not a DINOv2 model"):
        dino_similarity(f"transformers:{folders / 'clip'}")
    with pytest.raises(InputError, match="no estimator for pictures and sentences named 'clip'"):
        clip_similarity("clip")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="example/absent at revision main is not on this disk"):
        clip_similarity("transformers:example/absent")


def test_damaged_weights_are_reported_and_never_unpickled(folders, tmp_path):
    for name in ("cut", "lacking", "pickled"):
        shutil.copytree(folders / "dino", tmp_path / name)
    whole = (tmp_path / "cut" / "model.safetensors").read_bytes()
    (tmp_path / "cut" / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    weights = load_file(tmp_path / "lacking" / "model.safetensors")
    weights.pop("layernorm.weight")
    save_file(weights, tmp_path / "lacking" / "model.safetensors", {"format": "pt"})
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save({**weights, "more": Fraction(1)}, tmp_path / "pickled" / "pytorch_model.bin")
    lacking = "lacks 1 of the weights of a DINOv2 model, layernorm.weight"
    for name, words in (("cut", "cannot be loaded"), ("lacking", lacking), ("pickled", "cannot be loaded")):
        with pytest.raises(InputError, match=words):
            dino_similarity(f"transformers:{tmp_path / name}")
