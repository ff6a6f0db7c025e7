"""``showme evaluate``: what is written and said, and one sentence for what cannot be."""

from __future__ import annotations

import csv
import json

import pytest

from ..evaluation.conftest import FRAMES, SIZE, moving_square, write_set
from .test_data import run

SMALL = (
    f"protocol.frames={FRAMES}", f"protocol.height={SIZE}", f"protocol.width={SIZE}", "protocol.metrics=[psnr,ssim]",
    "protocol.bootstrap=100",
)  # fmt: skip


@pytest.fixture
def places(tmp_path):
    true = write_set(tmp_path / "true", {f"{n}": moving_square(1, level=150 + n) for n in range(4)}, index=True)
    made = {name: write_set(tmp_path / name, {f"{n}": moving_square(speed, level=150 + n) for n in range(4)})
            for name, speed in (("slow", 0), ("fast", 2))}  # fmt: skip
    return tmp_path, true, made


def test_clips_are_judged_and_compared(places, capsys):
    root, true, made = places
    for name, folder in made.items():
        out = root / "out" / name
        code, said, _ = run("evaluate", folder, true, *SMALL, "--out", out, capsys=capsys)
        assert code == 0
        assert "first frame repeated" in said
        assert said.endswith(f"figures: {out / 'result.json'}, result.csv, result.tex\nlook at: {out / 'index.html'}\n")
        assert {path.name for path in out.iterdir()} >= {"result.json", "result.csv", "result.tex", "index.html"}
    rows = list(csv.DictReader((root / "out" / "slow" / "result.csv").open()))
    result = json.loads((root / "out" / "slow" / "result.json").read_text())
    assert float(rows[0]["psnr"]) == pytest.approx(result["model"]["figures"]["psnr"]["value"])
    slow, fast = root / "out" / "slow", root / "out" / "fast"
    code, said, _ = run("evaluate", "compare", slow, fast, "--out", root / "table.tex", capsys=capsys)
    assert code == 0
    assert "slow" in said
    assert r"\midrule" in (root / "table.tex").read_text()
    run("evaluate", made["fast"], true, *SMALL, "protocol.seed=1", "--out", root / "other", capsys=capsys)
    code, _, error = run("evaluate", "compare", slow, root / "other", capsys=capsys)
    assert code == 2
    assert "seed" in error


def test_a_protocol_is_explained_without_clips(capsys):
    code, said, _ = run("evaluate", "--protocol", "seer", "--explain", "protocol.frames=16", capsys=capsys)
    assert code == 0
    assert "16 frames are taken, each a blend of two neighbours" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("made",), "error: 1 places were given: give two places, the generated clips and the true ones."),
        (("a", "b", "--model", "embedded"), "error: 2 places were given: with --model give the true clips alone."),
        (("a", "b", "frames=3"), "error: 'frames=3': write protocol.field=value, weights.field=value"),
        (("a", "b", "weights.i3=x"), "error: the command line: there is no field i3: did you mean i3d?"),
        (("a", "b", "--protocol", "sere"), "error: There is no protocol 'sere': choose aid-ucf101"),
        (("nowhere", "true"), "error: There is no"),
        (("compare", "a.json"), "error: There is no a.json: give the result.json"),
    ],
)
def test_mistakes_are_one_sentence(words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("evaluate", *words, capsys=capsys)
    assert code == 2
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1
    assert sentence in lines[0]
    assert not list(tmp_path.iterdir())
