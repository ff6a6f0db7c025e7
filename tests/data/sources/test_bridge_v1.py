"""BridgeData V1 as Seer arranges it; the pixels are those of real clips of BridgeData.

The schema: ``rawframes/<task>/<number>/<pictures>`` and ``path_id_bridgedata.txt``, a JSON list of "task/number".
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showme.data.clips import Look, read_clip
from showme.data.sources import open_source
from showme.data.sources.bridge_v1 import BridgeV1Source, task_prompt
from showme.errors import ClipError, InputError

from ..media.videos import decode_all, picture

REAL = "bridge_v2_teaser/bridge_data_v1_berkeley_toykitchen1_put_banana_on_plate.mp4"


def write_pictures(folder: Path, pictures, name: str = "im_{}.png") -> Path:
    folder.mkdir(parents=True)
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / name.format(number))
    return folder


def source(path: Path, **fields) -> BridgeV1Source:
    return BridgeV1Source(kind="bridge_v1", path=path, **fields)


@pytest.fixture
def clips(tmp_path) -> Path:
    """Three clips of two tasks."""
    for name in ("put_pan_in_sink/2", "put_pan_in_sink/10", "lift_bowl_distractors/0"):
        write_pictures(tmp_path / name, [picture(0)])
    return tmp_path


@pytest.mark.parametrize(
    ("task", "prompt"),
    [
        ("put_corn_in_pan_which-is_on_stove_distractors", "put corn in pan which is on stove"),
        ("turn_lever_vertical_to-front", "turn lever vertical to front"),
        ("turn_faucet_left_56", "turn faucet left 56"),
        ("lift_bowl", "lift bowl"),
    ],
)
def test_a_task_folder_is_a_sentence(task, prompt):
    assert task_prompt(task, "here") == prompt


def test_real_frames_come_in_the_order_of_their_numbers(real_data, tmp_path):
    pictures = decode_all(real_data / REAL)
    assert len(pictures) > 10
    write_pictures(tmp_path / "rawframes" / "put_banana_on_plate" / "7", pictures)
    (record,) = open_source("bridge_v1", [f"path={tmp_path}"]).records()
    assert (record.id, record.instruction, record.split) == ("put_banana_on_plate/7", "put banana on plate", None)
    assert record.licence.startswith("CC BY 4.0")
    height, width, _ = pictures[0].shape
    clip = read_clip(record, Look(height=height, width=width, frames=len(pictures)))
    assert np.array_equal(clip.frames, pictures)


def test_without_a_list_all_clips_are_read_in_natural_order(clips):
    assert [record.id for record in source(clips).records()] == [
        "lift_bowl_distractors/0",
        "put_pan_in_sink/2",
        "put_pan_in_sink/10",
    ]
    with pytest.raises(InputError, match=r"without path_id_bridgedata\.txt nobody knows the splits"):
        source(clips, split="train").records()


def test_seers_list_has_its_published_split(tmp_path):
    names = [f"put_pan_in_sink/{number}" for number in range(25083)]
    path = tmp_path / "path_id_bridgedata.txt"
    path.write_text(json.dumps(names))
    records = list(source(tmp_path).read())
    assert [record.id for record in records] == names
    splits = [record.split for record in records]
    assert splits == ["train"] * 20066 + ["validation"] * 5017
    assert [record.id for record in source(tmp_path, split="validation").read()] == names[20066:]
    elsewhere = path.rename(tmp_path / "other.txt")
    assert len(list(source(tmp_path, annotations=elsewhere, split="train").read())) == 20066


def test_pictures_may_lie_further_down(tmp_path):
    below = tmp_path / "lift_bowl" / "0" / "raw" / "traj_group0"
    write_pictures(below / "images0", [picture(1)])
    (record,) = source(tmp_path).records()
    assert record.media.path == below / "images0"
    write_pictures(below / "images1", [picture(2)])
    with pytest.raises(
        InputError, match=r"lift_bowl/0.* holds several folders \(images0, images1, \.\.\.\): say which"
    ):
        source(tmp_path).records()
    (record,) = source(tmp_path, camera="raw/traj_group0/images1").records()
    assert np.array_equal(read_clip(record, Look(height=48, width=64, frames=1)).frames[0], picture(2))


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ({"a": 1}, r"path_id_bridgedata\.txt is no JSON list"),
        (["lift_bowl_distractors/0", 3], r"entry 2: '3' is not 'task/number': correct it"),
        (["lift_bowl_distractors"], "entry 1: 'lift_bowl_distractors' is not 'task/number'"),
        (["../0"], r"entry 1: the file '\.\./0' does not lie in"),
        (["_distractors/0"], "entry 1: the task folder '_distractors' says nothing: rename it"),
        (["put_pan_in_sink/2"] * 2, "entry 2: the id 'put_pan_in_sink/2' was given before"),
        (["put_pan_in_sink/3"], r"entry 1: there is no .*put_pan_in_sink/3: fetch it"),
        ([], "lists no clips"),
    ],
)
def test_wrong_entries_are_named(clips, names, sentence):
    (clips / "path_id_bridgedata.txt").write_text(json.dumps(names))
    with pytest.raises(InputError, match=sentence):
        source(clips).records()


def test_missing_files_and_links_out_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"There is no folder .*nowhere: give the one of the clips"):
        source(tmp_path / "nowhere").records()
    with pytest.raises(InputError, match=r"There is no file .*other\.txt"):
        source(tmp_path, annotations=tmp_path / "other.txt").records()
    write_pictures(tmp_path / "outside" / "0", [picture(0)])
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "lift_bowl").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="is a link that leads out of"):
        source(tmp_path / "clips").records()
    (tmp_path / "empty" / "lift_bowl" / "0").mkdir(parents=True)
    (record,) = source(tmp_path / "empty").records()
    with pytest.raises(InputError, match=r"lift_bowl/0 cannot be read as a clip \(it holds no pictures"):
        read_clip(record, Look(height=48, width=64, frames=1))


def test_folders_of_operating_systems_are_no_clips_and_a_pattern_chooses_pictures(tmp_path):
    clip = tmp_path / "lift_the_lid" / "1" / "images0"
    clip.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (8, 8)).save(clip / f"left_{number}.png")
        Image.new("RGB", (8, 8), "white").save(clip / f"right_{number}.png")
    for place in (tmp_path, clip.parents[1], clip.parent, clip):
        (place / "@eaDir" / "1").mkdir(parents=True)
        (place / "._images0").write_bytes(b"\0\5\x16\7")
    (record,) = source(tmp_path, pattern="right_*").records()
    assert record.media.path == clip
    with record.media.open() as frames:
        assert [int(frame.max()) for frame in frames.read([0, 2])] == [255, 255]
    (record,) = source(tmp_path).records()
    with pytest.raises(ClipError, match=r"left_\*\.png \(3\) and right_\*\.png \(3\)"):
        record.media.open()
