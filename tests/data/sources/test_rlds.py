"""RLDS episodes: the real shard of BridgeData with its oracle, and small shards in the schema of TensorFlow Datasets.

The schema: files ``<data set>-<split>.tfrecord-<number>-of-<count>``; in each Example lists of bytes
``steps/observation/<camera>``, ``steps/language_instruction`` and ``episode_metadata/file_path``; ``features.json`` of
TensorFlow Datasets 4 beside.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showme.cli import main
from showme.data.clips import Look, read_clip
from showme.data.media import Span, TFRecordPictures
from showme.data.sources import open_source
from showme.data.sources.rlds import RldsSource
from showme.errors import InputError, ShowMeWarning

from ..media.test_tfrecord import example, png, write_records
from ..media.videos import picture

IMAGE, TEXT = "steps/observation/image_0", "steps/language_instruction"


def episode(numbers, texts, **changes) -> bytes:
    features = {
        IMAGE: [png(number) for number in numbers],
        TEXT: [text.encode() for text in texts],
        "episode_metadata/file_path": [b"/somewhere/out.npy"],
        "steps/action": bytes(28 * len(numbers)),
    }
    return example({**features, **changes})


def write_shard(folder: Path, episodes, split: str = "train", number: int = 0, count: int = 1) -> Path:
    return write_records(folder / f"toy-{split}.tfrecord-{number:05}-of-{count:05}", episodes)


def source(path: Path, **fields) -> RldsSource:
    return RldsSource(kind="rlds", path=path, **fields)


def test_the_real_shard_equals_its_oracle(real_data):
    folder = real_data / "bridge_octo"
    truth = json.loads((folder / "index.json").read_text())
    records = open_source("rlds", [f"path={folder}", "fps=5"]).records()
    assert len(records) == len(truth) == 25
    for record, known in zip(records, truth, strict=True):
        assert record.instruction == known["instruction"]
        assert known["file_path"] in record.origin
        assert (record.split, record.span) == ("train", None)
        with record.media.open() as frames:
            assert len(frames) == known["frames"]
        pictures = sorted((folder / "frames" / f"{known['episode']:02}").iterdir())
        clip = read_clip(record, Look(height=64, width=64, frames=known["frames"]))
        assert np.array_equal(clip.frames, [np.asarray(Image.open(path).convert("RGB")) for path in pictures])


def test_shards_are_read_in_order_and_by_split(tmp_path):
    write_shard(tmp_path, [episode([3], ["lift it"])], number=1, count=2)
    write_shard(tmp_path, [episode([1], ["push it"]), episode([2], ["pull it"])], number=0, count=2)
    write_shard(tmp_path, [episode([4], ["drop it"])], split="val")
    records = source(tmp_path).records()
    assert [record.instruction for record in records] == ["push it", "pull it", "lift it", "drop it"]
    assert [record.split for record in records] == ["train"] * 3 + ["validation"]
    assert records[1].id == "toy-train.tfrecord-00000-of-00002/1"
    for split in ("val", "validation"):
        assert source(tmp_path, split=split).records() == records[3:]
    assert source(tmp_path / "toy-val.tfrecord-00000-of-00001").records() == records[3:]
    with pytest.raises(InputError, match="has no split 'test': it has train, validation"):
        source(tmp_path, split="test").records()


def test_one_instruction_may_hold_for_the_episode_or_change_within_it(tmp_path):
    write_shard(tmp_path, [episode([0, 1, 2], ["lift it"]), episode([5, 6, 7], ["lift it", "drop it", "drop it"])])
    whole, first, second = source(tmp_path).records()
    assert (whole.instruction, whole.span) == ("lift it", None)
    assert (first.instruction, first.span) == ("lift it", Span(0, 1, "frames"))
    assert (second.instruction, second.span) == ("drop it", Span(1, 3, "frames"))
    assert second.id == f"{first.id}#2"
    frames = read_clip(second, Look(height=48, width=64, frames=2)).frames
    assert np.array_equal(frames, [picture(6), picture(7)])


def test_other_names_of_features(tmp_path):
    payload = episode([0], ["lift it"], **{"steps/observation/wrist": [png(9)], "steps/task": [b"grasp it"]})
    write_shard(tmp_path, [payload])
    (record,) = source(tmp_path, image="steps/observation/wrist", instruction="steps/task", file_path=None).records()
    assert record.instruction == "grasp it"
    assert "somewhere" not in record.origin
    assert np.array_equal(read_clip(record, Look(height=48, width=64, frames=1)).frames[0], picture(9))


def test_empty_instructions_are_refused_or_dropped_and_counted(tmp_path):
    write_shard(tmp_path, [episode([0], [""]), episode([1], ["lift it"]), episode([2, 3], [" ", " "])])
    with pytest.raises(InputError, match=r"of-00001, record 0 .*: there is no instruction: set empty=drop"):
        source(tmp_path).records()
    with pytest.warns(UserWarning, match="2 episodes without an instruction were left out"):
        records = source(tmp_path, empty="drop").records()
    assert [record.instruction for record in records] == ["lift it"]


def test_a_missing_shard_is_reported(tmp_path):
    for number in (0, 2):
        write_shard(tmp_path, [episode([number], ["lift it"])], number=number, count=3)
    with pytest.raises(InputError, match=r"lacks toy-train\.tfrecord-00001-of-00003 \(2 of 3 shards are there\)"):
        source(tmp_path).records()
    assert len(source(tmp_path, incomplete=True).records()) == 2


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (
            example({TEXT: [b"lift it"]}),
            r"record 0: it has no feature 'steps/observation/image_0': set image to one of",
        ),
        (
            example({IMAGE: [png(0)]}),
            r"record 0: it has no feature 'steps/language_instruction': set instruction to one",
        ),
        (episode([], ["lift it"]), r"record 0 .*: the feature 'steps/observation/image_0' is empty"),
        (episode([0, 1, 2], ["lift it", "drop it"]), "2 instructions for 3 pictures"),
        (episode([0], ["lift it"], **{TEXT: [b"l\xe8ve"]}), "the instruction is not UTF-8 text"),
    ],
)
def test_wrong_episodes_are_named(tmp_path, payload, sentence):
    write_shard(tmp_path, [payload])
    with pytest.raises(InputError, match=sentence):
        source(tmp_path).records()


def test_folders_without_shards_are_named(tmp_path):
    with pytest.raises(InputError, match=r"has no files \*\.tfrecord-00000-of-00001"):
        source(tmp_path).records()
    with pytest.raises(InputError, match=r"There is no folder .*nowhere"):
        source(tmp_path / "nowhere").records()


def described(*cameras: str) -> dict:
    """A features.json as TensorFlow Datasets writes it."""

    def features(**inner) -> dict:
        return {
            "pythonClassName": "tensorflow_datasets.core.features.FeaturesDict",
            "featuresDict": {"features": inner},
        }

    image = {"shape": {"dimensions": ["48", "64", "3"]}, "dtype": "uint8", "encodingFormat": "jpeg"}
    step = features(
        observation=features(**{camera: {"pythonClassName": "Image", "image": image} for camera in cameras}),
        language_instruction={"pythonClassName": "Text", "text": {}},
        reward={"pythonClassName": "Scalar", "tensor": {"shape": {}, "dtype": "float32", "encoding": "none"}},
    )
    steps = {"pythonClassName": "Dataset", "sequence": {"feature": step, "length": "-1"}}
    return features(steps=steps, episode_metadata=features(file_path={"pythonClassName": "Text", "text": {}}))


def test_names_are_compared_with_those_of_the_data_set(tmp_path):
    write_shard(tmp_path, [episode([0], ["lift it"])])
    file = tmp_path / "features.json"
    file.write_text(json.dumps(described("image_0", "image_1")))
    assert len(source(tmp_path).records()) == 1
    with pytest.raises(
        InputError,
        match=r"features\.json lists no feature 'steps/observation/image': set image to one of "
        r"steps/observation/image_0, steps/observation/image_1\.",
    ):
        source(tmp_path, image="steps/observation/image").records()
    with pytest.raises(InputError, match="set instruction to one of episode_metadata/file_path, steps/language_instr"):
        source(tmp_path, instruction="steps/language").records()


@pytest.mark.parametrize("value", [[], {"type": "FeaturesDict", "content": {}}, {"sequence": 3}, {"featuresDict": 3}])
def test_a_strange_description_is_refused(tmp_path, value):
    write_shard(tmp_path, [episode([0], ["lift it"])])
    (tmp_path / "features.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"features\.json is not as TensorFlow Datasets writes it"):
        source(tmp_path).records()


def test_a_shard_that_is_gone_is_missing(tmp_path):
    path = write_shard(tmp_path, [episode([0], ["lift it"])])
    (record,) = source(tmp_path).records()
    path.unlink()
    assert isinstance(record.media, TFRecordPictures)
    with pytest.raises(InputError, match="there is no such file"):
        read_clip(record, Look(height=48, width=64, frames=1))


def int64(*values: int) -> bytes:
    """A tf.train.Feature of whole numbers, as protobuf writes it: one of 3, a packed list of 1."""
    packed = bytes(values)
    inner = b"\x0a" + bytes([len(packed)]) + packed
    return b"\x1a" + bytes([len(inner)]) + inner


def flagged(text: str, pictures: list[bytes], **flags: int) -> bytes:
    payload = episode([0], [text], **{IMAGE: pictures})
    for camera, value in flags.items():
        name = f"episode_metadata/has_{camera}".encode()
        feature = int64(value)
        entry = b"\x0a" + bytes([len(name)]) + name + b"\x12" + bytes([len(feature)]) + feature
        features = b"\x0a" + bytes([len(entry)]) + entry
        # A message that is given twice is merged.
        payload += b"\x0a" + bytes([len(features)]) + features
    return payload


def test_episodes_that_the_camera_did_not_see_are_left_out_by_name(tmp_path, capsys):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    black = [buffer.getvalue()] * 2
    write_shard(
        tmp_path,
        [
            flagged("a", [png(0)], image_0=1, image_1=0),
            # Said by a flag where flags are filled in, and by the pixels where none is.
            flagged("b", [png(0)], image_0=0, image_1=1),
            flagged("c", black, image_0=0, image_1=0),
            flagged("d", [png(0)], image_0=0, image_1=0),
            # Black, and not said to be absent: somebody may have switched off the light.
            flagged("e", black, image_0=1),
        ],
    )
    sentence = (
        r"2 episodes without image_0 \(has_image_0 = 0\) were left out, such as toy-train.tfrecord-00000-of-00001/1"
    )
    with pytest.warns(ShowMeWarning, match=sentence):
        assert [record.instruction for record in source(tmp_path).records()] == ["a", "d", "e"]
    with pytest.raises(SystemExit):
        main(["data", "list", "rlds", f"path={tmp_path}"])
    shard, absent = "toy-train.tfrecord-00000-of-00001", "without image_0 (has_image_0 = 0)"
    assert (
        f"not in:  {shard}/1: {absent}\nnot in:  {shard}/2: {absent}\nnot in:  2 episodes {absent} were left out"
    ) in capsys.readouterr().out


def test_the_real_shard_has_one_camera_that_saw_nothing(real_data):
    """No flag of it is set, and the pictures of ``image_3`` alone are black."""
    shard = f"path={real_data / 'bridge_octo'}"
    for camera in ("image_1", "image_2"):
        assert len(open_source("rlds", [shard, f"image=steps/observation/{camera}"]).records()) == 25
    with (
        pytest.warns(ShowMeWarning, match=r"25 episodes without image_3"),
        pytest.raises(InputError, match="lists no clips"),
    ):
        open_source("rlds", [shard, "image=steps/observation/image_3"]).records()


def test_forks_of_shards_are_no_data_set(tmp_path):
    path = write_shard(tmp_path, [episode([0], ["lift it"])])
    path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    assert len(source(tmp_path).records()) == 1
