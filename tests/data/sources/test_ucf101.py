"""UCF-101: the official lists, and a sentence for every class.

The schema is the published one: ``trainlist01.txt`` with path and class number, ``testlist01.txt`` with paths,
``classInd.txt`` with number and class; the class names are the real ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from showme.data.clips import Look, read_clip
from showme.data.sources import open_source
from showme.data.sources.ucf101 import SENTENCES, Ucf101Source
from showme.errors import InputError

from ..media.videos import HEIGHT, WIDTH, decode_all, write_clip

CLASSES = "1 Biking\r\n2 HandstandPushups\r\n3 YoYo\r\n"
TRAIN = "Biking/v_Biking_g08_c01.avi 1\r\nHandstandPushups/v_HandStandPushups_g08_c01.avi 2\r\n"
TEST = "YoYo/v_YoYo_g01_c01.avi\r\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (tmp_path / "UCF-101").mkdir()
    for name, text in {"classInd": CLASSES, "trainlist02": TRAIN, "testlist01": TEST}.items():
        (lists / f"{name}.txt").write_text(text, newline="")
    return tmp_path


def source(folder: Path, **fields) -> Ucf101Source:
    fields = {"number": 2, "videos": folder / "UCF-101", "lists": folder / "ucfTrainTestlist", **fields}
    return Ucf101Source(kind="ucf101", **fields)


def test_lists_and_pixels(folder):
    for row in TRAIN.split("\r\n")[:-1]:
        path = folder / "UCF-101" / row.split()[0]
        path.parent.mkdir()
        write_clip(path, 8, codec="mpeg4", fps=25)
    fields = [f"videos={folder / 'UCF-101'}", f"lists={folder / 'ucfTrainTestlist'}", "number=2"]
    first, second = open_source("ucf101", fields).records()
    assert (first.id, first.instruction, first.split) == ("v_Biking_g08_c01", "A person is riding a bicycle.", "train")
    assert (second.id, second.instruction) == (
        "v_HandStandPushups_g08_c01",
        "A person is doing handstand push-ups.",
    )
    assert second.origin.endswith("trainlist02.txt, line 2")
    clip = read_clip(first, Look(height=HEIGHT, width=WIDTH, frames=8))
    assert np.array_equal(clip.frames, decode_all(folder / "UCF-101/Biking/v_Biking_g08_c01.avi"))
    (record,) = source(folder, split="test", number=1).read()
    assert (record.id, record.split) == ("v_YoYo_g01_c01", "test")


def test_every_real_class_has_a_sentence_of_its_own(real_data):
    names = (real_data / "labels" / "ucf101_label_map.txt").read_text().split()
    assert list(SENTENCES) == names
    assert len(set(SENTENCES.values())) == len(names) == 101
    for sentence in SENTENCES.values():
        words = sentence.removesuffix(".").split()
        assert words[:3] == ["A", "person", "is"]
        assert words[3].endswith("ing")
        assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("trainlist02", "Biking/v_Biking_g08_c01.avi", r"line 1: it is not 'Class/v_Class_g01_c01\.avi'"),
        ("trainlist02", "Biking/v_Biking_g08_c01.avi 2", r"line 1: .* has no class of classInd\.txt: fetch both again"),
        ("trainlist02", "\nSwimming/v_Swimming_g08_c01.avi 1", r"line 2: .* has no class of classInd\.txt"),
        ("trainlist02", "../Biking/a.avi 1", r"line 1: .* has no class of classInd\.txt"),
        ("trainlist02", "Biking/../a.avi 1", r"line 1: .* has no class of classInd\.txt"),
        ("classInd", "1 Swimming", r"line 1: '1 Swimming' is no class of UCF-101"),
        ("classInd", "1 Biking\n2 Biking", r"line 2: '2 Biking' is no class of UCF-101"),
        ("trainlist02", TRAIN, r"line 1: there is no .*v_Biking_g08_c01\.avi: fetch it"),
        ("trainlist02", "", "lists no clips"),
    ],
)
def test_faults_are_reported_with_file_and_line(folder, name, text, sentence):
    path = folder / "ucfTrainTestlist" / f"{name}.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence) as caught:
        source(folder).records()
    assert f"{name}.txt" in str(caught.value)


def test_what_is_not_there(folder):
    with pytest.raises(InputError, match=r"There is no file .*trainlist03\.txt"):
        source(folder, number=3).records()
    with pytest.raises(InputError, match=r"There is no folder .*: give the one of the videos"):
        source(folder, videos=folder / "none").records()
    with pytest.raises(ValidationError, match="number"):
        source(folder, number=4)
    (folder / "ucfTrainTestlist" / "trainlist02.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"trainlist02\.txt is not UTF-8 text"):
        source(folder).records()


def test_an_id_twice_is_refused(folder):
    clip = folder / "UCF-101" / "Biking" / "v_Biking_g08_c01.avi"
    clip.parent.mkdir()
    clip.touch()
    (folder / "ucfTrainTestlist" / "trainlist02.txt").write_text("Biking/v_Biking_g08_c01.avi 1\n" * 2)
    with pytest.raises(InputError, match=r"line 2: the id 'v_Biking_g08_c01' was given before"):
        source(folder).records()
