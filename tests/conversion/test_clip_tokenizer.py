"""The tokenizer made from OpenCLIP's vocabulary file gives OpenCLIP's ids."""

from __future__ import annotations

import gzip

import pytest
from transformers import CLIPTokenizer

from showme.conversion.clip_tokenizer import find_vocabulary, make_tokenizer
from showme.errors import InputError

open_clip = pytest.importorskip("open_clip", reason="open_clip_torch brings the vocabulary and the reference ids")

SENTENCES = [
    "",
    "Pushing the jar to the right",
    "put it down!",
    "wait!!! what?! a!b a!.!b !the ...!",
    "don't, it's we've I'll they'd 's",
    "scooping 250 g of baking soda (3.14%) with a spoon",
    "tab\tand\nnew   line ",
    "under_score-dash/slash <b>tag</b> #@$%^&*()",
    "naïve café e\u0301 Ångström",
    "日本語のテスト मनीष русский",
    "emoji 😀👍🏽 ½ ² Ⅷ",
    "word " * 200,
    "x" * 500,
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """Made from the file, saved and loaded again: what a bundle holds."""
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer(find_vocabulary(None, folder)).save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("sentence", SENTENCES, ids=range(len(SENTENCES)))
def test_ids_are_open_clips(tokenizer, sentence):
    batch = tokenizer(
        [sentence], padding="max_length", truncation=True, max_length=tokenizer.model_max_length, return_tensors="pt"
    )
    assert batch.input_ids.tolist() == open_clip.tokenize([sentence]).tolist()


def test_vocabulary_is_looked_up_in_order(tmp_path, monkeypatch):
    packaged = find_vocabulary(None, tmp_path)
    assert packaged.parent.name == "open_clip"
    beside = tmp_path / packaged.name
    beside.write_bytes(packaged.read_bytes())
    assert find_vocabulary(None, tmp_path) == beside
    with pytest.raises(InputError, match="nowhere"):
        find_vocabulary(tmp_path / "nowhere", tmp_path)


def test_missing_vocabulary_is_one_sentence_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr("showme.conversion.clip_tokenizer.importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"bpe_simple_vocab_16e6\.txt\.gz.*open_clip_torch"):
        find_vocabulary(None, tmp_path)


def test_damaged_or_wrong_vocabulary(tmp_path):
    whole = find_vocabulary(None, tmp_path).read_bytes()
    path = tmp_path / "vocabulary.gz"
    path.write_bytes(whole[:1000])
    with pytest.raises(InputError, match="damaged"):
        make_tokenizer(path)
    path.write_bytes(gzip.compress(b"one\ntwo three\n"))
    with pytest.raises(InputError, match="not CLIP's vocabulary"):
        make_tokenizer(path)
