"""The whole run: the same bytes from the same seed, an honest record, and no trace of a failure."""

from __future__ import annotations

import json
from dataclasses import replace

import av
import pytest
from PIL import Image

from showme.errors import InputError
from showme.generation.familiarity import fit_familiarity, image_features
from showme.generation.request import GenerateRequest, check_request, parse_tasks
from showme.generation.run import generate
from showme.manifest import sha256_of
from showme.pipelines import save_bundle
from tests.conftest import TINY_FRAMES, TINY_SIZE, make_tiny_info

FILES = {"first_frame.png", "result.png", "action.mp4", "strip.png", "index.html", "run.json"}
TEXT = "push the red box to the left"


@pytest.fixture
def request_(photo, tiny_bundle, tmp_path):
    return GenerateRequest(photo, TEXT, str(tiny_bundle), out=tmp_path / "out", device="cpu")


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_everything_is_there_and_is_what_the_record_says(request_):
    stages = []
    result = generate(request_, lambda *event: stages.append(event))
    out = request_.out
    assert names(out) == FILES
    record = json.loads((out / "run.json").read_text())
    assert record["outputs"] == {name: sha256_of(out / name) for name in FILES - {"run.json"}}
    assert record["settings"]["prompt"] == TEXT
    assert record["settings"]["guidance"] == 2.0
    assert set(record["seconds"]) == {"load", "image", "video", "write"}
    assert record["input"]["sha256"] == sha256_of(request_.image)
    assert (record["input"]["width"], record["input"]["height"]) == (64, 48)
    assert (
        record["warnings"]
        == list(result.notes)
        == ["25% of the photo was cut off at the left and right. Use --fit pad to keep all of it."]
    )
    assert Image.open(result.result).size == (TINY_SIZE, TINY_SIZE)
    with av.open(str(result.video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == TINY_FRAMES
    assert stages == [
        ("load", 0, 1),
        *(("image", step, 2) for step in range(3)),
        *(("video", step, 2) for step in range(3)),
        ("write", 0, 1),
    ]


def test_same_seed_same_bytes_and_another_seed_others(request_, tmp_path):
    again, other = replace(request_, out=tmp_path / "again"), replace(request_, out=tmp_path / "other", seed=1)
    for one in (request_, again, other):
        generate(one)
    for name in FILES - {"run.json"}:
        assert (request_.out / name).read_bytes() == (again.out / name).read_bytes(), name
    for name in ("result.png", "action.mp4", "strip.png"):
        assert (request_.out / name).read_bytes() != (other.out / name).read_bytes(), name
    first, second = (json.loads((folder / "run.json").read_text()) for folder in (request_.out, again.out))
    del first["seconds"], second["seconds"]
    assert first == second


def test_a_task_alone_gives_what_it_gives_in_company_and_clears_the_other_away(request_, tmp_path):
    generate(request_)
    picture = (request_.out / "result.png").read_bytes()
    (request_.out / "mine.txt").write_text("keep")
    result = generate(replace(request_, task="image"))
    assert result.video is None
    assert names(request_.out) == FILES - {"action.mp4"} | {"mine.txt"}
    assert (request_.out / "result.png").read_bytes() == picture


def test_the_page_says_what_a_user_should_know(photo, tiny_pipeline, tmp_path):
    dark = [Image.new("RGB", (TINY_SIZE, TINY_SIZE), (value % 50, value % 7, value % 3)) for value in range(200)]
    stats = fit_familiarity([image_features(image) for image in dark])
    save_bundle(tiny_pipeline, make_tiny_info(familiarity=stats), tmp_path / "model")
    request = GenerateRequest(photo, "shove the cup <b>", str(tmp_path / "model"), "image", tmp_path / "out")
    generate(replace(request, device="cpu"))
    page = (tmp_path / "out" / "index.html").read_text()
    for words in (
        "cut off at the left and right",
        "never seen &quot;shove&quot;, &quot;b&quot;, nor any word alike",
        "reads &quot;mug&quot; instead",
        "unlike those that the model tiny was trained on",
        "--model dynamicrafter-512",
        "shove the cup &lt;b&gt;",
    ):
        assert words in page
    assert json.loads((tmp_path / "out" / "run.json").read_text())["settings"]["prompt"] == "shove the mug b"


@pytest.mark.parametrize("stage", ["showme.generation.run.load_model", "showme.generation.report.write_video"])
def test_a_failure_leaves_nothing(request_, tmp_path, monkeypatch, stage):
    def fail(*_args):
        raise RuntimeError("the roof is on fire")

    monkeypatch.setattr(stage, fail)
    deep = replace(request_, out=tmp_path / "new" / "deep" / "out")
    with pytest.raises(RuntimeError):
        generate(deep)
    assert not (tmp_path / "new").exists()
    request_.out.mkdir()
    (request_.out / "result.png").write_text("the old one")
    with pytest.raises(RuntimeError):
        generate(request_)
    assert names(request_.out) == {"result.png"}
    assert (request_.out / "result.png").read_text() == "the old one"


def test_the_photo_itself_is_never_overwritten(request_, photo):
    mine = photo.rename(photo.parent / "result.png")
    with pytest.raises(InputError, match="the photo itself"):
        generate(replace(request_, image=mine, out=photo.parent))


@pytest.mark.parametrize(
    ("text", "tasks"),
    [
        ("both", ("image", "video")),
        ("video,image", ("image", "video")),
        ("image, video", ("image", "video")),
        ("Video", ("video",)),
        ("image,both", ("image", "video")),
    ],
)
def test_tasks(text, tasks):
    assert parse_tasks(text) == tasks


@pytest.mark.parametrize(
    "change",
    [
        {"task": "vidoe"},
        {"task": ","},
        {"steps": 0},
        {"steps": 1001},
        {"frames": 0},
        {"frames": 257},
        {"guidance": float("nan")},
        {"guidance": float("inf")},
        {"guidance": -1.0},
        {"seed": -1},
        {"seed": 2**63},
        {"fit": "stretch"},
        {"device": "tpu"},
    ],
)
def test_settings_out_of_range(request_, change):
    with pytest.raises(InputError, match=f"{next(iter(change))}|task"):
        check_request(replace(request_, **change))


def test_an_instruction_that_is_too_long_is_reported_once_read_in_parts_or_refused(request_, tmp_path, recwarn):
    # [BOS], 22 words and [EOS] are what the tiny model reads.
    long = replace(request_, instruction=" ".join(["push the red box"] * 6))
    cut = generate(long)
    (sentence,) = (note for note in cut.notes if "24 tokens" in note)
    assert "'red box' is beyond them and was cut off: say it shorter, or choose --long-instructions chunk" in sentence
    record = json.loads((long.out / "run.json").read_text())
    assert sentence in record["warnings"]
    assert record["settings"]["long_instructions"] == "cut"
    assert not [each for each in recwarn if "tokens" in str(each.message)]
    chunked = generate(replace(long, out=tmp_path / "chunked", long_instructions="chunk"))
    assert not any("tokens" in note for note in chunked.notes)
    assert chunked.record.settings.long_instructions == "chunk"
    assert chunked.result.read_bytes() != cut.result.read_bytes()
    fits = replace(request_, instruction=" ".join(["push the red box"] * 5 + ["to the"]), long_instructions="refuse")
    assert not any("tokens" in note for note in generate(fits).notes)


def test_a_refused_length_is_reported_before_any_network_is_loaded(request_, monkeypatch):
    monkeypatch.setattr("showme.pipelines.load_pipeline", None)
    long = replace(request_, instruction=" ".join(["push the red box"] * 6), long_instructions="refuse")
    with pytest.raises(InputError, match="'red box' is beyond them: say it shorter, or choose --long-instructions"):
        generate(long)
    assert not long.out.exists()
    with pytest.raises(InputError, match="--long-instructions 'no': choose cut, chunk, refuse"):
        check_request(replace(request_, long_instructions="no"))
