"""One's own clips: lists as JSON lines and CSV, and what is said of each fault in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from showme.data.media import Pictures, Span, Video
from showme.data.sources import open_source
from showme.data.sources.folder import FolderSource
from showme.errors import InputError, ShowMeWarning


def write_index(folder: Path, *rows) -> Path:
    path = folder / "index.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def records(folder: Path, **fields):
    return FolderSource(path=folder, **fields).records()


def test_records_of_both_layouts(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "9.mp4").touch()
    index = write_index(
        tmp_path, {"id": "x", "file": "a.mp4", "instruction": " push the jar "}, "", {"id": 9, "caption": "lift it"}
    )
    assert records(tmp_path) == records(index)
    first, second = records(tmp_path)
    assert (first.id, first.media, first.instruction) == ("x", Video(tmp_path / "a.mp4"), "push the jar")
    assert (second.id, second.media) == ("9", Video(tmp_path / "9.mp4"))
    assert FolderSource(path=tmp_path).records(1) == [first]


def test_a_csv_with_a_mark_line_breaks_and_any_script(tmp_path):
    for name in ("1.mp4", "2.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "3").mkdir()
    text = (
        'id,file,instruction,start,stop,split\r\n1,1.mp4,"push\r\nthe ""jar""",0.5,2,train\r\n'
        "2,2.mp4,把罐子推到右边,,,test\r\n3,3,ضع الموز,,,test\r\n"
    )
    (tmp_path / "index.csv").write_bytes("\ufeff".encode() + text.encode())
    first, second, third = records(tmp_path, fps=5)
    assert first.instruction == 'push\r\nthe "jar"'
    assert (first.span, first.split) == (Span(0.5, 2.0), "train")
    assert (second.instruction, second.span) == ("把罐子推到右边", None)
    assert third.media == Pictures(tmp_path / "3", fps=5)
    assert [record.id for record in records(tmp_path, split="test")] == ["2", "3"]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("{", "line 1: it is no JSON object"),
        ("[1]", "line 1: it is no JSON object"),
        ('{"a": ' + "[" * 100_000, "line 1: it is no JSON object"),
        ({"id": "a"}, r"line 1: it has no instruction \(or caption\): say in a sentence what happens"),
        ({"id": "a", "instruction": " "}, "line 1: its instruction is blank: say in a sentence"),
        ({"id": "a", "caption": "\t"}, "line 1: its caption is blank: say"),
        ({"id": "a", "instruction": ["x"]}, "line 1: the field 'instruction' is no text: correct it"),
        ({"instruction": "x"}, "line 1: the field 'id' is missing or empty: fill it in"),
        ({"id": " ", "instruction": "x"}, "line 1: the field 'id' is missing or empty: fill it in"),
        ({"id": "a", "instruction": "lift it"}, r"line 1: there is no .*a\.mp4: fetch it, or leave the clip out"),
        ({"id": "a", "instruction": "lift it", "file": "../a.mp4"}, r"line 1: the file '\.\./a\.mp4' does not lie in"),
        ({"id": "a", "instruction": "lift it", "file": "/etc/passwd"}, "line 1: the file '/etc/passwd' does not lie"),
        ({"id": "a", "instruction": "lift it", "file": "a\0b"}, "has no name or control characters in it"),
        ({"id": "a", "instruction": "lift it", "start": "soon"}, "line 1: the field 'start' is 'soon', no number"),
        ({"id": "a", "instruction": "lift it", "stop": 1e999}, "line 1: the field 'start' is missing"),
        ("", "lists no clips"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, row, sentence):
    write_index(tmp_path, row)
    with pytest.raises(InputError, match=sentence):
        records(tmp_path)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "a.mp4").touch()
    (inside / "a.mp4").symlink_to(outside / "a.mp4")
    (inside / "below").symlink_to(outside)
    for file in ("a.mp4", "below/a.mp4"):
        write_index(inside, {"id": "a", "instruction": "lift it", "file": file})
        with pytest.raises(InputError, match="is a link that leads out of"):
            records(inside)
    (tmp_path / "link").symlink_to(inside)
    (inside / "b.mp4").touch()
    write_index(inside, {"id": "b", "instruction": "lift it"})
    assert len(records(tmp_path / "link")) == 1, "the folder itself may be a link"


def test_csv_faults_are_named(tmp_path):
    index = tmp_path / "index.csv"
    for text, sentence in (
        ("name,instruction\n", r"index\.csv has no column 'id': it has name, instruction"),
        ("", "has no column 'id': it has none"),
        ("id,instruction\n1\n", "row 1: it has 1 cells where 2 belong"),
        ('id,instruction\n1,"push\n', r"row 1: not CSV"),
        ("id,instruction\n" + "1" * 2_000_000, "has a line of more than"),
    ):
        index.write_text(text)
        with pytest.raises(InputError, match=sentence):
            records(tmp_path)


def test_other_encodings_ids_twice_and_no_index_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"There is no .*index\.jsonl"):
        records(tmp_path)
    (tmp_path / "index.jsonl").write_bytes('{"id": "a", "instruction": "lève"}'.encode("latin-1"))
    with pytest.raises(InputError, match=r"index\.jsonl is not UTF-8 text: save it as UTF-8"):
        records(tmp_path)
    (tmp_path / "a.mp4").touch()
    write_index(tmp_path, *[{"id": "a", "instruction": "lift it"}] * 2)
    with pytest.raises(InputError, match="line 2: the id 'a' was given before"):
        records(tmp_path)


def test_lists_leave_out_keep_and_shorten(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.mp4").touch()
    write_index(tmp_path, *({"id": name, "instruction": "lift it"} for name in "abcd"))
    (tmp_path / "exclude.jsonl").write_text('{"id": "d", "reason": "missing"}\n')
    (tmp_path / "keep.jsonl").write_text('{"id": "a", "span": null}\n{"id": "b", "span": [0, 1.5, "seconds"]}\n')
    assert [record.id for record in records(tmp_path, exclude=tmp_path / "exclude.jsonl")] == ["a", "b", "c"]
    first, second = records(tmp_path, keep=tmp_path / "keep.jsonl")
    assert (first.span, second.span) == (None, Span(0, 1.5))
    (tmp_path / "keep.jsonl").write_text('{"id": "a", "span": [0, 1]}\n')
    with pytest.raises(InputError, match="line 1: the span is none: write"):
        records(tmp_path, keep=tmp_path / "keep.jsonl")


def test_a_source_is_named_by_path_kind_or_yaml(tmp_path):
    (tmp_path / "a.mp4").touch()
    write_index(tmp_path, {"id": "a", "instruction": "lift it"})
    (tmp_path / "source.yaml").write_text(f"kind: folder\npath: {tmp_path}\n")
    for source in (
        open_source(str(tmp_path)),
        open_source("folder", [f"path={tmp_path}"]),
        open_source(str(tmp_path / "source.yaml")),
    ):
        assert [record.id for record in source.records()] == ["a"]
    (tmp_path / "source.yaml").write_text("kind: imagenet\n")
    with pytest.raises(InputError, match="there is no kind 'imagenet': choose folder, "):
        open_source(str(tmp_path / "source.yaml"))
    (tmp_path / "source.yaml").write_text("kind: [folder]\n")
    with pytest.raises(InputError, match=r"there is no kind \['folder'\]"):
        open_source(str(tmp_path / "source.yaml"))
    with pytest.raises(InputError, match="there is no field paths: did you mean path"):
        open_source("folder", ["paths=x"])


def test_a_list_of_another_data_set_is_reported(tmp_path):
    (tmp_path / "1.mp4").touch()
    write_index(tmp_path, {"id": "1", "instruction": "push the jar", "split": "train"})
    other = tmp_path / "other.jsonl"
    other.write_text('{"id": "elsewhere/7"}\n')
    with pytest.warns(ShowMeWarning, match=r"exclude=.*other\.jsonl names no clip of .*index\.jsonl"):
        assert len(records(tmp_path, exclude=other)) == 1
    with (
        pytest.warns(ShowMeWarning, match=r"keep=.*other\.jsonl names no clip"),
        pytest.raises(InputError, match=r"index\.jsonl lists no clips with keep=.*other\.jsonl: correct what chooses"),
    ):
        records(tmp_path, keep=other)
    with pytest.raises(InputError, match=r"lists no clips with split=trian"):
        records(tmp_path, split="trian")
    with pytest.raises(InputError, match=r"exclude: there is no list .*none\.jsonl"):
        records(tmp_path, exclude=tmp_path / "none.jsonl")
    with pytest.raises(InputError, match=r"1\.mp4 is no list of clips: give an index\.jsonl or index\.csv"):
        records(tmp_path / "1.mp4")
