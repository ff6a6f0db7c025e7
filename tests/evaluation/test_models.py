"""Models that are asked on the fly: the embedded one, resumed, shared, and its codec as the upper bound."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image

from showme.data.media import Rendered
from showme.data.sources.record import Record
from showme.errors import InputError, TruncationWarning
from showme.evaluation.baselines import ThroughCodec
from showme.evaluation.models import Generated, Model
from showme.evaluation.pairs import ReferenceRows
from showme.evaluation.protocol import load_protocol
from showme.methods.output import Output

from .conftest import moving_square, write_set

FIELDS = ["frames=4", "condition_frames=1"]


@pytest.fixture(scope="module")
def model() -> Model:
    return Model("embedded", "cpu")


@pytest.fixture
def reference(tmp_path) -> ReferenceRows:
    clips = {f"{n}": moving_square(3, 4, 128, 150 + 40 * n) for n in range(2)}
    write_set(tmp_path / "true", clips)
    records = [
        Record(n, Rendered(tmp_path / "true" / f"{n}.safetensors"), "push the red box to the left") for n in clips
    ]
    return ReferenceRows(records, load_protocol("embedded", FIELDS))


def test_answers_are_made_once_and_kept(model, reference, tmp_path, monkeypatch):
    calls = []
    made = Generated(model, reference, tmp_path / "out")
    made.make_all(lambda *row: calls.append(row))
    assert calls[-1][:3] == ("generated", 2, 2)
    truth = reference.frames(0)
    assert made.frames(0, truth).shape == (4, 128, 128, 3)
    assert made.picture(0).shape == (128, 128, 3)
    again = Generated(model, reference, tmp_path / "out")
    monkeypatch.setattr(Generated, "_answer", lambda *_: pytest.fail("made anew"))
    again.make_all()
    assert np.array_equal(again.frames(1, truth), made.frames(1, truth))
    assert made.identity(0) != made.identity(1)
    assert not list((made.folder / "claims").iterdir())


def test_another_seed_has_another_place(model, reference, tmp_path):
    other = ReferenceRows(reference.records, load_protocol("embedded", [*FIELDS, "seed=5"]))
    assert Generated(model, other, tmp_path).folder != Generated(model, reference, tmp_path).folder
    with pytest.raises(InputError, match="makes pictures of 128x128 pixels, and the protocol embedded compares 96x128"):
        Generated(model, ReferenceRows(reference.records, load_protocol("embedded", ["width=96"])), tmp_path)


def test_protocols_that_show_other_frames_are_for_other_models(model, reference, tmp_path):
    shown = ReferenceRows(reference.records, load_protocol("embedded", ["condition_frames=0"]))
    with pytest.raises(InputError, match="is shown one frame, and the protocol embedded speaks of 0: set"):
        Generated(model, shown, tmp_path)


def test_the_codec_is_near_its_input_whatever_the_number_of_frames(model):
    frames = np.repeat(moving_square(3, 5, 128), 1, axis=0)
    coded = ThroughCodec(model.codec, model.weights, image=False).frames(0, frames)
    assert coded.shape == frames.shape
    assert np.abs(coded.astype(int) - frames).mean() < 12
    one = ThroughCodec(model.codec, model.weights, image=True).frames(0, frames)
    assert np.abs(one.astype(int) - coded[-1:]).max() <= 1


def test_instructions_that_are_too_long_are_reported_once_and_read_in_windows_by_choice(tiny_bundle, tmp_path):
    write_set(tmp_path / "true", {n: moving_square(3, 4, 32) for n in "ab"})
    # [BOS], 22 words and [EOS] are what the tiny model reads.
    texts = {"a": "push the red box", "b": " ".join(["push the red box"] * 6)}
    records = [Record(n, Rendered(tmp_path / "true" / f"{n}.safetensors"), text) for n, text in texts.items()]
    small = load_protocol("embedded", [*FIELDS, "width=32", "height=32"])
    reference = ReferenceRows(records, small)
    cut = Generated(Model(str(tiny_bundle), "cpu"), reference, tmp_path)
    with pytest.warns(TruncationWarning) as caught:
        cut.make_all()
    (sentence,) = [str(each.message) for each in caught if isinstance(each.message, TruncationWarning)]
    assert "1 of 2 instructions is longer than the 24 tokens that the model reads: of the first, clip 'b'," in sentence
    chunked = Generated(Model(str(tiny_bundle), "cpu", "chunk"), reference, tmp_path)
    assert chunked.folder != cut.folder
    with warnings.catch_warnings():
        warnings.simplefilter("error", TruncationWarning)
        chunked.make_all()
    truth = reference.frames(0)
    assert np.array_equal(chunked.frames(0, truth), cut.frames(0, truth))
    assert not np.array_equal(chunked.frames(1, truth), cut.frames(1, truth))
    refusing = Generated(Model(str(tiny_bundle), "cpu", "refuse"), reference, tmp_path / "refused")
    with pytest.raises(InputError, match="clip 'b', 'red box' is beyond them: shorten"):
        refusing.make_all()
    assert not refusing.folder.exists()


def test_a_model_of_several_first_frames_is_shown_as_many(model, reference, tmp_path, monkeypatch):
    monkeypatch.setattr(Model, "references", 2)
    given = []

    def answer(image, *words, **named):
        given.append(image)
        frames = [Image.new("RGB", (128, 128))] * 4
        return Output(image=frames[0], frames=frames)

    monkeypatch.setattr(model, "pipeline", type("Pipeline", (), {
        "config": model.pipeline.config, "scheduler": model.pipeline.scheduler, "backbone": model.pipeline.backbone,
        "__call__": staticmethod(answer),
    })())  # fmt: skip
    two = ReferenceRows(reference.records, load_protocol("embedded", ["frames=4", "condition_frames=2"]))
    for rows in (two, reference):
        Generated(model, rows, tmp_path / "out")._answer(0)
    assert isinstance(given[0], list)
    assert [np.array_equal(np.asarray(a), b) for a, b in zip(given[0], two.original(0), strict=False)] == [True, True]
    assert isinstance(given[1], Image.Image)
    three = ReferenceRows(reference.records, load_protocol("embedded", ["frames=4", "condition_frames=3"]))
    with pytest.raises(InputError, match="is shown one frame, or 2, and the protocol embedded speaks of 3: set"):
        Generated(model, three, tmp_path)
