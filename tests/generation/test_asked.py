"""``--enrich``: a captioner's words in place of the instruction, asked once and kept."""

from __future__ import annotations

import json

import pytest

from showme.errors import InputError, OutsideError
from showme.generation.request import GenerateRequest
from showme.generation.run import generate
from showme.instruction import split_words
from showme.perception.captions import TabletopWords
from showme.perception.captions.template import tabletop_enrichment

TEXT = "push the red box to the left"


@pytest.fixture
def request_(photo, tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOWME_CACHE", str(tmp_path / "cache"))

    def make(**changes) -> GenerateRequest:
        return GenerateRequest(photo, TEXT, str(tiny_bundle), "image", tmp_path / "out", device="cpu", **changes)

    return make


def test_the_model_reads_what_was_said_and_the_record_holds_both(request_, monkeypatch):
    result = generate(request_(enrich="tabletop"))
    settings = json.loads((result.out / "run.json").read_text())["settings"]
    assert settings["instruction"] == TEXT
    said = tabletop_enrichment(TEXT)
    assert settings["prompt"] == " ".join(split_words(said)) != TEXT
    assert settings["enrich"] == "tabletop"
    assert settings["prompt"] in result.page.read_text()
    first = (result.out / "result.png").read_bytes()
    monkeypatch.setattr(TabletopWords, "answer", lambda *_: pytest.fail("asked twice"))
    assert (generate(request_(enrich="tabletop")).out / "result.png").read_bytes() == first
    assert (generate(request_()).out / "result.png").read_bytes() != first


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nobody", "There is no captioner named 'nobody': choose tabletop, transformers:MODEL or server"),
        ("server:http://127.0.0.1:9#a", "127.0.0.1:9"),
    ],
)
def test_who_cannot_be_asked_is_named_and_nothing_is_written(request_, name, sentence):
    request = request_(enrich=name)
    with pytest.raises((InputError, OutsideError), match=sentence):
        generate(request)
    assert not request.out.exists()
