"""The plain folder source and the decoding of its clips."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from showme.data.clips import evenly_spaced, read_frames
from showme.data.sources import read_folder
from showme.errors import InputError
from showme.generation.outputs import write_video


def write_index(folder: Path, *rows) -> Path:
    path = folder / "index.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


@pytest.fixture
def colours() -> np.ndarray:
    """Ten frames (10, 24, 32, 3), each of one grey."""
    return np.stack([np.full((24, 32, 3), 20 * index, np.uint8) for index in range(10)])


def test_records_of_both_layouts(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "9.mp4").touch()
    index = write_index(
        tmp_path, {"id": "x", "file": "a.mp4", "instruction": " push the jar "}, "", {"id": 9, "caption": "lift it"}
    )
    assert read_folder(tmp_path) == read_folder(index)
    first, second = read_folder(tmp_path)
    assert (first.id, first.path, first.instruction) == ("x", tmp_path / "a.mp4", "push the jar")
    assert (second.id, second.path) == ("9", tmp_path / "9.mp4")
    assert read_folder(tmp_path, limit=1) == [first]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("{", "line 1: not a JSON object"),
        ("[1]", "line 1: not a JSON object"),
        ({"id": "a"}, "line 1: it needs an id and an instruction"),
        ({"id": "a", "instruction": " "}, "line 1: it needs an id and an instruction"),
        ({"id": "a", "instruction": "lift it"}, r"line 1: there is no .*a\.mp4"),
        ("", "lists no clips"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, row, sentence):
    write_index(tmp_path, row)
    with pytest.raises(InputError, match=sentence):
        read_folder(tmp_path)


def test_an_index_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "index.jsonl").write_bytes('{"id": "a", "instruction": "lève"}'.encode("latin-1"))
    with pytest.raises(InputError, match=r"index\.jsonl is not UTF-8 text: save it as UTF-8"):
        read_folder(tmp_path)


def test_an_id_twice_and_a_missing_index_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"There is no .*index\.jsonl"):
        read_folder(tmp_path)
    (tmp_path / "a.mp4").touch()
    write_index(tmp_path, *[{"id": "a", "instruction": "lift it"}] * 2)
    with pytest.raises(InputError, match="line 2: the id 'a' was given before"):
        read_folder(tmp_path)


def test_frames_are_the_same_from_every_kind_of_clip(tmp_path, colours):
    save_file({"frames": colours}, tmp_path / "clip.safetensors")
    (tmp_path / "pictures").mkdir()
    for index, frame in enumerate(colours):
        Image.fromarray(frame).save(tmp_path / "pictures" / f"{index:03d}.png")
    write_video([Image.fromarray(frame) for frame in colours], tmp_path / "clip.mp4", 8)
    for name in ("clip.safetensors", "pictures", "clip.mp4"):
        frames, stride = read_frames(tmp_path / name, 4, 16, 16)
        assert frames.shape == (4, 16, 16, 3)
        assert stride == 3
        assert np.abs(frames[:, 8, 8, 0].astype(int) - [0, 60, 120, 180]).max() <= 3, name


def test_a_clip_shorter_than_asked_repeats_frames_instead_of_vanishing(tmp_path, colours):
    save_file({"frames": colours[:3]}, tmp_path / "clip.safetensors")
    frames, stride = read_frames(tmp_path / "clip.safetensors", 6, 24, 32)
    assert frames[:, 0, 0, 0].tolist() == [0, 0, 20, 20, 40, 40]
    assert stride == 1


def test_a_broken_clip_is_named(tmp_path):
    for name in ("broken.mp4", "broken.safetensors"):
        (tmp_path / name).write_bytes(b"no clip at all")
        with pytest.raises(InputError, match=f"{name} cannot be read as a clip"):
            read_frames(tmp_path / name, 4, 16, 16)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no frames"):
        read_frames(tmp_path / "empty", 4, 16, 16)


def test_evenly_spaced_frames_hold_first_and_last():
    assert evenly_spaced(16, 16) == list(range(16))
    assert evenly_spaced(16, 8) == [0, 2, 4, 6, 9, 11, 13, 15]
