"""``showme generate`` from outside: exit codes, one sentence, within two seconds, and nothing left behind."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from showme.cli import main
from tests.pictures.test_photo import bad_files, header_only_png

TEXT = "push the red box to the left"


@pytest.fixture
def run(capsys):
    """run(*arguments) -> (exit code, stdout, stderr) of the command line, in this process."""

    def call(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return exit_.value.code, printed.out, printed.err

    return call


@pytest.fixture
def refused(run, tmp_path, tiny_bundle, photo):
    """refused(words, **what to change): the error says ``words`` in one line, and no folder changed."""

    def check(words, *options, image=photo, text=TEXT, model=tiny_bundle, out=None):
        out = tmp_path / "results" / "out" if out is None else out
        before = everything(tmp_path)
        code, stdout, stderr = run("generate", image, text, "--model", model, "--out", out, *options)
        assert (code, stdout) == (2, ""), stderr
        errors = [line for line in stderr.splitlines() if line.strip()]
        assert len(errors) == 1, stderr
        assert re.match(rf"error: .*({words}).*\.$", errors[0]), errors[0]
        assert everything(tmp_path) == before

    return check


def everything(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}.keys() | {
        path for path in folder.rglob("*") if path.is_dir()
    }


def test_a_photo_becomes_files_and_says_where_to_look(run, photo, tiny_bundle, tmp_path):
    out = tmp_path / "out"
    code, stdout, stderr = run(
        "generate", photo, "push the jar left", "--model", tiny_bundle, "--out", out, "--device", "cpu", "--steps", 1
    )
    assert code == 0, stderr
    for name in ("result.png", "action.mp4", "strip.png", "index.html"):
        assert str(out / name) in stdout
    assert 'note: The model has never seen "jar"' in stdout
    assert "video of the action" in stderr


def test_bad_photos(refused, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, words in bad_files(folder).items():
        refused(words, image=folder / name)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "is empty"), ("  ", "is empty"), ("a" * 10_000, "10,000 characters"), ("\U0001f525\U0001f4a7", "no words")],
)
def test_bad_instructions(refused, text, words):
    refused(words, text=text)


@pytest.mark.parametrize(
    ("model", "words"),
    [("embeded", "There is no model 'embeded'"), ("no/such/model", "There is no model"), ("", "There is no model")],
)
def test_unknown_models(refused, model, words):
    refused(words, model=model)


def test_a_hub_model_that_cannot_be_reached(refused, monkeypatch):
    def unreachable(*_args, **_kwargs):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    refused("hub cannot be reached", model="nobody/nothing")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--task", "vidoe"), r"did you mean video\?"),
        (("--task", ""), "--task is empty"),
        (("--steps", "0"), "--steps 0"),
        (("--frames", "0"), "--frames 0"),
        (("--guidance", "nan"), "--guidance nan"),
        (("--seed", "-1"), "--seed -1"),
        (("--fit", "bend"), "--fit 'bend'"),
        (("--device", "toaster"), "--device 'toaster'"),
        (("--steps", "many"), "'--steps'"),
        (("--no-such-option",), "no-such-option"),
    ],
)
def test_bad_settings(refused, options, words):
    refused(words, *options)


def test_missing_arguments_are_one_line_too(run):
    code, _, stderr = run("generate")
    assert code == 2
    assert len(stderr.strip().splitlines()) == 1


def test_an_output_folder_that_is_a_file(refused, tmp_path):
    (tmp_path / "taken").write_text("x")
    refused("taken is a file", out=tmp_path / "taken")
    refused("taken is a file", out=tmp_path / "taken" / "below")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder where even root cannot write")
def test_an_output_folder_that_cannot_be_written(refused):
    refused("Cannot write", out="/proc/self/out")


def test_damaged_bundles(refused, tiny_bundle, tmp_path):
    flipped = shutil.copytree(tiny_bundle, tmp_path / "flipped")
    weights = flipped / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 0x10
    weights.write_bytes(data)
    refused(r"diffusion_pytorch_model\.safetensors is damaged", model=flipped)
    lacking = shutil.copytree(tiny_bundle, tmp_path / "lacking")
    (lacking / "tokenizer" / "tokenizer.json").unlink()
    refused(r"tokenizer\.json is missing", model=lacking)


def test_failures_are_one_line_and_debug_shows_the_traceback(run, photo, tiny_bundle, tmp_path, monkeypatch):
    def fail(*_args):
        raise RuntimeError("the disk\nis full")

    monkeypatch.setattr("showme.generation.run.load_model", fail)
    arguments = ("generate", photo, TEXT, "--model", tiny_bundle, "--out", tmp_path / "out")
    code, _, stderr = run(*arguments)
    assert code == 1
    assert "error: the disk is full (RuntimeError; --debug shows where)" in stderr
    with pytest.raises(RuntimeError):
        main([*map(str, arguments), "--debug"])


def test_ctrl_c_exits_with_130_and_leaves_nothing(run, photo, tiny_bundle, tmp_path, monkeypatch):
    def interrupt(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("showme.generation.run.load_model", interrupt)
    code, _, stderr = run("generate", photo, TEXT, "--model", tiny_bundle, "--out", tmp_path / "out")
    assert code == 130
    assert stderr.endswith("\nerror: interrupted.\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("case", ["bomb", "missing", "instruction", "model", "task", "damaged", "out"])
def test_bad_input_never_imports_torch_and_is_reported_at_once(case, photo, tiny_bundle, tmp_path):
    arguments = {"image": photo, "text": TEXT, "model": tiny_bundle, "out": tmp_path / "out", "task": "both"}
    if case == "bomb":
        arguments["image"] = tmp_path / "bomb.png"
        arguments["image"].write_bytes(header_only_png(30_000, 30_000))
    elif case == "damaged":
        arguments["model"] = shutil.copytree(tiny_bundle, tmp_path / "copy")
        (arguments["model"] / "vae" / "config.json").write_text("{}")
    elif case == "out":
        arguments["out"] = photo
    else:
        wrong = {"missing": ("image", "nowhere.png"), "instruction": ("text", ""), "model": ("model", "embeded")}
        key, value = wrong.get(case, ("task", "vidoe"))
        arguments[key] = value
    line = ["generate", arguments["image"], arguments["text"], "--model", arguments["model"]]
    line += ["--out", arguments["out"], "--task", arguments["task"]]
    code = "import sys, showme.cli as c\ntry: c.main(sys.argv[1:])\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *map(str, line)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout.strip() == "False"


def test_a_goal_needs_both_tasks_and_a_model_that_knows_goals(refused):
    refused("ask for --task both", "--goal", "--task", "video")
    refused("was not trained to reach a goal", "--goal")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--region", "mask.png"), "The model tiny takes no region: leave --region out, or choose one of IVG."),
        (("--motion", "5"), "The model tiny was not trained with motion strengths: leave --motion out."),
        (("--motion", "-1"), "--motion -1"),
    ],
)
def test_region_and_motion_are_for_models_that_take_them(refused, words, sentence):
    refused(re.escape(sentence.rstrip(".")), *words)
