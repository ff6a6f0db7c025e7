"""``showme data``: list, check, annotate, curate and cache, as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from PIL import Image

from showme.cli import main
from showme.data.sources.lists import read_exclusions

from ..data.media.videos import write_clip
from ..preparation.conftest import write_squares


def run(*words, capsys) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    output = capsys.readouterr()
    return int(end.value.code or 0), output.out, output.err


@pytest.fixture
def clips(tmp_path):
    """Two good clips, and one that is cut short."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a", "b", "c"):
        write_clip(folder / f"{name}.mp4", frames=40, options={"movflags": "faststart"})
    whole = (folder / "c.mp4").read_bytes()
    (folder / "c.mp4").write_bytes(whole[: len(whole) // 2])
    rows = [{"id": name, "instruction": f"push {name}", "split": "train"} for name in "abc"]
    (folder / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_list_shows_what_there_is(clips, capsys):
    code, out, _ = run("data", "list", clips, "--count", "1", capsys=capsys)
    assert code == 0
    assert out.splitlines() == ["a: push a", f"    {clips / 'a.mp4'}", "clips:   3 train; 3 different instructions"]


def test_check_names_the_bad_and_its_list_leaves_them_out(clips, tmp_path, capsys):
    bad = tmp_path / "bad.jsonl"
    code, out, _ = run("data", "check", clips, "--out", bad, "--processes", "1", capsys=capsys)
    assert code == 1
    assert out.count("bad:     ") == 1
    assert f"bad:     c: {clips / 'c.mp4'} cannot be read as a clip" in out
    assert "checked: 3 clips, 1 bad" in out
    more = ("--out", tmp_path / "more.jsonl", "--quick", "--processes", "1")
    code, out, _ = run("data", "check", clips, f"exclude={bad}", *more, capsys=capsys)
    assert code == 0
    assert out.startswith("checked: 2 clips, 0 bad\n")
    # The list that was given is never emptied by a check of what it leaves.
    run("data", "check", clips, f"exclude={bad}", "--out", bad, "--quick", "--processes", "1", capsys=capsys)
    assert set(read_exclusions(bad)) == {"c"}


def test_black_clips_enter_the_list_only_where_they_are_asked_to(tmp_path, capsys):
    (tmp_path / "a").mkdir()
    for number in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / "a" / f"{number}.png")
    (tmp_path / "index.jsonl").write_text('{"id": "a", "file": "a", "instruction": "push it"}\n')
    command = ("data", "check", tmp_path, "--out", tmp_path / "list.jsonl", "--processes", "1")
    code, out, _ = run(*command, capsys=capsys)
    assert (code, read_exclusions(tmp_path / "list.jsonl")) == (0, {})
    assert "black:   a: every frame of it is black\nchecked: 1 clips, 0 bad\nblack:   1 clips, not in the list" in out
    code, out, _ = run(*command, "--exclude-black", capsys=capsys)
    assert (code, list(read_exclusions(tmp_path / "list.jsonl"))) == (0, ["a"])


def test_annotate_and_curate_say_where_to_look(tmp_path, capsys):
    squares = write_squares(tmp_path / "clips", 3)
    look = ("look.height=32", "look.width=32", "look.frames=6")
    code, out, _ = run(
        "data", "annotate", squares, f"out={tmp_path / 'labels'}", "labels=[hands,flow]",
        "estimators.hands=rendered", *look,
        capsys=capsys,
    )  # fmt: skip
    assert code == 0
    assert out == f"labels:  hands, flow in {tmp_path / 'labels'}, listed in {tmp_path / 'labels' / 'labels.jsonl'}\n"
    curated = tmp_path / "curated"
    code, out, _ = run(
        "data", "curate", squares, f"out={curated}", "rule=handi_motion", "rule.minimum=1", *look, capsys=capsys
    )
    assert code == 0
    assert f"kept:    2 of 3 clips, for the source's field keep: {curated / 'kept.jsonl'}" in out
    code, out, _ = run("data", "list", squares, f"keep={curated / 'kept.jsonl'}", "--count", "0", capsys=capsys)
    assert out == "clips:   2 no split; 1 different instructions\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("list", "nowhere"), "error: There is no nowhere: give a folder or list of clips, or a kind: folder, epic"),
        (("list", "nowhere", "fsp=3"), "error: the command line: there is no field fsp: did you mean fps?"),
        (("list", ".", "colors.hdr=map"), "error: the command line: there is no field colors: did you mean colours?"),
        (("list", "epic_kitchens"), "error: source epic_kitchens: the field annotations is missing: "),
        (("list", "imagenet.yaml"), "error: There is no file imagenet.yaml"),
        (("check", "nowhere", "--processes", "0"), "error: --processes 0: choose 1 or more."),
        (
            ("annotate", "nowhere", "out=x"),
            "error: the command line: the field labels is missing: one or more of hands,",
        ),
        (
            ("annotate", "nowhere", "out=x", "labels=[hands]", "eyes.hands=rendered"),
            "the command line: the field eyes is called estimators now: write that instead.",
        ),
        (("annotate", "nowhere", "out=x", "labels=[hand]"), "error: the command line: labels 'hand': input should be"),
        (("curate", "nowhere", "out=x", "rule=best"), "error: the command line: rule: there is no kind 'best': choose"),
        (("curate", "nowhere", "out=x", "rule=hand_presence", "rule.min_share=2"), "command line: rule.min_share 2: "),
        (("curate", "nowhere", "out=x", "rule.minimum=2"), "rule: its kind is missing: write rule=KIND before"),
        (("curate", "rlds", "path=x", "out=x"), "there is no field path: did you mean source.path?"),
        (("curate", "nowhere", "out=x", "rule=handi_motion"), r"error: There is no nowhere: give a folder"),
    ],
)
def test_mistakes_are_one_sentence(words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("data", *words, capsys=capsys)
    assert code == 2
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1
    assert sentence in lines[0]
    assert not list(tmp_path.iterdir())


def test_listing_needs_no_torch(clips):
    code = "import sys, showme.cli as c\ntry: c.main(sys.argv[1:])\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "data", "list", str(clips)], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_row_is_named_once(tmp_path, capsys):
    write_clip(tmp_path / "a.mp4", frames=4)
    rows = [{"id": "a", "instruction": "x"}, {"instruction": "x"}, {"id": "3", "instruction": " "}]
    (tmp_path / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = run("data", "check", tmp_path, "--out", tmp_path / "bad.jsonl", capsys=capsys)
    assert code == 1
    index = tmp_path / "index.jsonl"
    assert f"bad:     {index}, line 2: the field 'id' is missing" in out
    assert f"bad:     3: {index}, line 3: its instruction is blank" in out
