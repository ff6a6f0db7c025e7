"""What a command may import before it answers: refusals by names, settings and headers cost no second of torch's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import showme

EXAMPLE = Path(showme.__file__).parent / "assets" / "examples" / "push_left.png"
RUN = "stage: state_image\nmodel: {model}\nout: {out}\ndata: {{source: {clips}}}\ntraining: {{steps: 1}}\n"
HEAVY = {"torch", "diffusers", "transformers", "peft", "sympy"}


def imported(*line: object) -> tuple[int, set[str]]:
    """Exit code of a command, and which heavy packages it has imported."""
    code = (
        "import sys, showme.cli as c\ntry: c.main(sys.argv[1:])\n"
        "finally: print('\\n' + ' '.join({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, line)], capture_output=True, text=True, check=False)
    return done.returncode, HEAVY & set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("line", [("--help",), ("generate", "--help"), ("train", "--help"), ("evaluate", "--help")])
def test_help(line):
    assert imported(*line) == (0, set())


@pytest.mark.parametrize(
    "line",
    [
        ("generate", "nowhere.png", "push"),
        ("generate", EXAMPLE, "push", "--model", "embeded"),
        ("evaluate", "nowhere", "nowhere", "--protocol", "nope"),
        ("evaluate", "nowhere", "--model", "embedded"),
        ("convert", "dynamicrafter", "nowhere.ckpt", "there"),
    ],
)
def test_refusals(line):
    assert imported(*line) == (2, set())


@pytest.mark.parametrize("command", [("train",), ("data", "cache")])
def test_refused_models(command, tmp_path):
    (tmp_path / "run.yaml").write_text(RUN.format(model="embeded", out=tmp_path / "run", clips=tmp_path))
    assert imported(*command, tmp_path / "run.yaml") == (2, set())


@pytest.mark.parametrize("change", ["data.source=nowhere", "training.stepz=3"])
def test_refused_runs(change, tmp_path):
    (tmp_path / "run.yaml").write_text(RUN.format(model="embedded", out=tmp_path / "run", clips=tmp_path))
    assert imported("train", tmp_path / "run.yaml", change) == (2, set())


def test_a_picture_needs_torch_alone(tmp_path):
    line = ("generate", EXAMPLE, "push the orange case to the left", "--task", "image", "--steps", 1, "--device", "cpu")
    assert imported(*line, "--out", tmp_path / "out") == (0, {"torch"})
