"""Data sets of Hugging Face's ``datasets``, written by that package itself: saved ones, Parquet, CSV and folders."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from showme.data.clips import Look, read_clip
from showme.data.media import ArrowPictures, ArrowVideo, PictureFiles, Video
from showme.data.sources import open_source
from showme.data.sources.huggingface import HuggingFaceSource
from showme.errors import ClipError, InputError

from ..media.videos import HEIGHT, WIDTH, decode_all, picture, write_clip

datasets = pytest.importorskip("datasets")
pyarrow = pytest.importorskip("pyarrow")
TEXTS = ["push the jar", "lift the mug", "stir the soup"]
LOOK = Look(height=HEIGHT, width=WIDTH, frames=6)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("videos")
    return [write_clip(folder / f"{number}.mp4", 6, fps=5 + number) for number in range(3)]


def jpeg(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture(number)).save(file, "JPEG", quality=95)
    return file.getvalue()


def rows_of(videos: list[Path], texts=TEXTS, **columns) -> datasets.Dataset:
    values = {"video": [{"bytes": path.read_bytes(), "path": None} for path in videos], "instruction": texts, **columns}
    features = {"video": datasets.Video(decode=False), "instruction": datasets.Value("string")}
    features.update({name: datasets.Value("string") for name in columns})
    return datasets.Dataset.from_dict(values, features=datasets.Features(features))


def source(path: Path | None, **fields) -> HuggingFaceSource:
    return HuggingFaceSource(kind="huggingface", path=path, **fields)


def listing(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_saved_data_set(tmp_path, videos):
    rows_of(videos, key=["a", "b", "c"]).save_to_disk(tmp_path / "saved", num_shards=2)
    before = listing(tmp_path)
    records = open_source("huggingface", [f"path={tmp_path / 'saved'}", "id_column=key"]).records()
    assert [(record.id, record.instruction) for record in records] == list(zip("abc", TEXTS, strict=True))
    assert records[2].origin == f"{tmp_path / 'saved'}, train row 3"
    assert len({record.media.path for record in records}) == 2
    for record, path in zip(records, videos, strict=True):
        clip = read_clip(pickle.loads(pickle.dumps(record)), LOOK)
        assert np.array_equal(clip.frames, decode_all(path))
    assert len({json.dumps(record.media.identity()) for record in records}) == 3
    assert listing(tmp_path) == before


def test_splits_of_a_saved_data_set(tmp_path, videos):
    splits = {"train": rows_of(videos[:2], TEXTS[:2]), "test": rows_of(videos[2:], TEXTS[2:])}
    datasets.DatasetDict(splits).save_to_disk(tmp_path)
    (record,) = source(tmp_path, split="test").records()
    assert (record.id, record.instruction, record.split) == ("test/1", TEXTS[2], "test")
    assert np.array_equal(read_clip(record, LOOK).frames, decode_all(videos[2]))
    with pytest.raises(InputError, match="says no split: choose train, test"):
        source(tmp_path).records()
    with pytest.raises(InputError, match="has no split 'validation': choose train, test"):
        source(tmp_path, split="validation").records()


def test_parquet_is_prepared_in_the_cache_and_nowhere_else(tmp_path, videos):
    rows_of(videos).rename_column("instruction", "caption").to_parquet(tmp_path / "train-00000-of-00001.parquet")
    before = listing(tmp_path)
    records = source(tmp_path, instruction_column="caption").records()
    assert [record.id for record in records] == ["train/1", "train/2", "train/3"]
    for record, path in zip(records, videos, strict=True):
        assert isinstance(record.media, ArrowVideo)
        assert record.media.path.is_relative_to(datasets.config.HF_DATASETS_CACHE)
        assert np.array_equal(read_clip(record, LOOK).frames, decode_all(path))
    assert listing(tmp_path) == before


@pytest.mark.parametrize("length", [-1, 2])
@pytest.mark.parametrize("kind", ["images", "binaries"])
def test_lists_of_pictures_kept_in_the_rows(tmp_path, kind, length):
    # Three clips of two pictures each, over two batches of rows.
    clips = [[jpeg(2 * number), jpeg(2 * number + 1)] for number in range(3)]
    feature = datasets.Image(decode=False) if kind == "images" else datasets.Value("binary")
    cells = [[{"bytes": each, "path": None} for each in clip] for clip in clips] if kind == "images" else clips
    features = datasets.Features(
        {"frames": datasets.List(feature, length=length), "instruction": datasets.Value("string")}
    )
    data = datasets.Dataset.from_dict({"frames": cells, "instruction": TEXTS}, features=features)
    data.save_to_disk(tmp_path)
    records = source(tmp_path, video_column="frames", fps=4).records()
    for record, clip in zip(records, clips, strict=True):
        assert isinstance(record.media, ArrowPictures)
        with record.media.open() as frames:
            assert (len(frames), frames.fps) == (2, 4)
        read = read_clip(record, Look(height=HEIGHT, width=WIDTH, frames=2)).frames
        assert np.array_equal(read, [np.asarray(Image.open(io.BytesIO(each))) for each in clip])
    assert len({json.dumps(record.media.identity()) for record in records}) == 3


def test_bytes_alone_and_paths_in_a_csv_file(tmp_path, videos):
    (tmp_path / "binary").mkdir()
    data = {"video": [path.read_bytes() for path in videos], "instruction": TEXTS}
    datasets.Dataset.from_dict(data).save_to_disk(tmp_path / "binary")
    (tmp_path / "csv" / "clips").mkdir(parents=True)
    for path in videos:
        shutil.copy(path, tmp_path / "csv" / "clips")
    lines = [f"{path.stem},clips/{path.name},{text}" for path, text in zip(videos, TEXTS, strict=True)]
    (tmp_path / "csv" / "train.csv").write_text("\n".join(["number,video,instruction", *lines]) + "\n")
    for fields in ({"path": tmp_path / "binary"}, {"path": tmp_path / "csv", "id_column": "number"}):
        records = source(**fields).records()
        assert [record.instruction for record in records] == TEXTS
        for record, path in zip(records, videos, strict=True):
            assert np.array_equal(read_clip(record, LOOK).frames, decode_all(path))
    assert [record.id for record in records] == ["0", "1", "2"]
    assert all(isinstance(record.media, Video) for record in records)


def test_folders_of_videos_and_of_pictures(tmp_path, videos):
    (tmp_path / "videos").mkdir()
    for path in videos:
        shutil.copy(path, tmp_path / "videos")
    rows = [{"file_name": path.name, "instruction": text} for path, text in zip(videos, TEXTS, strict=True)]
    (tmp_path / "videos" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for record, path in zip(source(tmp_path / "videos").records(), videos, strict=True):
        assert record.media == Video(tmp_path / "videos" / path.name)
        assert np.array_equal(read_clip(record, LOOK).frames, decode_all(path))
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        (tmp_path / "pictures" / f"{number}.jpg").write_bytes(jpeg(number))
    rows = [{"images_file_names": ["2.jpg", "0.jpg"], "instruction": TEXTS[0]},
            {"images_file_names": ["1.jpg", "3.jpg"], "instruction": TEXTS[1]}]  # fmt: skip
    (tmp_path / "pictures" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    records = source(tmp_path / "pictures", video_column="images", fps=3).records()
    assert [record.instruction for record in records] == TEXTS[:2]
    for record, numbers in zip(records, ([2, 0], [1, 3]), strict=True):
        assert isinstance(record.media, PictureFiles)
        read = read_clip(record, Look(height=HEIGHT, width=WIDTH, frames=2)).frames
        assert np.array_equal(read, [np.asarray(Image.open(io.BytesIO(jpeg(number)))) for number in numbers])


def test_rows_name_no_file_outside_of_the_folder(tmp_path, videos):
    data = tmp_path / "data"
    data.mkdir()
    for name in (str(videos[0]), "../0.mp4"):
        saved = data / f"saved{len(name)}"
        cells = {"video": [{"path": name}], "instruction": TEXTS[:1]}
        datasets.Dataset.from_dict(cells).save_to_disk(saved)
        with pytest.raises(
            InputError, match=r"train row 1: the file '.*0\.mp4' does not lie in .*: name it as seen from there"
        ):
            source(saved).records()
        if name.startswith("/"):
            (record,) = source(saved, files=videos[0].parent).records()
            assert record.media == Video(videos[0])


@pytest.mark.parametrize("name", ["../outside.arrow", "/etc/passwd"])
def test_a_saved_data_set_names_no_arrow_file_outside_of_its_folder(tmp_path, videos, name):
    rows_of(videos).save_to_disk(tmp_path / "saved")
    state = json.loads((tmp_path / "saved" / "state.json").read_text())
    state["_data_files"] = [{"filename": name}]
    (tmp_path / "saved" / "state.json").write_text(json.dumps(state))
    with pytest.raises(InputError, match=r"state\.json: the file '.*' does not lie in"):
        source(tmp_path / "saved").records()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"instruction_column": "text"}, "has no column 'text': it has video, instruction, number"),
        ({"video_column": "clip"}, "has no column 'clip': it has"),
        ({"id_column": "key"}, "has no column 'key': it has"),
        ({"instruction_column": "number"}, "the column 'number' is no text: name the one of the instructions"),
        ({"id_column": "number"}, r"train row 2: the id '1' was given before: ids must differ"),
        ({"video_column": "number"}, r"train row 1: the field 'number' keeps no file and names none: fill it in"),
    ],
)
@pytest.mark.parametrize("form", ["saved", "parquet"])
def test_wrong_columns(tmp_path, videos, fields, sentence, form):
    data = rows_of(videos).add_column("number", [1, 1, 2])
    if form == "saved":
        data.save_to_disk(tmp_path)
    else:
        data.to_parquet(tmp_path / "train.parquet")
    with pytest.raises(InputError, match=sentence) as caught:
        source(tmp_path, **fields).records()
    assert str(tmp_path) in str(caught.value) or str(datasets.config.HF_DATASETS_CACHE) in str(caught.value)


def test_empty_cells(tmp_path, videos):
    rows_of(videos, ["a", " ", "c"]).save_to_disk(tmp_path / "text")
    with pytest.raises(InputError, match="train row 2: the field 'instruction' is missing or empty"):
        source(tmp_path / "text").records()
    features = datasets.Features({"video": datasets.Video(decode=False), "instruction": datasets.Value("string")})
    cells = {"video": [{"bytes": b"", "path": None}, None], "instruction": TEXTS[:2]}
    datasets.Dataset.from_dict(cells, features=features).save_to_disk(tmp_path / "video")
    with pytest.raises(InputError, match="train row 2: the field 'video' keeps no file and names none"):
        source(tmp_path / "video").records()
    (record,) = source(tmp_path / "video").records(limit=1)
    with pytest.raises(ClipError, match=r"arrow cannot be read as a clip \('video' keeps no file in row 1\)"):
        record.media.open()


def test_what_is_no_data_set(tmp_path, videos):
    with pytest.raises(InputError, match=r"There is no folder .*none: give the one of the data set"):
        source(tmp_path / "none").records()
    with pytest.raises(InputError, match="holds no data set of a known format"):
        source(tmp_path).records()
    (tmp_path / "train.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"train\.parquet cannot be read \(.*\): save or fetch"):
        source(tmp_path).records()
    (tmp_path / "train.csv").write_text('a,b\n"1')
    with pytest.raises(InputError, match=r"cannot be read as a data set \(.*\): correct it"):
        source(tmp_path, format="csv").records()
    rows_of(videos).save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "state.json").write_text("{}")
    with pytest.raises(InputError, match=r"state\.json lists no files: save the data set again"):
        source(tmp_path / "saved").records()


def test_the_hub_is_reported_in_one_sentence_where_it_cannot_be_reached(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"owner/clips cannot be read as a data set \([^\n]*\): check name, revision"):
        source(None, name="owner/clips", revision="main").records()
    (tmp_path / "owner" / "clips").mkdir(parents=True)
    with pytest.raises(InputError, match="There is a folder owner/clips here: give it as path"):
        source(None, name="owner/clips", revision="main").records()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "give path or name, one of them"),
        ({"path": "a", "name": "a/b", "revision": "main"}, "give path or name, one of them"),
        ({"name": "a/b"}, "needs the revision"),
        ({"name": "parquet", "revision": "main"}, "name is <owner>/<name>"),
        ({"name": "../a", "revision": "main"}, "name is <owner>/<name>"),
        ({"path": "a", "revision": "main"}, "are for a name on the hub"),
        ({"path": "a", "video_column": "instruction"}, "video_column is a column of its own"),
    ],
)
def test_fields_that_do_not_go_together(fields, sentence):
    with pytest.raises(ValidationError, match=sentence):
        HuggingFaceSource(kind="huggingface", **fields)


def test_an_arrow_file_of_wrong_offsets_is_refused(tmp_path, videos):
    rows_of(videos).save_to_disk(tmp_path)
    (path,) = tmp_path.glob("*.arrow")
    data = path.read_bytes()
    lengths = np.cumsum([0, *[video.stat().st_size for video in videos]]).astype("<i4")
    offsets = lengths.tobytes()
    assert data.count(offsets) == 1
    wrong = lengths.copy()
    wrong[2:] = [2**30, 2**30 + 10]
    record = source(tmp_path).records()[1]
    path.write_bytes(data.replace(offsets, wrong.tobytes()))
    with pytest.raises(InputError, match=r"arrow cannot be read \(its rows are damaged\): save or fetch"):
        source(tmp_path).records()
    with pytest.raises(ClipError, match=r"'video' is damaged in row 2"):
        record.media.open()


def test_compressed_and_broken_arrow_files_are_refused(tmp_path, videos):
    rows_of(videos).save_to_disk(tmp_path)
    (path,) = tmp_path.glob("*.arrow")
    record = source(tmp_path).records()[0]
    data = path.read_bytes()
    table = pyarrow.table({"video": [bytes(2**20)], "instruction": ["lift"]})
    options = pyarrow.ipc.IpcWriteOptions(compression="zstd")
    with pyarrow.ipc.new_stream(str(path), table.schema, options=options) as writer:
        writer.write_table(table)
    assert path.stat().st_size < 2**14
    with pytest.raises(InputError, match=r"\(no whole Arrow stream: it is compressed, save it as `datasets` does\)"):
        source(tmp_path).records()
    table = pyarrow.table({"video": [b"a"], "instruction": pyarrow.array(["lift"]).dictionary_encode()})
    with pyarrow.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(InputError, match="it has more than a schema and batches of rows"):
        source(tmp_path).records()
    wrong_names = data.replace(b"path", b"\xff\xfe\xfd\xfc")
    for broken in (data[:200], data[: len(data) // 2], b"no arrow", data[:8] + b"\xff" * 500, wrong_names):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r"cannot be read"):
            source(tmp_path).records()
        with pytest.raises(ClipError, match=r"cannot be read as a clip"):
            record.media.open()
    path.unlink()
    with pytest.raises(ClipError, match="there is no such file"):
        record.media.open()


def test_bytes_that_are_damaged_or_change(tmp_path, videos):
    rows_of(videos).save_to_disk(tmp_path / "a")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(videos[1].read_bytes()[:-400])
    rows_of([videos[0], cut, videos[2]]).save_to_disk(tmp_path / "b")
    whole, broken = (source(tmp_path / name).records() for name in "ab")
    assert whole[1].media.identity() == whole[1].media.identity() != broken[1].media.identity()
    assert len({json.dumps(record.media.identity()) for record in whole}) == 3
    with pytest.raises(ClipError, match=r"video/1 cannot be read as a clip"):
        read_clip(broken[1], LOOK)
