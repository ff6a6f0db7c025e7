"""``showme evaluate prefer``: what it prints and writes, and one sentence for what cannot be."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from tests.studio.judge.conftest import write_candidates, write_instructions

from .test_data import run
from .test_imports import imported


@pytest.fixture
def places(tmp_path):
    return [*write_candidates(tmp_path, count=2), write_instructions(tmp_path, 2)]


def prefer(places, *words):
    a, b, instructions = places
    return ("evaluate", "prefer", a, b, "--instructions", instructions, *words)


def test_a_study_is_begun_without_torch_and_without_gradio(places, tmp_path):
    code, heavy = imported(*prefer(places, "--out", tmp_path / "out", "--no-serve"))
    assert (code, heavy) == (0, set())
    assert (tmp_path / "out" / "study.json").exists()


def test_its_settings_are_kept(places, tmp_path, capsys):
    words = ("--out", tmp_path / "out", "--name", "old", "--name", "../new", "--question", "motion: Which moves?",
             "--no-ties", "--title", "Old or new", "--seed", 3, "--csv", tmp_path / "sub" / "answers.csv")  # fmt: skip
    code, said, _ = run(*prefer(places, *words, "--no-serve"), capsys=capsys)
    assert code == 0
    assert said.splitlines()[:2] == ["Which moves?", "  No answers yet."]
    study = json.loads((tmp_path / "out" / "study.json").read_text())
    assert [each["name"] for each in study["candidates"]] == ["old", "../new"]
    assert study["questions"] == [{"key": "motion", "text": "Which moves?"}]
    assert (study["ties"], study["title"], study["seed"]) == (False, "Old or new", 3)
    assert (tmp_path / "sub" / "answers.csv").read_text().startswith("judge,clip,first,second,question,winner")
    # Without folders the study of --out goes on.
    code, said, _ = run("evaluate", "prefer", "--out", tmp_path / "out", "--no-serve", capsys=capsys)
    assert (code, said.splitlines()[-1]) == (0, f"study:   {tmp_path / 'out'}")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--question", "better"), "--question 'better' has no colon: write it as 'key: text'."),
        (("--question", "B!: x"), "--question 'B!: x': a key is small letters, digits and _, 40 at most"),
        (("--question", "b:"), "--question 'b:': a text has 1 to 400 characters"),
        (("--question", "b: x", "--question", "b: y"), "two questions have one name, give each its own."),
        (("--name", "x"), "1 names were given for 2 folders of clips: give one for each."),
        (("--name", "x", "--name", "x"), "two candidates have one name, give each its own."),
        (("--title", ""), "The study cannot be: title: "),
        (("--instructions", "nowhere.jsonl"), "There is no file nowhere.jsonl"),
        (("--host", "no.such.host.invalid", "--serve"), "--host no.such.host.invalid is no address"),
    ],
)
def test_bad_settings_are_one_sentence(places, tmp_path, capsys, words, sentence):
    code, _, error = run(*prefer(places, "--out", tmp_path / "out", "--no-serve", *words), capsys=capsys)
    assert code == 2
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_study_or_another_is_refused(places, tmp_path, capsys):
    assert run(*prefer(places, "--out", tmp_path / "out", "--no-serve"), capsys=capsys)[0] == 0
    cases = {
        (
            "evaluate",
            "prefer",
            places[0],
            "--out",
            tmp_path / "x",
            "--no-serve",
        ): "compares two folders of clips at least",
        ("evaluate", "prefer", "--out", tmp_path / "x", "--no-serve"): "There is no study",
        (
            "evaluate",
            "prefer",
            "--out",
            tmp_path / "out",
            "--name",
            "z",
            "--no-serve",
        ): "needs its folders of clips too",
        prefer(places, "--out", tmp_path / "out", "--no-ties", "--no-serve"): "holds another study, 'Which is better?'",
        prefer(places, "--out", places[2], "--no-serve"): "cannot be written to",
        prefer(places, "--out", tmp_path / "out", "--no-serve", "--csv", places[2] / "x.csv"): "choose another --csv",
    }
    for words, sentence in cases.items():
        code, _, error = run(*words, capsys=capsys)
        assert (code, error.count("\n")) == (2, 1), error
        assert sentence in error
    (places[1] / "clip 1.safetensors").unlink()
    code, _, error = run(*prefer(places, "--out", tmp_path / "x", "--no-serve"), capsys=capsys)
    assert code == 2
    assert "has 1 clips that another folder lacks ('clip 1' first)" in error
    assert not (tmp_path / "x").exists()


def test_a_taken_port_is_found_before_anything_is_made(places, tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, error = run(*prefer(places, "--out", tmp_path / "out", "--port", port), capsys=capsys)
    assert code == 2
    assert f"Nothing can listen at 127.0.0.1:{port}" in error
    assert not (tmp_path / "out").exists()


def test_judges_are_served_until_it_is_interrupted(places, tmp_path):
    pytest.importorskip("gradio", reason="the page needs gradio")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    csv = tmp_path / "answers.csv"
    words = prefer(places, "--out", tmp_path / "out", "--port", port, "--csv", csv)
    line = [sys.executable, "-m", "showme.cli", *map(str, words)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            judges, results = (server.stdout.readline().split()[1] for _ in range(2))
            assert judges.startswith(f"http://127.0.0.1:{port}/judge/?token=")
            for link in (judges, results):
                assert urllib.request.urlopen(link).status == 200
            csv.unlink()
            server.send_signal(signal.SIGINT)
            _, error = server.communicate(timeout=20)
        finally:
            server.kill()
    assert server.returncode == 130
    assert error.splitlines()[-1] == "error: interrupted."
    assert "Traceback" not in error
    assert csv.read_text().startswith("judge,")
