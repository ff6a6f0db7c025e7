"""The front door: help, version, doctor, and the checks of the commands that take hours."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

import pytest
from PIL import Image

import showme
from showme.cli import main
from showme.errors import InputError
from showme.explanation import explain


@pytest.fixture
def run(capsys):
    """run(*arguments) -> (exit code, stdout, stderr)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return exit_.value.code, printed.out, printed.err

    return call


def test_importing_and_help_load_nothing_heavy():
    code = (
        "import sys, showme, showme.cli\n"
        "try: showme.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'diffusers', 'transformers', 'numpy', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    assert all(command in done.stdout for command in ("generate", "doctor", "data", "convert"))


def test_version(run):
    assert run("--version") == (0, f"showme {showme.__version__}\n", "")


def test_an_unknown_command_is_one_line(run):
    code, _, stderr = run("genrate")
    assert code == 2
    assert stderr.startswith("error: ")
    assert len(stderr.strip().splitlines()) == 1


def declared_extras() -> set[str]:
    """Of the package's own metadata."""
    return set(importlib.metadata.metadata("showme-video").get_all("Provides-Extra"))


def test_doctor_as_json_says_what_runs(run):
    code, stdout, _ = run("doctor", "--json")
    report = json.loads(stdout)
    assert code == 0
    assert set(report["can_run"]) == {"embedded", "dynamicrafter-256", "dynamicrafter-512", "dynamicrafter-1024"}
    assert report["devices"][0]["device"] == "cpu"
    assert report["h264"] is True
    assert set(report["extras"]) == declared_extras() - {"dev"}
    assert set(report["extras"].values()) == {"installed"}
    assert (report["embedded"] == "verified") == report["can_run"]["embedded"].startswith("yes")


def test_doctor_compares_what_is_installed_with_what_is_needed(monkeypatch):
    from showme import installation, machine

    faults = {"": [], "worlds": [installation.Fault(False, "mujoco 3.3.0 is installed, >=3.3.3 is needed", "mend it")]}
    monkeypatch.setattr(installation, "extras", lambda: ["worlds", "ray"])
    monkeypatch.setattr(installation, "find_faults", lambda extra="": faults.get(extra, []))
    assert machine.check_packages()[:2] == ([], {"worlds": faults["worlds"][0].words, "ray": "installed"})
    assert "mujoco 3.3.0 is installed, >=3.3.3 is needed: mend it" in machine.check_packages()[2]
    faults[""] = [installation.Fault(True, "peft is missing", 'pip install "peft>=0.18"')]
    needed, _, sentences = machine.check_packages()
    assert 'peft is missing: pip install "peft>=0.18"' in sentences
    devices = [{"device": "cpu", "memory_gb": 64.0, "bf16": False}]
    assert set(machine.what_runs(devices, embedded=True, faults=needed).values()) == {"no: peft is missing"}


def test_an_unforeseen_error_names_a_package_of_the_wrong_version(monkeypatch):
    from showme import installation

    fault = installation.Fault(False, "mujoco 3.3.0 is installed, >=3.3.3 is needed", "mend it")
    absent = installation.Fault(True, "ray is missing", "get it")
    faults = {"": [], "ray": [absent], "worlds": [fault]}
    monkeypatch.setattr(installation, "extras", lambda: ["ray", "worlds"])
    monkeypatch.setattr(installation, "find_faults", lambda extra="": faults[extra])
    assert explain(AttributeError("no such thing")) == (
        "no such thing (AttributeError; mujoco 3.3.0 is installed, >=3.3.3 is needed: mend it)",
        1,
    )
    del faults["worlds"][0]
    assert explain(AttributeError("no such thing"))[0] == "no such thing (AttributeError; --debug shows where)"


def test_doctor_as_a_table(run):
    code, stdout, _ = run("doctor")
    assert code == 0
    assert "This machine can run:" in stdout


@pytest.mark.parametrize(
    ("gpu", "verdict"),
    [({"memory_gb": 24.0, "bf16": True}, "yes, on cuda:0 in bf16 or fp16"), ({"memory_gb": 8.0, "bf16": True}, "no: ")],
)
def test_what_runs_follows_the_memory(gpu, verdict):
    from showme.machine import what_runs

    devices = [{"device": "cpu", "memory_gb": 64.0, "bf16": False}, {"device": "cuda:0", **gpu}]
    assert what_runs(devices, embedded=True)["dynamicrafter-1024"].startswith(verdict)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--count", "0"), "--count 0"),
        (("--split", "tset"), "--split 'tset'"),
        (("--processes", "0"), "--processes 0"),
        (("--preview", "-1"), "--preview -1"),
        (("--seed", "-4"), "--seed -4"),
        (("--seed", "9999999", "--count", "2"), "train has the seeds 0 to"),
    ],
)
def test_render_refuses_nonsense_before_it_renders(run, tmp_path, options, words):
    code, _, stderr = run("data", "render", "--out", tmp_path / "clips", *options)
    assert code == 2
    assert words in stderr
    assert not (tmp_path / "clips").exists()


def test_render_hands_everything_over_and_reports_progress(run, tmp_path, monkeypatch):
    calls = []

    def render_dataset(out, count, split, **settings):
        settings.pop("progress")(count, count)
        calls.append((out, count, split, settings))
        return out / "index.jsonl"

    monkeypatch.setattr("showme.worlds.render.render_dataset", render_dataset)
    options = ("--count", 3, "--split", "test", "--seed", 20_000_005, "--processes", 1, "--no-labels")
    code, stdout, stderr = run("data", "render", "--out", tmp_path, *options)
    assert code == 0, stderr
    assert calls == [(tmp_path, 3, "test", {"first_seed": 20_000_005, "processes": 1, "labels": False})]
    assert "3 in" in stdout


def test_the_preview_shows_the_clips(tmp_path, monkeypatch):
    import types

    import numpy as np
    from PIL import Image

    from showme.cli import preview

    clip = types.SimpleNamespace(frames=np.full((16, 32, 32, 3), 90, np.uint8))
    monkeypatch.setattr(preview, "load_clip", lambda path: clip)
    lines = [json.dumps({"file": f"{i}.safetensors", "instruction": f"push box {i}"}) for i in range(5)]
    (tmp_path / "index.jsonl").write_text("\n".join(lines) + "\n")
    with Image.open(preview.draw_preview(tmp_path, tmp_path / "index.jsonl", 2)) as sheet:
        assert sheet.height == 2 * (32 + 18 + 5)


def test_convert_checks_its_arguments_first(run, tmp_path):
    code, _, stderr = run("convert", "dynamicrafter", tmp_path / "none.ckpt", tmp_path / "out")
    assert (code, "There is no file" in stderr) == (2, True)
    (tmp_path / "model.ckpt").write_bytes(b"x")
    code, _, stderr = run("convert", "dynamicrafter", tmp_path / "model.ckpt", tmp_path / "out", "--size", 300)
    assert (code, "--size 300" in stderr) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_checkpoint_is_bad_input(run, tmp_path):
    (tmp_path / "model.ckpt").write_bytes(b"not a checkpoint at all")
    code, _, stderr = run("convert", "dynamicrafter", tmp_path / "model.ckpt", tmp_path / "out", "--size", 256)
    assert code == 2
    assert len([line for line in stderr.splitlines() if line.startswith("error: ")]) == 1


def test_errors_and_their_codes():
    assert explain(InputError("No.")) == ("No.", 2)
    assert explain(RuntimeError("a\nb"))[1] == 1
    assert "\n" not in explain(RuntimeError("a\nb"))[0]


def test_without_a_command_there_is_help(run):
    for arguments in ((), ("data",), ("convert",)):
        code, _, stderr = run(*arguments)
        assert code == 2
        assert "error:" not in stderr
        assert len(stderr.splitlines()) > 5


def test_names_that_no_disk_takes_are_reported_in_a_sentence(run, tmp_path):
    photo = tmp_path / "photo.png"
    Image.new("RGB", (64, 64)).save(photo)
    for option in ("--out", "--model"):
        code, _, stderr = run("generate", photo, "push it", option, "n" * 300)
        assert code == 2
        assert len(stderr.strip().splitlines()) == 1
        assert "Errno" not in stderr
