"""Labels: true to their clips, listed, computed once, refused in one sentence, and the same from Ray's workers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from showme.errors import InputError
from showme.preparation.annotate import annotate
from showme.preparation.config import AnnotateConfig
from showme.preparation.settings import preparation_config

from .conftest import FRAMES, SIZE, write_squares

LOOK = {"height": SIZE, "width": SIZE, "frames": FRAMES}
OFFLINE = {"hands": "rendered"}
EVERYTHING = ["hands", "region", "flow", "depth", "edges", "states", "enrichment"]


def settings(source: Path, out: Path, labels=tuple(EVERYTHING), look=None, estimators=None) -> AnnotateConfig:
    return AnnotateConfig(
        source=str(source),
        out=out,
        labels=list(labels),
        look=LOOK | (look or {}),
        estimators=OFFLINE | (estimators or {}),
    )


def read(folder: Path) -> list[dict]:
    """Every line of the list, its arrays in place of their addresses."""
    rows = []
    for line in (folder / "labels.jsonl").read_text().splitlines():
        row = json.loads(line)
        for name, (file, place) in [(k, v) for k, v in row.items() if isinstance(v, list) and len(v) == 2]:
            with safe_open(folder / file, "numpy") as shard:
                row[name] = {key: shard.get_tensor(key)[place] for key in shard.keys()}  # noqa: SIM118
        rows.append(row)
    return rows


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_labels_are_true_to_their_clips(squares, tmp_path):
    annotate(settings(squares, tmp_path / "labels"))
    rows = read(tmp_path / "labels")
    assert [row["id"] for row in rows] == [str(number) for number in range(8)]
    still, moving = rows[0], rows[3]
    assert still["flow"]["flow"].shape == (FRAMES - 1, SIZE // 8, SIZE // 8)
    assert still["flow"]["flow"].max() < 0.05 < moving["flow"]["flow"].max()
    left = 2 + 3 + 3 * np.arange(FRAMES)
    assert np.allclose(moving["hands"]["joints"][:, 0, 0, 0], left)
    assert np.isnan(moving["hands"]["joints"][:, 1]).all()
    assert moving["hands"]["presence"].tolist() == [[1, 0]] * FRAMES
    # The hand's hull is the square of 9 by 9 joints, a frame at a time; its union over time is a wider box.
    assert moving["region"]["regions"][2].sum() == 9 * 9
    assert moving["region"]["region"].sum() == 9 * (9 + 3 * (FRAMES - 1))
    assert moving["region"]["region"][8:17, left[0] : left[-1] + 9].all()
    assert moving["depth"]["depth"].shape == moving["edges"]["edges"].shape == (FRAMES, 1, SIZE, SIZE)
    assert moving["edges"]["edges"][0, 0, 12, left[0] - 1] > 0.1 > moving["edges"]["edges"][0, 0, 28, 28]
    assert len(moving["states"]) == 4
    assert moving["enrichment"].startswith("The person")


def test_joints_and_masks_follow_the_crop(tmp_path):
    squares = write_squares(tmp_path / "clips", 1)
    annotate(settings(squares, tmp_path / "a", ["hands", "region"]))
    annotate(settings(squares, tmp_path / "b", ["hands", "region"], {"height": 64, "width": 64}))
    small, large = read(tmp_path / "a")[0], read(tmp_path / "b")[0]
    joints = small["hands"]["joints"][:, 0, :, :2]
    assert np.allclose(large["hands"]["joints"][:, 0, :, :2], (joints + 0.5) * 2 - 0.5, atol=1e-5)
    ratio = large["region"]["region"].sum() / small["region"]["region"].sum()
    assert 3.4 < ratio < 4.1


def test_labels_are_computed_once_and_a_new_one_leaves_the_others(squares, tmp_path, monkeypatch):
    annotate(settings(squares, tmp_path, ["flow"]))
    before = contents(tmp_path)
    annotate(settings(squares, tmp_path, ["flow", "edges"]))
    after = contents(tmp_path)
    assert {name: after[name] for name in before if name != "labels.jsonl"} == {
        name: digest for name, digest in before.items() if name != "labels.jsonl"
    }

    def fail(*_args, **_kwargs):
        raise AssertionError("nothing is decoded again")

    monkeypatch.setattr("showme.data.rows.read_clip", fail)
    annotate(settings(squares, tmp_path, ["flow", "edges"]))
    assert contents(tmp_path) == after


def test_real_hands_are_found_by_both_estimators(real_data, tmp_path):
    """The loaf is sliced by two hands; MediaPipe's own joints and ours are within a few pixels of each other."""
    clips = real_data / "mixkit"
    name = next(path.name for path in clips.glob("*slices*.gif"))
    index = tmp_path / "clips"
    index.mkdir()
    (index / name).write_bytes((clips / name).read_bytes())
    (index / "index.jsonl").write_text(json.dumps({"id": "loaf", "file": name, "instruction": "slice the loaf"}))
    model = real_data / "weights" / "mediapipe" / "hand_landmarker.task"
    found = {}
    for estimator in ("torch", "mediapipe"):
        look, estimators = (
            {"height": 256, "width": 256, "frames": 4},
            {"hands": f"{estimator}:{model}", "hand_confidence": 0.5},
        )
        annotate(settings(index, tmp_path / estimator, ["hands", "region"], look, estimators))
        found[estimator] = read(tmp_path / estimator)[0]
    ours, theirs = (found[estimator]["hands"]["joints"] for estimator in ("torch", "mediapipe"))
    assert (~np.isnan(ours[:, :, 0, 0])).sum() >= 6
    for frame, other in zip(ours, theirs, strict=True):
        for hand in frame[~np.isnan(frame[:, 0, 0])]:
            distances = [np.linalg.norm(hand[:, :2] - each[:, :2], axis=1).mean() for each in other]
            if not np.isnan(distances).all():
                assert np.nanmin(distances) < 8
    assert 0.02 < found["torch"]["region"]["region"].mean() < 0.6


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"estimators": {"flow": "raft2"}}, "There is no estimator for flow named 'raft2'"),
        ({"estimators": {"hands": "torch:nowhere.task"}}, "nowhere.task"),
        ({"estimators": {"captions": "oracle"}}, "There is no captioner named 'oracle'"),
        ({"look": {"height": 20}}, "look.height 20: flow needs a multiple of 8"),
        ({"look": {"sampling": "last_at_8_fps"}}, "needs the clip's frames per second"),
    ],
)
def test_what_cannot_be_had_is_said(squares, tmp_path, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        annotate(settings(squares, tmp_path / "out", **changes))
    assert not (tmp_path / "out" / "labels.jsonl").exists()


def test_real_clips_need_an_estimator_for_depth_that_is_named(tmp_path):
    for file in ("0.png", "1.png"):
        (tmp_path / "a").mkdir(exist_ok=True)
        Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "a" / file)
    (tmp_path / "index.jsonl").write_text('{"id": "a", "file": "a", "instruction": "open the door"}\n')
    with pytest.raises(
        InputError, match=r"a is no rendered clip: name the estimator for its depth with estimators\.depth="
    ):
        annotate(settings(tmp_path, tmp_path / "out", ["depth"]))
    # What nobody can caption is reported before anything is computed.
    with pytest.raises(InputError, match="open the door"):
        annotate(settings(tmp_path, tmp_path / "out", ["edges", "states"]))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_settings_of_the_line_and_of_a_file(squares, tmp_path):
    line = preparation_config(AnnotateConfig, str(squares), ["out=labels", "labels=[flow]", "source.fps=5"])
    assert (line.source.path, line.source.fps, line.labels) == (squares, 5, ["flow"])
    (tmp_path / "labels.yaml").write_text(f"source: {squares}\nout: labels\nlabels: [flow]\n")
    assert preparation_config(AnnotateConfig, str(tmp_path / "labels.yaml"), ["source.fps=5"]) == line
    with pytest.raises(InputError, match="labels: name each once"):
        preparation_config(AnnotateConfig, str(squares), ["out=labels", "labels=[flow, flow]"])


def test_two_workers_of_ray_give_the_same_bytes_as_none(tmp_path, monkeypatch):
    """More clips than a shard holds, so that both workers have something to do; paths are relative, as on a line."""
    import ray

    write_squares(tmp_path / "clips", 70)
    monkeypatch.chdir(tmp_path)
    labels = ["hands", "region", "flow", "depth", "edges", "states"]
    annotate(settings("clips", Path("alone"), labels))
    try:
        annotate(settings("clips", Path("ray"), labels), ray="local")
        (tmp_path / "clips" / "69.safetensors").write_bytes(b"no clip")
        with pytest.raises(InputError, match=r"69\.safetensors cannot be read as a clip"):
            annotate(settings("clips", Path("broken"), ["flow"]), ray="local")
    finally:
        ray.shutdown()
    assert contents(tmp_path / "ray") == contents(tmp_path / "alone")


def test_no_cluster_at_an_address_is_said(squares, tmp_path):
    with pytest.raises(InputError, match=r"There is no Ray cluster at 127\.0\.0\.1:1: start one"):
        annotate(settings(squares, tmp_path, ["flow"]), ray="127.0.0.1:1")
