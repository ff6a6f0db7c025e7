"""WebDataset shards. The schema is the published one: the files of a sample stand together and share what stands
before the first dot of their names."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showme.data.clips import Look, read_clip
from showme.data.media import Span
from showme.data.sources import open_source
from showme.data.sources.webdataset_tars import WebDatasetSource
from showme.errors import ClipError, InputError, ShowMeWarning

from ..media.videos import HEIGHT, WIDTH, decode_all, picture, write_clip

VIDEO = b"pixels"


def write_shard(path: Path, *members: tuple[str, bytes | str], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            data = data.encode() if isinstance(data, str) else data
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def source(shards: Path | str, **fields) -> WebDatasetSource:
    return WebDatasetSource(kind="webdataset", shards=str(shards), **fields)


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture(number)).save(file, "PNG")
    return file.getvalue()


def test_videos_with_text_json_and_other_members(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 10)
    row = json.dumps({"caption": "lift the mug", "width": 64})
    write_shard(
        tmp_path / "train-10.tar",
        ("000002.mp4", clip.read_bytes()),
        ("000002.wav", b"sound"),
        ("000002.txt", " push  the jar\n"),
    )
    write_shard(tmp_path / "train-9.tar", ("./a/000001.json", row), ("./a/000001.MP4", clip.read_bytes()))
    for shards in (f"shards={tmp_path}/train-*.tar", f"shards=[{tmp_path}/train-9.tar, {tmp_path}/train-10.tar]"):
        first, second = open_source("webdataset", [shards, "split=train"]).records()
        assert (first.id, first.instruction, first.split) == ("a/000001", "lift the mug", "train")
        assert (second.id, second.instruction) == ("000002", "push the jar")
        assert second.origin == f"{tmp_path}/train-10.tar, sample '000002'"
        for record in (first, pickle.loads(pickle.dumps(second))):
            pixels = read_clip(record, Look(height=HEIGHT, width=WIDTH, frames=10)).frames
            assert np.array_equal(pixels, decode_all(clip))
    with pytest.raises(ClipError, match="reaches past the end"):
        second.media.open(Span(0, 20, "frames"))


def test_the_field_of_the_json_may_be_named(tmp_path):
    row = json.dumps({"caption": "a mug", "action": "lift the mug"})
    shard = write_shard(tmp_path / "a.tar", ("1.mp4", VIDEO), ("1.txt", "text"), ("1.json", row))
    assert [record.instruction for record in source(shard, field="action").read()] == ["lift the mug"]
    assert [record.instruction for record in source(shard).read()] == ["text"]
    with pytest.raises(InputError, match="sample '1', json: the field 'verb' is missing or empty"):
        source(shard, field="verb").records()
    shard = write_shard(tmp_path / "b.tar", ("1.mp4", VIDEO), ("1.txt", "text"))
    with pytest.raises(InputError, match="sample '1': it has no json: pack one"):
        source(shard, field="verb").records()


def test_pictures_are_a_clip_in_the_order_of_their_numbers(tmp_path):
    order = [3, 10, 1, 2]
    members = [(f"7.{number}.png", png(number)) for number in order]
    shard = write_shard(tmp_path / "a.tar", *members, ("7.caption", "stir the soup"))
    (record,) = source(shard, fps=5).records()
    with record.media.open() as frames:
        assert (len(frames), frames.fps) == (4, 5)
    clip = read_clip(record, Look(height=HEIGHT, width=WIDTH, frames=4))
    assert np.array_equal(clip.frames, [picture(number) for number in sorted(order)])


def test_a_video_comes_before_its_thumbnail(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 4)
    shard = write_shard(tmp_path / "a.tar", ("1.jpg", png(1)), ("1.mp4", clip.read_bytes()), ("1.txt", "lift"))
    (record,) = source(shard).records()
    clip_read = read_clip(record, Look(height=HEIGHT, width=WIDTH, frames=4))
    assert np.array_equal(clip_read.frames, decode_all(clip))


TEXT = ("1.txt", "lift")


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ([("1.mp4", VIDEO)], "sample '1': it has no txt, caption or json: pack one"),
        ([TEXT], "sample '1': it has 0 pictures and no video"),
        ([("1.jpg", VIDEO), TEXT], "sample '1': it has 1 pictures and no video: a clip has two or more"),
        ([("1.mp4", VIDEO), ("1.low.webm", VIDEO), TEXT], r"it has the videos mp4, low\.webm: keep one"),
        ([("1.0.jpg", VIDEO), ("1.0.png", VIDEO), TEXT], "two of its pictures differ in their suffix alone"),
        ([("1.mp4", VIDEO), TEXT, ("1.mp4", VIDEO)], r"its member '1\.mp4' is there twice: keep one"),
        ([("1.mp4", VIDEO), TEXT, ("2.mp4", VIDEO), ("2.txt", "a"), ("1.json", "{}")],
         "the members of '1' do not stand together: sort it"),
        ([("1.mp4", VIDEO), ("1.txt", " ")], r"sample '1': its 1\.txt is empty"),
        ([("1.mp4", VIDEO), ("1.txt", b"\xff")], r"sample '1': its 1\.txt is not UTF-8 text"),
        ([("1.mp4", VIDEO), ("1.txt", "x" * (2**20 + 1))], r"its 1\.txt is larger than 1 MiB"),
        ([("1.mp4", VIDEO), ("1.json", "[" * 10**5)], r"its 1\.json is no JSON object"),
        ([("1.mp4", VIDEO), ("1.json", "[]")], r"its 1\.json is no JSON object"),
        ([("1.mp4", VIDEO), ("1.json", '{"caption": 3.5, "text": ["a"]}'), ("README", "a")],
         "its member 'README' is not named <key>"),
        ([("1.mp4", VIDEO), ("1.json", '{"text": ["a"]}')], "sample '1', json: the field 'text' is no text"),
        ([("../1.mp4", VIDEO), TEXT], r"its member '\.\./1\.mp4' leads out of it"),
        ([(".mp4", VIDEO), TEXT], r"its member '\.mp4' is not named <key>"),
    ],
)  # fmt: skip
def test_faults_are_reported_with_shard_and_sample(tmp_path, members, sentence):
    shard = write_shard(tmp_path / "a.tar", *members)
    with pytest.raises(InputError, match=sentence) as caught:
        source(shard).records()
    assert str(shard) in str(caught.value)


def test_the_same_key_in_two_shards_is_refused(tmp_path):
    for name in ("a", "b"):
        write_shard(tmp_path / f"{name}.tar", ("1.mp4", VIDEO), TEXT)
    with pytest.raises(InputError, match=r"b\.tar, sample '1': the id '1' was given before"):
        source(tmp_path / "*.tar").records()


def test_a_folder_of_shards_is_not_called_missing(tmp_path):
    (tmp_path / "sub").mkdir()
    with pytest.raises(InputError, match=rf"{tmp_path} is a folder: write shards={tmp_path}/\*\.tar for the archives"):
        source(tmp_path).records()
    with pytest.raises(InputError, match="sub is a folder, no archive: give tar files"):
        source(tmp_path / "*").records()


def test_shards_that_are_not_there_or_no_archives(tmp_path):
    with pytest.raises(InputError, match=r"There is no shard .*train-\*\.tar"):
        source(tmp_path / "train-*.tar").records()
    with pytest.raises(InputError, match="The list of shards is empty"):
        WebDatasetSource(kind="webdataset", shards=()).records()
    write_shard(tmp_path / "a.tar", ("1.mp4", VIDEO), TEXT, mode="w:gz")
    with pytest.raises(InputError, match=r"a\.tar is no whole uncompressed tar archive"):
        source(tmp_path / "a.tar").records()
    whole = write_shard(tmp_path / "b.tar", ("1.mp4", bytes(5000)), TEXT).read_bytes()
    (tmp_path / "c.tar").write_bytes(whole[:3000])
    with pytest.raises(InputError, match=r"c\.tar"):
        source(tmp_path / "c.tar").records()


def test_damaged_pixels_are_named_and_told_apart(tmp_path):
    frames = [(f"1.{number}.png", png(number)) for number in range(3)]
    broken = [*frames[:2], ("1.2.png", frames[2][1][:90] + bytes(len(frames[2][1]) - 90))]
    good, bad = (write_shard(tmp_path / f"{name}.tar", *members, TEXT) for name, members in
                 (("good", frames), ("bad", broken)))  # fmt: skip
    (record,) = source(bad, fps=2).records()
    with pytest.raises(ClipError, match=r"1\.2\.png cannot be read as a clip at 1\.000 s"):
        read_clip(record, Look(height=HEIGHT, width=WIDTH, frames=3))
    (whole,) = source(good, fps=2).records()
    assert whole.media.identity()[1:] != record.media.identity()[1:]


def test_what_a_disk_of_another_system_left_is_no_sample_and_no_shard(tmp_path):
    fork = b"\0\5\x16\7" + bytes(100)
    write_shard(tmp_path / "a.tar", ("._1.mp4", fork), ("1.mp4", VIDEO), ("._1.txt", fork), ("1.txt", "lift"))
    (tmp_path / "._a.tar").write_bytes(fork)
    assert [record.instruction for record in source(tmp_path / "*.tar").records()] == ["lift"]


def test_pictures_beside_the_frames_and_missing_numbers_are_reported(tmp_path):
    members = [(f"7.{kind}.{number}.png", png(number)) for number in (0, 1, 4) for kind in ("rgb", "depth")]
    shard = write_shard(tmp_path / "a.tar", *members, ("7.txt", "lift"))
    with pytest.warns(ShowMeWarning) as caught:
        (record,) = source(shard).records()
    assert [member.name for member in record.media.members] == [f"7.rgb.{number}.png" for number in (0, 1, 4)]
    assert len(caught) == 2
    assert "between 1 and 4" in str(caught[1].message)
    (record,) = source(shard, pattern="depth.*").records()
    assert record.media.members[0].name == "7.depth.0.png"
    shard = write_shard(tmp_path / "b.tar", *((f"7.{eye}.{n}.png", VIDEO) for eye in "lr" for n in (0, 1)), TEXT)
    with pytest.raises(InputError, match=r"sample '7': .* 2 series, l\.\*\.png \(2\) and r\.\*\.png \(2\): say which"):
        source(shard).records()


def test_places_and_lengths_in_a_json_are_reported(tmp_path):
    row = {"caption": "lift", "start": 3.5, "end": 7}
    shard = write_shard(tmp_path / "a.tar", ("1.mp4", VIDEO), ("1.json", json.dumps(row)))
    with pytest.warns(ShowMeWarning, match="sample '1', json: what it says of end, start is passed over"):
        source(shard).records()
    row = {"caption": "lift", "num_frames": 3}
    shard = write_shard(tmp_path / "b.tar", ("1.0.png", png(0)), ("1.1.png", png(1)), ("1.json", json.dumps(row)))
    with pytest.raises(InputError, match="sample '1': it has 2 pictures, and its json says 3"):
        source(shard).records()
