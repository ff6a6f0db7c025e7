"""LeRobotDataset v2.1 and v3.0: small data sets in the schema that the lerobot package writes.

v2.1: ``meta/info.json``, ``meta/episodes.jsonl`` (episode_index, tasks, length), ``meta/tasks.jsonl``,
``data/chunk-000/episode_000000.parquet``, ``videos/chunk-000/<camera>/episode_000000.mp4``.
v3.0: ``meta/episodes/chunk-000/file-000.parquet`` with ``videos/<camera>/{chunk_index,file_index,from_timestamp,
to_timestamp}`` and ``data/{chunk_index,file_index}``, ``meta/tasks.parquet``, ``data/chunk-000/file-000.parquet``,
``videos/<camera>/chunk-000/file-000.mp4``.
"""

from __future__ import annotations

import json
import sys
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from showme.data.clips import Look, read_clip
from showme.data.media import ParquetPictures, Span
from showme.data.media import parquet as module
from showme.data.sources import open_source
from showme.data.sources.lerobot import LeRobotSource
from showme.errors import ClipError, InputError, ShowMeWarning

from ..media.test_tfrecord import png
from ..media.videos import decode_all, picture, write_clip

TOP, SIDE = "observation.images.top", "observation.images.side"
FPS = 30
LENGTHS = (7, 10, 5)
TASKS = ("put the pot in the sink", "lift the bowl", "close the box")
V21 = {
    "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
    "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
}
V30 = {
    "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
}


def write_info(folder: Path, version: str, cameras: dict[str, str], **changes) -> None:
    features: dict[str, dict] = {
        name: {"dtype": kind, "shape": [48, 64, 3], "names": ["height", "width", "channels"]}
        for name, kind in cameras.items()
    }
    for name, kind in (
        ("timestamp", "float32"),
        ("frame_index", "int64"),
        ("episode_index", "int64"),
        ("index", "int64"),
    ):
        features[name] = {"dtype": kind, "shape": [1], "names": None}
    info = {
        "codebase_version": version,
        "robot_type": "so100",
        "total_episodes": len(LENGTHS),
        "total_frames": sum(LENGTHS),
        "total_tasks": len(TASKS),
        "chunks_size": 1000,
        "fps": FPS,
        "splits": {"train": "0:2", "val": "2:3"},
        **(V21 if version == "v2.1" else V30),
        "features": features,
    }
    (folder / "meta").mkdir(parents=True, exist_ok=True)
    (folder / "meta" / "info.json").write_text(json.dumps({**info, **changes}))


def write_data(path: Path, episodes: dict[int, int], camera: str | None = None, group: int = 4, first: int = 0) -> None:
    """Rows of episodes with so many frames; pictures are numbered from ``first`` on."""
    rows = [(episode, frame) for episode, length in episodes.items() for frame in range(length)]
    columns = {
        "timestamp": pa.array([frame / FPS for _, frame in rows], pa.float32()),
        "frame_index": pa.array([frame for _, frame in rows], pa.int64()),
        "episode_index": pa.array([episode for episode, _ in rows], pa.int64()),
        "index": pa.array(range(first, first + len(rows)), pa.int64()),
    }
    if camera:
        cells = [{"bytes": png(first + place), "path": f"frame_{place:06}.png"} for place in range(len(rows))]
        columns[camera] = pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=group)


def write_lines(path: Path, rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def v21(tmp_path) -> Path:
    """Version 2.1: a camera as videos, one as pictures."""
    write_info(tmp_path, "v2.1", {TOP: "video", SIDE: "image"})
    episodes = list(enumerate(zip(LENGTHS, TASKS, strict=True)))
    write_lines(
        tmp_path / "meta" / "episodes.jsonl",
        [{"episode_index": number, "tasks": [task], "length": length} for number, (length, task) in episodes],
    )
    write_lines(tmp_path / "meta" / "tasks.jsonl", [{"task_index": n, "task": task} for n, task in enumerate(TASKS)])
    videos = tmp_path / "videos" / "chunk-000" / TOP
    videos.mkdir(parents=True)
    for number, (length, _) in episodes:
        write_clip(videos / f"episode_{number:06}.mp4", frames=length, fps=FPS)
        path = tmp_path / "data" / "chunk-000" / f"episode_{number:06}.parquet"
        write_data(path, {number: length}, SIDE, first=number * 100)
    return tmp_path


def episodes_v30(error: float = 0.0) -> dict[str, list]:
    """Columns of meta/episodes. error: seconds by which rounded durations have carried the time stamps off."""
    ends = list(accumulate(LENGTHS))
    starts = [0, *ends[:-1]]
    columns: dict[str, list] = {
        "episode_index": list(range(len(LENGTHS))),
        "tasks": [[task] for task in TASKS],
        "length": list(LENGTHS),
        "data/chunk_index": [0, 0, 0],
        "data/file_index": [0, 0, 1],
        "dataset_from_index": starts,
        "dataset_to_index": ends,
        f"videos/{TOP}/chunk_index": [0, 0, 0],
        f"videos/{TOP}/file_index": [0, 0, 0],
        f"videos/{TOP}/from_timestamp": [max(start / FPS + error, 0.0) for start in starts],
        f"videos/{TOP}/to_timestamp": [end / FPS + error for end in ends],
        "stats/index/min": [[0], [7], [17]],
    }
    return columns


def write_v30(folder: Path, error: float = 0.0, **changes) -> Path:
    write_info(folder, "v3.0", {TOP: "video", SIDE: "image"})
    path = folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**episodes_v30(error), **changes}), path)
    pq.write_table(pa.table({"task_index": [0, 1, 2], "task": TASKS}), folder / "meta" / "tasks.parquet")
    video = folder / "videos" / TOP / "chunk-000" / "file-000.mp4"
    video.parent.mkdir(parents=True, exist_ok=True)
    write_clip(video, frames=sum(LENGTHS), fps=FPS, options={"bf": "2"})
    write_data(folder / "data" / "chunk-000" / "file-000.parquet", {0: 7, 1: 10}, SIDE)
    write_data(folder / "data" / "chunk-000" / "file-001.parquet", {2: 5}, SIDE, first=17)
    return folder


def source(path: Path, camera: str | None = TOP, **fields) -> LeRobotSource:
    return LeRobotSource(kind="lerobot", path=path, camera=camera, **fields)


def frames_of(record) -> np.ndarray:
    with record.media.open(record.span) as frames:
        return read_clip(record, Look(height=48, width=64, frames=len(frames))).frames


def test_v21_videos(v21):
    records = open_source("lerobot", [f"path={v21}", f"camera={TOP}", "licence=MIT"]).records()
    assert [record.id for record in records] == ["episode_000000", "episode_000001", "episode_000002"]
    assert [record.instruction for record in records] == list(TASKS)
    assert [record.split for record in records] == ["train", "train", "validation"]
    assert {record.licence for record in records} == {"MIT"}
    for record, length in zip(records, LENGTHS, strict=True):
        assert record.span == Span(0, length, "frames")
        assert np.array_equal(frames_of(record), decode_all(record.media.path))


def test_v21_pictures_in_parquet(v21):
    for number, (record, length) in enumerate(zip(source(v21, SIDE).records(), LENGTHS, strict=True)):
        assert np.array_equal(frames_of(record), [picture(number * 100 + frame) for frame in range(length)])
        with record.media.open() as frames:
            assert frames.fps == FPS
            (last,) = frames.read([length - 1])
            assert np.array_equal(last, picture(number * 100 + length - 1))


@pytest.mark.parametrize("error", [0.0, 2e-4, -2e-4])
def test_v30_episodes_of_a_shared_video_are_cut_to_the_frame(tmp_path, error):
    records = source(write_v30(tmp_path, error)).records()
    truth = decode_all(tmp_path / "videos" / TOP / "chunk-000" / "file-000.mp4")
    assert [record.split for record in records] == ["train", "train", "validation"]
    for record, end, length in zip(records, accumulate(LENGTHS), LENGTHS, strict=True):
        assert np.array_equal(frames_of(record), truth[end - length : end])


def test_v30_pictures_of_a_shared_file(tmp_path):
    records = source(write_v30(tmp_path), SIDE).records()
    for record, end, length in zip(records, accumulate(LENGTHS), LENGTHS, strict=True):
        assert np.array_equal(frames_of(record), [picture(number) for number in range(end - length, end)])
    assert [record.media.path.name for record in records] == [
        "file-000.parquet",
        "file-000.parquet",
        "file-001.parquet",
    ]
    assert records[0].media.identity() != records[1].media.identity()
    assert records[0].media.identity() != records[0].media.identity(Span(0, 2, "frames"))


def test_spans_of_pictures(tmp_path):
    record = source(write_v30(tmp_path), SIDE).records()[1]
    with record.media.open(Span(2, 5, "frames")) as frames:
        assert np.array_equal(list(frames.read([0, 2])), [picture(9), picture(11)])
    with pytest.raises(ClipError, match="the span 0 to 11 frames reaches past the end, which has 10 frames"):
        record.media.open(Span(0, 11, "frames"))


def test_splits(v21):
    for split in ("val", "validation"):
        assert [record.id for record in source(v21, split=split).records()] == ["episode_000002"]
    with pytest.raises(InputError, match="has no split 'test': it has train, validation"):
        source(v21, split="test").records()
    write_info(v21, "v2.1", {TOP: "video"}, splits={"train": "all"})
    with pytest.raises(InputError, match=r"info\.json: the split 'train' is 'all', not 'first:end'"):
        source(v21).records()


def test_the_camera_is_the_only_one_or_is_named(v21):
    with pytest.raises(InputError, match=f"has 2 cameras .{TOP}, {SIDE}.: say which as camera"):
        source(v21, None).records()
    with pytest.raises(InputError, match=f"has no camera 'top': it has {TOP}, {SIDE}"):
        source(v21, "top").records()
    depth = {"dtype": "video", "shape": [48, 64, 3], "info": {"video.is_depth_map": True}}
    features = {TOP: {"dtype": "video", "shape": [48, 64, 3]}, "observation.images.depth": depth}
    write_info(v21, "v2.1", {}, features=features)
    assert source(v21, None).records() == source(v21, TOP).records()
    with pytest.raises(InputError, match=f"has no camera 'observation.images.depth': it has {TOP}"):
        source(v21, "observation.images.depth").records()


@pytest.mark.parametrize("version", ["v2.0", "v3.1", "v1.6", None])
def test_other_versions_are_refused(v21, version):
    write_info(v21, "v2.1", {TOP: "video"}, codebase_version=version)
    with pytest.raises(
        InputError, match=rf"info\.json is of version '{version}', not v2\.1 or v3\.0: convert the data"
    ):
        source(v21).records()


def test_several_tasks_of_an_episode(v21):
    write_info(v21, "v2.1", {TOP: "video"}, total_episodes=1)
    row = {"episode_index": 0, "tasks": list(TASKS[:2]), "length": 7}
    write_lines(v21 / "meta" / "episodes.jsonl", [row])
    with pytest.raises(InputError, match=r"episodes\.jsonl, line 1: the episode has 2 tasks: set tasks=first"):
        source(v21).records()
    assert source(v21, tasks="first").records()[0].instruction == TASKS[0]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"tasks": []}, "line 1: the field 'tasks' is no list of sentences"),
        ({"tasks": "lift it"}, "line 1: the field 'tasks' is no list of sentences"),
        ({"tasks": [" "]}, "line 1: the field 'tasks' is no list of sentences"),
        ({"episode_index": "one"}, "line 1: the field 'episode_index' is 'one', no number"),
        ({"episode_index": -1}, "line 1: episode -1 of 7 frames cannot be"),
        ({"length": None}, "line 1: the field 'length' is missing"),
        ({"length": 0}, "line 1: episode 0 of 0 frames cannot be"),
        ({"episode_index": 9}, r"line 1: there is no .*episode_000009\.mp4: fetch it"),
    ],
)
def test_wrong_rows_are_named(v21, row, sentence):
    whole = {"episode_index": 0, "tasks": ["lift it"], "length": 7}
    write_lines(v21 / "meta" / "episodes.jsonl", [{**whole, **row}])
    with pytest.raises(InputError, match=sentence):
        source(v21).records()


def test_an_episode_twice_or_too_few_are_reported(v21):
    row = {"episode_index": 0, "tasks": ["lift it"], "length": 7}
    write_lines(v21 / "meta" / "episodes.jsonl", [row, row])
    with pytest.raises(InputError, match="line 2: the id 'episode_000000' was given before"):
        source(v21).records()
    write_lines(v21 / "meta" / "episodes.jsonl", [row])
    with pytest.raises(InputError, match=r"info\.json says 3 episodes, and 1 are listed"):
        source(v21).records()
    assert len(source(v21).records(limit=1)) == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fps": 0}, r"info\.json: the field 'fps' is not above 0"),
        ({"chunks_size": 0}, r"info\.json: the field 'chunks_size' is not above 0"),
        ({"features": []}, r"info\.json: the field 'features' is no list of features"),
        ({"video_path": None}, r"info\.json: the field 'video_path' is missing"),
        ({"video_path": "{robot:03d}.mp4"}, "the field 'video_path' speaks of 'robot', which no episode has"),
        ({"video_path": "../{episode_index:06d}.mp4"}, r"the file '\.\./000000\.mp4' does not lie in"),
        ({"video_path": "{video_key.__class__}.mp4"}, r"there is no .*\{video_key.__class__\}\.mp4"),
        ({"video_path": "{episode_index:0999999999d}.mp4"}, r"there is no .*0999999999d\}\.mp4"),
    ],
)
def test_wrong_descriptions_are_named(v21, changes, sentence):
    write_info(v21, "v2.1", {TOP: "video"}, **changes)
    with pytest.raises(InputError, match=sentence):
        source(v21, None).records()


def test_length_and_video_must_agree(v21):
    row = {"episode_index": 0, "tasks": ["lift it"], "length": 8}
    write_lines(v21 / "meta" / "episodes.jsonl", [row])
    write_info(v21, "v2.1", {TOP: "video", SIDE: "image"}, total_episodes=1)
    with pytest.raises(ClipError, match="the span 0 to 8 frames reaches past the end"):
        frames_of(source(v21).records()[0])
    with pytest.raises(ClipError, match="it has 7 rows of episode 0, where the data set says 8"):
        frames_of(source(v21, SIDE).records()[0])


def test_time_stamps_that_are_not_the_length_are_reported(tmp_path):
    write_v30(tmp_path, **{f"videos/{TOP}/to_timestamp": [1.0, 2.0, 3.0]})
    with pytest.raises(InputError, match=r"file-000\.parquet, row 1: 0 to 1 s are not 7 frames at 30 per second"):
        source(tmp_path).records()
    write_v30(tmp_path, **{f"videos/{TOP}/from_timestamp": [float("inf")] * 3})
    with pytest.raises(InputError, match=r"row 1: the field .*from_timestamp' is 'inf', no number"):
        source(tmp_path).records()
    write_v30(tmp_path, **{f"videos/{TOP}/file_index": pa.array([0, None, 0], pa.int64())})
    with pytest.raises(InputError, match=f"row 2: the field 'videos/{TOP}/file_index' is missing or empty"):
        source(tmp_path).records()


def test_missing_annotations_are_reported(tmp_path, v21):
    (v21 / "meta" / "episodes.jsonl").unlink()
    with pytest.raises(InputError, match=r"There is no file .*episodes\.jsonl"):
        source(v21).records()
    with pytest.raises(InputError, match=r"There is no folder .*nowhere"):
        source(tmp_path / "nowhere").records()
    folder = write_v30(tmp_path / "v30")
    path = folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    pq.write_table(pa.table({"episode_index": [0], "length": [7]}), path)
    with pytest.raises(InputError, match=r"file-000\.parquet has no column 'tasks': it has episode_index, length"):
        source(folder).records()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"file-000\.parquet cannot be read \(damaged Parquet file: .*\): fetch"):
        source(folder).records()


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("frame_index", [0, 1, 2, 4, 3, 5, 6], "the rows of episode 0 are out of order"),
        ("episode_index", [0, 0, 0, 0, 0, 0, 1], "it has 6 rows of episode 0, where the data set says 7"),
        (SIDE, [None] * 7, f"at 0.000 s .'{SIDE}' keeps no picture in row 0"),
        (SIDE, [{"bytes": None, "path": "/etc/passwd"}] * 7, "keeps no picture in row 0"),
        (
            SIDE,
            [{"bytes": b"no picture", "path": ""}] * 7,
            r"side/0 cannot be read as a clip at 0\.000 s \(it is no picture",
        ),
    ],
)
def test_wrong_cells_are_named(v21, column, values, sentence):
    path = v21 / "data" / "chunk-000" / "episode_000000.parquet"
    table = pq.read_table(path)
    kind = table.schema.field(column).type
    pq.write_table(table.set_column(table.schema.names.index(column), column, pa.array(values, kind)), path)
    with pytest.raises(ClipError, match=sentence):
        frames_of(source(v21, SIDE).records()[0])


def test_no_cut_or_damage_of_parquet_escapes(v21):
    path = v21 / "data" / "chunk-000" / "episode_000000.parquet"
    whole = path.read_bytes()
    record = source(v21, SIDE).records()[0]
    truth = frames_of(record)
    for length in (0, 3, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ClipError, match=r"episode_000000\.parquet"):
            frames_of(record)
    for place in range(0, len(whole), 61):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            frames = frames_of(record)
        except (ClipError, InputError):
            continue
        assert frames.shape == truth.shape


def test_files_that_unpack_beyond_bounds_are_refused(v21, monkeypatch):
    record = source(v21, SIDE).records()[0]
    monkeypatch.setattr(module, "MAX_ROWS", 6)
    with pytest.raises(ClipError, match="7 rows are more than 6"):
        record.media.open()
    monkeypatch.setattr(module, "MAX_ROWS", 7)
    monkeypatch.setattr(module, "MAX_BYTES", 400)
    with pytest.raises(ClipError, match="it unpacks to more than 400 bytes in one row group"):
        record.media.open()


def test_a_missing_package_is_named(v21, monkeypatch):
    record = source(v21, SIDE).records()[0]
    assert isinstance(record.media, ParquetPictures)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r'pyarrow: pip install "showme-video\[data\]"'):
        record.media.open()


def stamps(*edges: tuple[float, float]) -> dict[str, list[float]]:
    """Columns of time stamps, given in frames."""
    return {
        f"videos/{TOP}/from_timestamp": [start / FPS for start, _ in edges],
        f"videos/{TOP}/to_timestamp": [stop / FPS for _, stop in edges],
    }


def write_shared_video(folder: Path, frames: int) -> np.ndarray:
    """Put another video in the place of the shared one."""
    path = folder / "videos" / TOP / "chunk-000" / "file-000.mp4"
    write_clip(path, frames=frames, fps=FPS, options={"bf": "2"})
    return decode_all(path)


def test_a_video_that_is_a_frame_short_or_long_is_reported_and_gives_no_frame_of_another_episode(tmp_path):
    # Of 7, 10 and 5 frames in the table the video has 6, 11 and 5, and the time stamps are those of the video.
    write_v30(tmp_path, **stamps((0, 6), (6, 17), (17, 22)))
    truth = write_shared_video(tmp_path, 22)
    with pytest.warns(ShowMeWarning, match="row 1: its video has 6 frames, where its table says 7") as caught:
        records = source(tmp_path).records()
    assert len(caught) == 1
    for record, (start, stop) in zip(records, ((0, 6), (6, 16), (17, 22)), strict=True):
        assert np.array_equal(frames_of(record), truth[start:stop])


@pytest.mark.parametrize("frames", [21, 23])
def test_a_frame_that_no_time_stamp_names_is_found_by_the_whole_video(tmp_path, frames):
    records = source(write_v30(tmp_path)).records()
    write_shared_video(tmp_path, frames)
    for record in records:
        with pytest.raises(ClipError, match=rf"it has {frames}\.0 frames at 30 per second, where its episodes have 22"):
            record.media.open(record.span)


def test_episodes_that_overlap_or_have_drifted_are_refused(tmp_path):
    write_v30(tmp_path, **stamps((0, 7), (6, 16), (16, 21)))
    entries = list(source(tmp_path).entries())
    assert [type(entry).__name__ for entry in entries] == ["Fault", "Fault", "Record"]
    assert "row 1: it ends 1.0 frames after " in entries[0].reason
    assert "row 2: it begins 1.0 frames before " in entries[1].reason
    # Durations that are rounded up by 0.4 frames each: the third episode is said to begin where its first frame is not.
    write_v30(tmp_path, **stamps((0, 7.4), (7.4, 17.8), (17.8, 22.8)))
    entries = list(source(tmp_path).entries())
    assert [type(entry).__name__ for entry in entries] == ["Record", "Record", "Fault"]
    assert "it begins 17.8 frames into its video, where those before it end after 17" in entries[2].reason


def test_a_video_of_its_own_that_is_longer_than_its_table_is_refused(v21):
    write_clip(v21 / "videos" / "chunk-000" / TOP / "episode_000000.mp4", frames=8, fps=FPS)
    first, second, _ = source(v21).records()
    with pytest.raises(ClipError, match="it has 8 frames of the episode, where the data set says 7"):
        first.media.open(first.span)
    # What curation has shortened is read.
    with second.media.open(Span(0, 4, "frames")) as frames:
        assert len(frames) == 4
