"""One record that is wrong: named with all others that are, and left out by a list of their ids, in every source."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from showme.cli import main
from showme.data.media import Span
from showme.data.sources import Source, open_source
from showme.data.sources.folder import FolderSource
from showme.data.sources.lists import read_exclusions, write_exclusions
from showme.data.sources.record import Fault
from showme.errors import InputError

from ..media.test_tfrecord import write_records
from ..media.videos import write_clip
from .test_bridge_v2 import write_trajectory
from .test_ego4d import action, fho, pair, write
from .test_epic_kitchens import ROW, write_annotations
from .test_lerobot import TASKS, TOP, write_info, write_lines, write_v30
from .test_rlds import episode
from .test_webdataset_tars import VIDEO, write_shard


def folder(root: Path) -> Source:
    lines = ['{"id": "a", "instruction": "lift it"}', '{"id": "b", "instruction": ""}', "no JSON", '{"id": "c"}']
    (root / "index.jsonl").write_text("\n".join(lines))
    (root / "a.mp4").touch()
    return FolderSource(path=root)


def listed_as_csv(root: Path) -> Source:
    (root / "index.csv").write_text("id,instruction,start,stop\nb,lift it,soon,2\na,lift it,,\nc,,\nd,lift it,3,\n")
    for name in "abcd":
        (root / f"{name}.mp4").touch()
    return FolderSource(path=root)


def epic_kitchens(root: Path) -> Source:
    rows = [ROW.replace("P01_11_0", f"P01_11_{number}") for number in range(3)]
    rows[0] = rows[0].replace("00:00:00.50", "half")
    rows[2] = rows[2].replace(",take plate,", ",,")
    (root / "P01_11.MP4").touch()
    annotations = write_annotations(root, *rows)
    return open_source("epic_kitchens", [f"annotations={annotations}", f"videos={root}"])


def bridge_v1(root: Path) -> Source:
    (root / "lift_it/1").mkdir(parents=True)
    (root / "list.txt").write_text(json.dumps(["lift_it/1", "lift_it", 7, "__/2"]))
    return open_source("bridge_v1", [f"path={root}", f"annotations={root / 'list.txt'}"])


def bridge_v2(root: Path) -> Source:
    for number, language in enumerate(("lift it", None, "")):
        write_trajectory(root / f"lift/raw/traj_group0/traj{number}", language)
    return open_source("bridge_v2", [f"path={root}"])


def rlds(root: Path) -> Source:
    path = root / "toy-train.tfrecord-00000-of-00001"
    write_records(path, [episode([0], ["lift it"]), episode([0], [""]), episode([0, 1, 2], ["a", "b"]), b"0123456789"])
    data = bytearray(path.read_bytes())
    # The last payload, of which the checksum stays.
    data[-6] ^= 1
    path.write_bytes(data)
    return open_source("rlds", [f"path={root}"])


def lerobot_v21(root: Path) -> Source:
    write_info(root, "v2.1", {TOP: "video"})
    rows = [{"episode_index": number, "tasks": [task], "length": 7} for number, task in enumerate(("", "lift it", " "))]
    write_lines(root / "meta" / "episodes.jsonl", rows)
    (root / "videos/chunk-000" / TOP).mkdir(parents=True)
    for number in range(3):
        (root / "videos/chunk-000" / TOP / f"episode_{number:06}.mp4").touch()
    return open_source("lerobot", [f"path={root}", f"camera={TOP}"])


def lerobot_v30(root: Path) -> Source:
    write_v30(root, tasks=[[TASKS[0]], [""], []])
    return open_source("lerobot", [f"path={root}", f"camera={TOP}"])


def ssv2(root: Path) -> Source:
    row = {"label": "lifting a mug", "template": "Lifting [something]", "placeholders": ["a mug"]}
    rows = [{"id": "1", **row}, 7, {"id": "2", **row, "label": " "}, row]
    (root / "train.json").write_text(json.dumps(rows))
    (root / "1.webm").touch()
    return open_source("ssv2", [f"annotations={root / 'train.json'}", f"videos={root}"])


def ego4d(root: Path) -> Source:
    good, backwards, silent = action(uid="a"), action(uid="b", start_sec=9.0, end_sec=3.0), action(uid="c")
    silent["narration_text"] = None
    value = fho(good, backwards, silent)
    value["videos"].append({"video_uid": "other", "annotated_intervals": 3})
    path = write(root, value)
    for video in value["videos"]:
        (root / f"{video['video_uid']}.mp4").touch()
    return open_source("ego4d", [f"annotations={path}", f"videos={root}"])


def lego(root: Path) -> Source:
    value = {**pair(clip="a"), **pair(clip="b", image_0=None), "c": 7, "d": {"7": []}}
    path = write(root, value, "ego4d_val.json")
    (root / "a.mp4").touch()
    return open_source("lego", [f"annotations={path}", f"videos={root}"])


def ucf101(root: Path) -> Source:
    (root / "classInd.txt").write_text("1 Archery\n")
    lines = ["Archery/v_Archery_g01_c01.avi 1", "Archery/v_Archery_g01_c02.avi", "Fencing/v_Fencing_g01_c01.avi 2"]
    (root / "trainlist01.txt").write_text("\n".join(lines))
    (root / "Archery").mkdir()
    (root / "Archery/v_Archery_g01_c01.avi").touch()
    return open_source("ucf101", [f"videos={root}", f"lists={root}"])


def webdataset(root: Path) -> Source:
    write_shard(root / "a.tar", ("1.mp4", VIDEO), ("1.txt", "lift"), ("2.mp4", VIDEO), ("2.txt", ""), ("README", "a"))
    # One key in two shards; one whose members do not stand together; a file twice but for its case.
    members = [("2.mp4", VIDEO), ("2.txt", "lift"), ("3.mp4", VIDEO), ("3.txt", "a"), ("4.mp4", VIDEO), ("4.txt", "a")]
    write_shard(root / "b.tar", *members, ("3.json", "{}"), ("5.txt", "a"), ("5.mp4", VIDEO), ("5.MP4", VIDEO))
    write_shard(root / "c.tar", ("4.mp4", VIDEO), ("4.txt", "b"))
    return open_source("webdataset", [f"shards={root}/*.tar"])


def huggingface(root: Path) -> Source:
    rows = {"instruction": ["lift it", "", None], "video": [b"1", b"2", b"3"]}
    datasets.Dataset.from_dict(rows).save_to_disk(str(root / "saved"))
    return open_source("huggingface", [f"path={root / 'saved'}"])


@pytest.mark.parametrize(
    ("build", "good", "bad"),
    [
        (folder, ["a"], ["b", "index.jsonl, line 3", "c"]),
        (listed_as_csv, ["a"], ["b", "index.csv, row 3", "d"]),
        (epic_kitchens, ["P01_11_1"], ["P01_11_0", "P01_11_2"]),
        (bridge_v1, ["lift_it/1"], ["lift_it", "list.txt, entry 3", "__/2"]),
        (bridge_v2, ["lift/raw/traj_group0/traj0"], [f"lift/raw/traj_group0/traj{number}" for number in (1, 2)]),
        (rlds, ["toy-train.tfrecord-00000-of-00001/0"], [*(f"toy-train.tfrecord-00000-of-00001/{n}" for n in (1, 2)),
                                                         "toy-train.tfrecord-00000-of-00001, record 3"]),
        (lerobot_v21, ["episode_000001"], ["episode_000000", "episode_000002"]),
        (lerobot_v30, ["episode_000000"], ["episode_000001", "episode_000002"]),
        (ssv2, ["1"], ["train.json, row 2", "2", "train.json, row 4"]),
        (ego4d, ["a"], ["b", "c", "other"]),
        (lego, ["a/7"], ["b/7", "ego4d_val.json, clip c", "d/7"]),
        (ucf101, ["v_Archery_g01_c01"], ["v_Archery_g01_c02", "v_Fencing_g01_c01"]),
        (webdataset, ["1"], ["README", "2", "3", "5", "4"]),
        (huggingface, ["train/1"], ["train/2", "train/3"]),
    ],
)  # fmt: skip
def test_all_are_named_and_can_be_excluded(tmp_path, build: Callable[[Path], Source], good, bad):
    source = build(tmp_path)
    faults = {entry.id: entry.reason for entry in source.selected() if isinstance(entry, Fault)}
    assert list(faults) == bad
    with pytest.raises(InputError) as refused:
        source.records()
    sentence = str(refused.value)
    assert sentence.startswith(faults[bad[0]].rstrip("."))
    assert f"; {len(bad)} records are wrong in this way or another ({'; '.join(bad)}); to leave them out, " in sentence
    write_exclusions(tmp_path / "exclude.jsonl", faults)
    chosen = source.model_copy(update={"exclude": tmp_path / "exclude.jsonl"})
    assert [record.id for record in chosen.records()] == good
    # The command that the sentence names opens the same source.
    words = shlex.split(sentence.split("`")[1])
    assert words[:3] == ["showme", "data", "check"]
    assert open_source(words[3], words[4:]) == source


def test_thousands_are_counted_and_some_named(tmp_path):
    (tmp_path / "index.jsonl").write_text("".join(json.dumps({"id": number}) + "\n" for number in range(3000)))
    with pytest.raises(InputError) as refused:
        FolderSource(path=tmp_path).records()
    assert "3000 records are wrong in this way or another (0; 1; 2; 3; 4; 5; 6; 7; 8; 9 and 2990 more)" in str(
        refused.value
    )
    assert len(str(refused.value)) < 600
    with pytest.raises(InputError, match="2 records are wrong"):
        FolderSource(path=tmp_path).records(limit=2)


def test_missing_clips_are_named_with_the_others(tmp_path):
    rows = [{"id": "a", "instruction": "x"}, {"id": "b"}, {"id": "c", "instruction": "x"}]
    (tmp_path / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(
        InputError, match=r"line 2: it has no instruction .* 3 records are wrong in this way or another \(b; a; c\)"
    ):
        FolderSource(path=tmp_path).records()


def test_the_command_writes_the_list(tmp_path, capsys):
    rows = [{"id": "good", "instruction": "x"}, {"id": "blank", "instruction": ""}, {"id": "gone", "instruction": "x"}]
    (tmp_path / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_clip(tmp_path / "good.mp4", frames=3)
    listed = tmp_path / "exclude.jsonl"
    with pytest.raises(SystemExit) as end:
        main(["data", "check", str(tmp_path), "--out", str(listed), "--processes", "1"])
    out = capsys.readouterr().out
    assert end.value.code == 1
    assert "bad:     blank: " in out
    assert "checked: 3 clips, 2 bad" in out
    assert list(read_exclusions(listed)) == ["blank", "gone"]
    assert [record.id for record in FolderSource(path=tmp_path, exclude=listed).records()] == ["good"]
    # Listing shows what can be used, and then says what cannot.
    with pytest.raises(SystemExit) as end:
        main(["data", "list", str(tmp_path)])
    shown = capsys.readouterr()
    assert end.value.code == 2
    assert "clips:   2 no split" in shown.out
    assert "line 2: it has no instruction" in shown.err


def test_what_keep_says_lies_within_the_annotation(tmp_path):
    row = {"id": "a", "instruction": "x", "start": 1.0, "stop": 3.0}
    (tmp_path / "index.jsonl").write_text(json.dumps(row))
    (tmp_path / "a.mp4").touch()
    keep = tmp_path / "keep.jsonl"

    def kept(*span) -> Span | None:
        keep.write_text(json.dumps({"id": "a", "span": span}))
        return FolderSource(path=tmp_path, keep=keep).records()[0].span

    assert kept(1.0, 2.5, "seconds") == Span(1.0, 2.5)
    # Halfway to the frame after the last, which is another clip's.
    assert kept(1.0, 3.02, "seconds") == Span(1.0, 3.0)
    for span in ((1.0, 9.0, "seconds"), (0.0, 2.5, "seconds"), (1, 2, "frames")):
        with pytest.raises(InputError, match=r"keep says .* does not lie in the annotation's 1 to 3 seconds: curate"):
            kept(*span)


def test_a_description_that_is_wrong_as_a_whole_is_no_fault_of_a_record(tmp_path):
    source = lerobot_v30(tmp_path)
    path = tmp_path / "meta/episodes/chunk-000/file-000.parquet"
    pq.write_table(pa.table({"episode_index": [0], "length": [7]}), path)
    with pytest.raises(InputError, match="has no column 'tasks'"):
        list(source.selected())
