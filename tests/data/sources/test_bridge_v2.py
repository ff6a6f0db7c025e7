"""BridgeData V2's raw trajectories; the pixels are those of a real clip of it.

The schema: ``<data set>/<domain>/<task>/<number>/<date>/raw/traj_group0/traj0`` with ``images0/im_0.jpg``,
``lang.txt``, ``obs_dict.pkl`` and ``policy_out.pkl``, as in the authors' conversion scripts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showme.data.clips import Look, read_clip
from showme.data.sources import open_source
from showme.data.sources.bridge_v2 import BridgeV2Source
from showme.errors import InputError

from ..media.videos import decode_all, picture

REAL = "bridge_v2_teaser/bridge_data_v2_datacol2_toykitchen7_drawer_pnp_01.mp4"
DATED = "bridge_data_v2/datacol2_toykitchen7/drawer_pnp/01/2023-04-19_09-18-15"


def write_trajectory(
    folder: Path, language: str | None = "put the pot in the drawer\nconfidence: 1\n", cameras=1
) -> Path:
    for camera in range(cameras):
        (folder / f"images{camera}").mkdir(parents=True)
        Image.fromarray(picture(camera)).save(folder / f"images{camera}" / "im_0.jpg")
    (folder / "obs_dict.pkl").write_bytes(b"never opened")
    (folder / "policy_out.pkl").write_bytes(b"never opened")
    if language is not None:
        (folder / "lang.txt").write_text(language)
    return folder


def source(path: Path, **fields) -> BridgeV2Source:
    return BridgeV2Source(kind="bridge_v2", path=path, **fields)


@pytest.fixture
def trajectory(tmp_path) -> Path:
    return write_trajectory(tmp_path / DATED / "raw" / "traj_group0" / "traj0", cameras=2)


def test_real_frames_with_their_instruction(real_data, tmp_path):
    pictures = decode_all(real_data / REAL)
    folder = tmp_path / DATED / "raw" / "traj_group0" / "traj0"
    (folder / "images0").mkdir(parents=True)
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / "images0" / f"im_{number}.jpg", quality=95)
    (folder / "lang.txt").write_text("open the drawer\nconfidence: 1\n")
    (record,) = open_source("bridge_v2", [f"path={tmp_path}"]).records()
    assert record.id == f"{DATED}/raw/traj_group0/traj0"
    assert record.instruction == "open the drawer"
    with record.media.open() as frames:
        assert (len(frames), frames.fps) == (len(pictures), 5.0)
    height, width, _ = pictures[0].shape
    clip = read_clip(record, Look(height=height, width=width, frames=len(pictures)))
    truth = [np.asarray(Image.open(folder / "images0" / f"im_{number}.jpg")) for number in range(len(pictures))]
    assert np.array_equal(clip.frames, truth)


def test_trajectories_are_found_at_any_depth_in_natural_order(tmp_path, monkeypatch):
    for name in ("traj_group0/traj10", "traj_group0/traj2", "traj_group1/traj0"):
        write_trajectory(tmp_path / DATED / "raw" / name)
    write_trajectory(tmp_path / "bridge_data_v1/berkeley/toysink/lift_bowl/2021-06-01_10-00-00/raw/traj_group0/traj0")
    opened = []
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: (opened.append(self.name), original(self, *a, **k))[1])
    ids = [record.id for record in source(tmp_path).records()]
    assert [name.rpartition("/raw/")[2] for name in ids] == [
        "traj_group0/traj0",
        "traj_group0/traj2",
        "traj_group0/traj10",
        "traj_group1/traj0",
    ]
    assert set(opened) == {"lang.txt"}
    assert len(source(tmp_path / DATED).records()) == 3


@pytest.mark.parametrize(
    ("text", "instructions"),
    [
        ("lift the pot\n", ["lift the pot"]),
        ("\n  lift the pot \nConfidence : 0.5\ntake the pot up\n", ["lift the pot", "take the pot up"]),
    ],
)
def test_lines_of_confidence_are_no_instructions(trajectory, tmp_path, text, instructions):
    (trajectory / "lang.txt").write_text(text)
    assert [record.instruction for record in source(tmp_path).records()] == instructions[:1]
    records = source(tmp_path, instructions="each").records()
    assert [record.instruction for record in records] == instructions
    assert len({record.id for record in records}) == len(records)
    assert len({record.media for record in records}) == 1


@pytest.mark.parametrize("text", [None, "", "confidence: 1\n"])
def test_trajectories_without_language(trajectory, tmp_path, text):
    (trajectory / "lang.txt").unlink()
    if text is not None:
        (trajectory / "lang.txt").write_text(text)
    with pytest.raises(InputError, match=r"traj0/lang\.txt: there is no instruction: write one there, or set without="):
        source(tmp_path).records()
    assert [record.instruction for record in source(tmp_path, without="task").records()] == ["drawer pnp"]
    other = write_trajectory(trajectory.with_name("traj1"))
    with pytest.warns(UserWarning, match="1 trajectories without an instruction were left out"):
        (record,) = source(tmp_path, without="drop").records()
    assert record.media.path.parent == other


def test_the_task_is_named_wherever_the_source_begins(trajectory):
    (trajectory / "lang.txt").unlink()
    for parent in trajectory.parents[2:6]:
        assert source(parent, without="task").records()[0].instruction == "drawer pnp"


def test_cameras(trajectory, tmp_path):
    (record,) = source(tmp_path, camera=1).records()
    truth = np.asarray(Image.open(trajectory / "images1" / "im_0.jpg"))
    assert np.array_equal(read_clip(record, Look(height=48, width=64, frames=1)).frames[0], truth)
    with pytest.raises(InputError, match=r"traj0: there is no .*images2: fetch it, or leave the clip out"):
        source(tmp_path, camera=2).records()


def test_a_hash_of_the_path_splits(tmp_path):
    for number in range(60):
        (tmp_path / DATED / "raw" / "traj_group0" / f"traj{number}" / "images0").mkdir(parents=True)
    every = [record.id for record in source(tmp_path, without="task").read()]
    held = {record.id for record in source(tmp_path, without="task", split="validation", validation=0.3).read()}
    kept = {record.id for record in source(tmp_path, without="task", split="train", validation=0.3).read()}
    assert held | kept == set(every)
    assert not held & kept
    # 60 draws of 0.3: mean 18, standard deviation 3.5.
    assert 5 < len(held) < 31
    (tmp_path / DATED / "raw" / "traj_group0" / "traj60").mkdir()
    more = {record.id for record in source(tmp_path, without="task", split="validation", validation=0.3).read()}
    assert held <= more
    fewer = {record.id for record in source(tmp_path, without="task", split="validation", validation=0.1).read()}
    assert fewer < held
    assert not list(source(tmp_path, without="task", split="validation", validation=0).read())


def test_faults_are_reported(trajectory, tmp_path):
    with pytest.raises(InputError, match=r"There is no folder .*nowhere: give the one of the data set"):
        source(tmp_path / "nowhere").records()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty lists no clips"):
        source(tmp_path / "empty").records()
    (trajectory / "lang.txt").write_bytes("lève".encode("latin-1"))
    with pytest.raises(InputError, match=r"lang\.txt is not UTF-8 text"):
        source(tmp_path).records()
    (trajectory / "lang.txt").write_text("a" * 70000)
    with pytest.raises(InputError, match=r"lang\.txt has more than 65536 characters"):
        source(tmp_path).records()


def test_links_and_bottomless_folders_are_refused(tmp_path):
    write_trajectory(tmp_path / "outside" / "traj0")
    (tmp_path / "set" / "raw").mkdir(parents=True)
    (tmp_path / "set" / "raw" / "traj_group0").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="traj_group0 is a link: name the folder that it leads to"):
        source(tmp_path / "set").records()
    traj = write_trajectory(tmp_path / "other" / "raw" / "traj_group0" / "traj0", language=None)
    (tmp_path / "secret.txt").write_text("lift it")
    (traj / "lang.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(InputError, match=r"lang\.txt is a link that leads out of"):
        source(tmp_path / "other").records()
    (tmp_path / "deep" / "/".join("abcdefghijkl")).mkdir(parents=True)
    with pytest.raises(InputError, match=r"lies deeper than BridgeData V2 goes"):
        source(tmp_path / "deep").records()
