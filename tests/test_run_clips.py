"""A run goes on with what it was begun with: clips, their words, spans and pixels, their order, and the model."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from showme.data.clips import Look
from showme.data.media import Rendered, Span
from showme.data.rows import ClipRows
from showme.data.sources.record import Record
from showme.errors import InputError, ShowMeWarning
from showme.run_clips import CLIPS, RunClips

CPU = torch.device("cpu")


@pytest.fixture
def records(tmp_path) -> list[Record]:
    (tmp_path / "run").mkdir()
    records = []
    for name in "abc":
        save_file({"frames": np.full((4, 8, 8, 3), ord(name), np.uint8)}, tmp_path / f"{name}.safetensors")
        records.append(Record(name, Rendered(tmp_path / f"{name}.safetensors"), f"lift {name}", Span(0, 3, "frames")))
    return records


def read(folder: Path, records: list[Record], model: str = "1", draws: int = 1, pixels=lambda row: row) -> RunClips:
    """What a run does: compare, and keep the record where there is none."""
    clips = RunClips(folder / "run", ClipRows(records, Look(8, 8, 2), draws), model)
    clips.check_pixels(pixels, CPU)
    clips.keep()
    return clips


def test_equal_clips_go_on_without_a_word(tmp_path, records):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path, records, draws=2)
        before = (tmp_path / "run" / CLIPS).read_bytes()
        read(tmp_path, records, draws=2)
    assert (tmp_path / "run" / CLIPS).read_bytes() == before
    head, *lines = map(json.loads, before.decode().splitlines())
    assert head["model"] == "1"
    assert [(line["id"], line["instruction"], line["span"], line["latents"]) for line in lines] == [
        (name, f"lift {name}", [0, 3, "frames"], [2 * number, 2 * number + 1]) for number, name in enumerate("abc")
    ]


def test_the_words_are_named_that_the_annotation_has(tmp_path, records):
    a, b, c = (replace(record, written="raise it") for record in records)
    read(tmp_path, [a, b, c])
    read(tmp_path, [replace(a, written="raise it, please"), b, c])
    with pytest.raises(InputError, match=r"another instruction, such as 'b', 'drop it' in place of 'raise it'\)"):
        read(tmp_path, [a, replace(b, instruction="drop b", written="drop it"), c])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a, b, c: [a, replace(b, instruction="drop"), c],
         r"\(1 has another instruction, such as 'b', 'drop' in place of 'lift b'\)"),
        (lambda a, b, c: [a, b], r"\(1 has been removed, such as 'c'\)"),
        (lambda a, b, c: [a, b, c, replace(c, id="d"), replace(c, id="e")], r"\(2 have been added, such as 'd'\)"),
        (lambda a, b, c: [a, replace(b, span=Span(1, 3, "frames")), replace(c, span=None)],
         r"\(2 have another span, such as 'b', \[1, 3, 'frames'\] in place of \[0, 3, 'frames'\]\)"),
        (lambda a, b, c: [replace(a, instruction="drop"), replace(b, id="d"), c],
         r"\(1 has been added, such as 'd', 1 has been removed, such as 'b', 1 has another instruction, such as 'a'"),
        (lambda a, b, c: [b, a, c], r"\(in another order\)"),
    ],
)  # fmt: skip
def test_other_clips_are_named_with_what_to_do(tmp_path, records, change, reason):
    read(tmp_path, records)
    before = (tmp_path / "run" / CLIPS).read_bytes()
    with pytest.raises(
        InputError, match=rf"run was begun with other clips {reason}.*: give the old ones back, or start anew in"
    ):
        read(tmp_path, change(*records))
    assert (tmp_path / "run" / CLIPS).read_bytes() == before


def test_another_model_of_the_same_name_is_refused(tmp_path, records):
    read(tmp_path, records)
    with pytest.raises(
        InputError, match="was begun with another model of the same name: give the old ones back, or start"
    ):
        read(tmp_path, records, model="2")


def test_files_that_were_written_anew_are_known_by_their_pixels(tmp_path, records):
    read(tmp_path, records)
    os.utime(records[1].media.path, ns=(1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path, records)
    with pytest.raises(InputError, match=r"\(1 has other pixels, such as 'b'\): give the old ones back"):
        read(tmp_path, records, pixels=lambda row: row + 7)
    # Elsewhere equal pixels have other latents.
    path = tmp_path / "run" / CLIPS
    path.write_text(path.read_text().replace("cpu ", "another cpu ", 1))
    with pytest.warns(
        ShowMeWarning, match="begun on another device, and the files of 1 clips, such as 'b', were written"
    ):
        read(tmp_path, records, pixels=lambda row: row + 7)


def test_a_run_without_a_record_goes_on_with_a_warning_and_gets_one(tmp_path, records):
    (tmp_path / "run" / "checkpoints" / "step-00000001").mkdir(parents=True)
    with pytest.warns(ShowMeWarning, match="kept no record of its clips: whether these are the same cannot be told"):
        read(tmp_path, records)
    with pytest.raises(InputError, match="removed"):
        read(tmp_path, records[:2])


def test_only_the_first_of_several_processes_writes(tmp_path, records, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    read(tmp_path, records)
    assert not (tmp_path / "run" / CLIPS).exists()


@pytest.mark.parametrize("text", ["", '{"model": "1"}\n', '{"model": "1", "device": "cpu"}\n{"instruction": "lift"}\n'])
def test_a_record_that_is_none_is_named(tmp_path, records, text):
    (tmp_path / "run" / CLIPS).write_text(text)
    with pytest.raises(InputError, match=r"clips\.jsonl is no record of a run's clips: remove it to go on"):
        read(tmp_path, records)
