"""Evaluations: figures equal those of the clips, an interruption changes nothing, and no clip is dropped in silence."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showme.errors import InputError, ShowMeWarning, TruncationWarning
from showme.evaluation import runner
from showme.evaluation.protocol import Protocol, load_protocol
from showme.evaluation.request import Request, Weights, check_request
from showme.evaluation.results import FILE, read_result
from showme.evaluation.runner import evaluate
from showme.generation.outputs import write_video
from tests.perception.test_similarity import make_tiny_clip

from .conftest import FRAMES, SIZE, moving_square, write_set

ROOT = Path(__file__).parents[2]
SMALL = [f"frames={FRAMES}", f"height={SIZE}", f"width={SIZE}", "metrics=[psnr,ssim,flow_magnitude_error]",
         "bootstrap=100", "shown_frames=as_generated"]  # fmt: skip


def protocol(*fields: str) -> Protocol:
    return load_protocol("embedded", [*SMALL, *fields])


def request(sets, out: Path, *fields: str, **changes) -> Request:
    made, true = sets
    return Request(**({"reference": str(true), "protocol": protocol(*fields), "out": out, "generated": made} | changes))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    errors = ((a.astype(float) - b) ** 2).mean((1, 2, 3))
    return float(np.mean([10 * math.log10(255**2 / e) if e else 100 for e in errors]))


def test_figures_are_those_of_the_clips(sets, tmp_path):
    _, result = evaluate(request(sets, tmp_path))
    true = [moving_square(n % 3 + 1, level=150 + 10 * n) for n in range(6)]
    made = [moving_square(n % 3, level=145 + 10 * n) for n in range(6)]
    wanted = [psnr(a, b) for a, b in zip(made, true, strict=True)]
    figure = result.model.figures["psnr"]
    assert result.ids == [f"clip {n}" for n in range(6)]
    np.testing.assert_allclose(result.model.clips["psnr"], wanted, atol=1e-6)
    assert figure.value == pytest.approx(np.mean(wanted))
    assert figure.low < figure.value < figure.high
    assert (figure.count, figure.coverage, figure.unit) == (6, 1.0, "dB")
    assert figure.note == "the frames that the model was shown count, which flatters what repeats them"
    (first,) = result.baselines
    assert first.name == "first frame repeated"
    still = [psnr(np.repeat(clip[:1], FRAMES, 0), clip) for clip in true]
    np.testing.assert_allclose(first.clips["psnr"], still, atol=1e-6)
    assert first.figures["flow_magnitude_error"].value > result.model.figures["flow_magnitude_error"].value > 0
    assert read_result(tmp_path / FILE) == result
    assert str(tmp_path) not in (tmp_path / FILE).read_text()
    # Results of the version before had another name for one field.
    before = (tmp_path / FILE).read_text().replace('"fingerprint"', '"made_of"').replace('"format": 3', '"format": 2')
    (tmp_path / "before.json").write_text(before)
    assert read_result(tmp_path / "before.json") == result
    (tmp_path / "before.json").write_text(before.replace('"format": 2', '"format": 1'))
    with pytest.raises(InputError, match="written by another version: run the evaluation again"):
        read_result(tmp_path / "before.json")


def test_left_out_frames_and_quirks_are_reported_beside(sets, tmp_path):
    _, plain = evaluate(request(sets, tmp_path / "plain", "shown_frames=left_out"))
    assert plain.without_quirks == []
    _, quirky = evaluate(request(sets, tmp_path / "quirky", "shown_frames=left_out", "generated_range=min_max"))
    assert [each.name for each in quirky.without_quirks] == ["made", "first frame repeated"]
    assert quirky.without_quirks[0].clips["psnr"] == plain.model.clips["psnr"]
    assert quirky.without_quirks[1].clips["psnr"] == plain.baselines[0].clips["psnr"]
    assert quirky.model.clips["psnr"] != plain.model.clips["psnr"]


def test_pictures_beside_clips_are_what_an_image_protocol_judges(tmp_path):
    true = {f"{n}": moving_square(1, level=150 + n) for n in range(3)}
    write_set(tmp_path / "true", true, index=True)
    for name, clip in true.items():
        (tmp_path / "made" / name).mkdir(parents=True)
        write_video([Image.fromarray(frame) for frame in clip], tmp_path / "made" / name / "action.mp4", 8)
        Image.fromarray(clip[-1]).save(tmp_path / "made" / name / "result.png")
    fields = [*SMALL, "metrics=[psnr]", "task=image", "targets=2"]
    chosen = load_protocol("embedded", fields)
    _, result = evaluate(Request(str(tmp_path / "true"), chosen, tmp_path / "out", tmp_path / "made"))
    wanted = [(100 + psnr(clip[-1:], clip[-2:-1])) / 2 for clip in true.values()]
    np.testing.assert_allclose(result.model.clips["psnr"], wanted, atol=1e-6)


def test_the_nearest_training_clip_is_a_baseline(sets, tmp_path):
    training = {f"train {n}": moving_square(2, level=150 + 10 * n) for n in range(5, -1, -1)}
    write_set(tmp_path / "training", training, index=True)
    _, result = evaluate(request(sets, tmp_path / "out", training=str(tmp_path / "training")))
    nearest = result.baselines[-1]
    assert nearest.name == "nearest training clip"
    true = [moving_square(n % 3 + 1, level=150 + 10 * n) for n in range(6)]
    wanted = [psnr(training[f"train {n}"], true[n]) for n in range(6)]
    np.testing.assert_allclose(nearest.clips["psnr"], wanted, atol=1e-6)


def test_a_second_run_computes_nothing(sets, tmp_path, monkeypatch):
    evaluate(request(sets, tmp_path))
    before = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).unlink()
    from showme.evaluation.metrics.psnr import PeakSignalToNoiseRatio

    monkeypatch.setattr(PeakSignalToNoiseRatio, "score", lambda *_: pytest.fail("computed anew"))
    evaluate(request(sets, tmp_path))
    assert (tmp_path / FILE).read_bytes() == before


def test_killed_runs_end_with_the_same_bytes(sets, tmp_path):
    made, true = sets
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    evaluate(request(sets, whole))
    fields = [f"protocol.{field}" for field in SMALL]
    command = [sys.executable, "-m", "showme.cli", "evaluate", str(made), str(true), *fields, "--out", str(broken)]
    for seconds in (0.0, 0.1):
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while child.poll() is None and not list(broken.glob("features/claims/*")):
            time.sleep(0.001)
        time.sleep(seconds)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert (broken / FILE).read_bytes() == (whole / FILE).read_bytes()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("lacks", "lacks 1 clip, 'clip 5', that the reference has"),
        ("lonely", "has 1 clip, 'more', without a true clip"),
        ("short", "has 3 frames, and the protocol embedded needs 6"),
        ("shape", "is 48x32 pixels, and the protocol embedded compares 32x32"),
        ("broken", "clip 2.safetensors cannot be read as a clip"),
        ("folders", "is a folder of other folders or clips"),
    ],
)
def test_clips_that_do_not_pair_or_fit_give_no_number(tmp_path, change, sentence):
    true = write_set(tmp_path / "true", {f"clip {n}": moving_square(1) for n in range(6)}, index=True)
    made = {f"clip {n}": moving_square(1) for n in range(6)}
    if change == "lacks":
        del made["clip 5"]
    if change == "lonely":
        made["more"] = moving_square(1)
    if change == "short":
        made["clip 2"] = moving_square(1, frames=3)
    if change == "shape":
        made["clip 2"] = np.concatenate([moving_square(1), moving_square(1)[:, :, :16]], axis=2)
    folder = write_set(tmp_path / "made", made)
    if change == "broken":
        (folder / "clip 2.safetensors").write_bytes(b"\x08" + bytes(20))
    if change == "folders":
        write_set(folder / "inner", {"x": moving_square(1)})
    with pytest.raises(InputError, match=sentence):
        evaluate(request((folder, true), tmp_path / "out"))
    assert not (tmp_path / "out" / FILE).exists()


def test_one_clip_has_no_interval_and_results_do_not_lie_among_clips(tmp_path):
    true = write_set(tmp_path / "true", {"one": moving_square(2)}, index=True)
    made = write_set(tmp_path / "made", {"one": moving_square(1)}, index=True)
    _, result = evaluate(request((made, true), tmp_path / "out", "metrics=[psnr]"))
    assert result.model.figures["psnr"].low is None
    assert result.model.name == "made"
    with pytest.raises(InputError, match=r"lies in .*made, where results would be taken for clips"):
        evaluate(request((made, true), made / "out", "metrics=[psnr]"))


def test_clips_of_several_sizes_are_reported(sets, tmp_path):
    made, true = sets
    mixed = write_set(tmp_path / "made", {f"clip {n}": moving_square(1) for n in range(5)})
    write_set(mixed, {"clip 5": moving_square(1, size=2 * SIZE)})
    with pytest.warns(ShowMeWarning, match=r"have 2 sizes \(5 of 32x32, 1 of 64x64\): all are scaled to 32x32"):
        _, result = evaluate(request((mixed, true), tmp_path / "out", "metrics=[psnr]"))
    assert result.record["generated"]["sizes"] == {"32x32": 5, "64x64": 1}
    _, plain = evaluate(request((made, true), tmp_path / "plain", "metrics=[psnr]"))
    assert plain.record["generated"]["sizes"] == {"32x32": 6}


def test_networks_that_are_missing_are_named_before_anything_is_read(sets, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "check_reference", lambda *_: pytest.fail("a clip was read"))
    for metric, words in (("fvd", "i3d_pretrained_400.pt and name it as weights.i3d=FILE"), ("egovlp", "egovlp.pth")):
        with pytest.raises(InputError, match=words):
            evaluate(request(sets, tmp_path, f"metrics=[{metric}]"))
    weights = Weights(i3d=tmp_path / "absent")
    with pytest.raises(
        InputError, match=r"weights.i3d=.*absent is no file; download egovlp.pth .* weights.egovlp=FILE; or"
    ):
        evaluate(request(sets, tmp_path, "metrics=[fvd,egovlp]", weights=weights))
    made, _ = sets
    silent = pytest.raises(InputError, match="clip_to_text reads instructions and the true clip 'clip 0' has none")
    with silent, pytest.warns(ShowMeWarning, match="is judged against itself"):
        evaluate(request((made, made), tmp_path, "metrics=[clip_to_text]"))
    with pytest.raises(InputError, match="Give a folder of generated clips, or --model NAME"):
        evaluate(request(sets, tmp_path, model="embedded"))
    with pytest.raises(InputError, match="compares with true frames that went through the model's autoencoder"):
        evaluate(request(sets, tmp_path, "through_codec=true"))


def test_instructions_that_a_metric_cuts_are_reported_once_with_a_count(tmp_path):
    clips = {name: moving_square(1, level=150) for name in "abc"}
    true = write_set(tmp_path / "true", clips, index=True)
    # The tiny CLIP reads 16 tokens, a letter each, its start and end among them.
    index = true / "index.jsonl"
    rows = [json.loads(line) for line in index.read_text().splitlines()]
    rows[1]["instruction"], rows[2]["instruction"] = "push the red box down", "push the red box up"
    index.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = write_set(tmp_path / "made", {name: moving_square(2) for name in clips})
    make_tiny_clip(tmp_path / "clip")
    asked = request((made, true), tmp_path / "out", "metrics=[clip_to_text,clip_video_to_text]",
                    weights=Weights(clip=str(tmp_path / "clip")))  # fmt: skip
    for _ in range(2):
        with pytest.warns(TruncationWarning) as caught:
            evaluate(asked)
        assert [str(each.message) for each in caught if isinstance(each.message, TruncationWarning)] == [
            "2 of 3 instructions are longer than the 16 tokens that CLIP reads: of the first 'down' is beyond them and "
            "is not judged."
        ]


def test_what_becomes_of_long_instructions_is_chosen_for_a_model_alone(sets, tmp_path):
    with pytest.raises(InputError, match="--long-instructions is for a model that is asked: give --model NAME"):
        check_request(request(sets, tmp_path, long_instructions="chunk"))
