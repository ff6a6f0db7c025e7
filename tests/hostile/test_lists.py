"""Lists of clips that are deep, long, torn, or say strange things: one sentence with the file, or the text as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from showme.data.sources.folder import FolderSource
from showme.data.sources.lists import read_kept, write_exclusions
from showme.data.sources.tables import cell, read_csv
from showme.errors import InputError

from .corpus import X264, write_video
from .reading import Job

PEAK = 1024 * 2**20
_GIVEN = '"file": "a.mp4", "instruction": "push it"'


def _lines(text: str | bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "brackets.json": lambda path: path.write_bytes(b"[" * 10**8),
    "objects.json": _lines('{"a":' * 10**5),
    "objects.jsonl": _lines('{"a":' * 10**5 + "1" + "}" * 10**5),
    "brackets.jsonl": _lines("[" * 10**6),
    "half.jsonl": _lines('{"id": "\\ud800", ' + _GIVEN + "}\n"),
    "half.json": _lines('["\\uDFFF"]'),
    "digits.jsonl": _lines('{"id": ' + "9" * 5000 + ", " + _GIVEN + "}\n"),
    "nul.jsonl": _lines(b"\0" * 1000),
    "binary.jsonl": _lines(bytes(range(256)) * 10),
    "utf16.jsonl": _lines(('{"id": "1", ' + _GIVEN + "}\n").encode("utf-16")),
    "array.jsonl": _lines("[1, 2]\n"),
    "line.jsonl": lambda path: path.write_text('{"id": "' + "x" * 2**20 + '"}'),
    "quote.csv": _lines('id,file,instruction\n1,a.mp4,"never closed\n' + "2,a.mp4,push\n" * 10**5),
    "columns.csv": _lines("a," * 10**6 + "id\n"),
    "many-columns.csv": _lines("a," * 4 * 10**5 + "id\n"),
    "row.csv": _lines("id,file\n" + '"x\n",' * 10**6),
    "cells.csv": _lines("id,file,instruction\n1,a.mp4\n"),
    "twice.csv": _lines("id,file,id\n1,a.mp4,2\n"),
    "header.csv": _lines('i\x1cd,"fi\nle"\n1,a.mp4\n'),
    "utf16.csv": _lines("id,file,instruction\n1,a.mp4,x\n".encode("utf-16")),
    "empty.csv": _lines(""),
}


def test_hostile_lists_are_refused_with_their_names(corpus, read):
    jobs = []
    for name, write in HOSTILE.items():
        write(corpus / name)
        jobs.append(Job(name.rpartition(".")[2], str(corpus / name)))
    jobs += [Job("list", job.path) for job in jobs if job.kind != "json"]
    for job, outcome in zip(jobs, read(jobs, PEAK), strict=True):
        assert outcome.error == "InputError" or job.path.endswith("digits.jsonl"), job.name


@pytest.fixture
def clip(corpus) -> Path:
    """A whole video beside the lists."""
    return write_video(corpus / "a.mp4", options=X264)


INSTRUCTIONS = [
    "push 😀 the jar",
    "ادفع الجرة إلى اليسار",
    "e\u0301 \u0915\u094d\u0937",
    "\u202eleft",
    "把罐子推到左边",
    "a\tb\nc\x1b[31m",
    "x" * 900_000,
    "\u200d",
    "'; DROP TABLE clips; --",
    "{0} %s \\x00",
]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_instructions_in_any_script_stay_as_they_are(corpus, clip, suffix):
    import csv

    index = corpus / f"index.{suffix}"
    texts = INSTRUCTIONS if suffix == "jsonl" else [text for text in INSTRUCTIONS if len(text) < 100_000]
    if suffix == "jsonl":
        rows = [{"id": number, "file": clip.name, "instruction": text} for number, text in enumerate(texts)]
        index.write_text("\ufeff" + "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with index.open("w", newline="", encoding="utf-8-sig") as file:
            csv.writer(file).writerows(
                [["id", "file", "instruction"], *([number, clip.name, text] for number, text in enumerate(texts))]
            )
    assert [record.instruction for record in FolderSource(path=index).records()] == [text.strip() for text in texts]


@pytest.mark.parametrize("text", ["", "  \n\t", None, 7, ["push"], {"a": "b"}, True])
def test_an_instruction_that_is_none_is_refused(corpus, clip, text):
    index = corpus / "index.jsonl"
    index.write_text(json.dumps({"id": "1", "file": clip.name, "instruction": text}))
    with pytest.raises(InputError, match=r"index\.jsonl, line 1: .*instruction"):
        FolderSource(path=index).records()


def test_ids_with_slashes_and_dots_are_ids(corpus, clip):
    ids = ["a/b", "../../x", "/etc/passwd", "..", ".", "-i", "%s", "a b", "ü😀"]
    index = corpus / "index.jsonl"
    index.write_text("".join(json.dumps({"id": i, "file": clip.name, "instruction": "x"}) + "\n" for i in ids))
    assert [record.id for record in FolderSource(path=index).records()] == ids
    write_exclusions(corpus / "exclude.jsonl", dict.fromkeys(ids[:-1], "x"))
    left = FolderSource(path=index, exclude=corpus / "exclude.jsonl").records()
    assert [record.id for record in left] == ids[-1:]


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\0b", "a\u2028b", "x" * 2000])
def test_ids_that_no_message_can_show_are_refused(corpus, clip, name):
    index = corpus / "index.jsonl"
    index.write_text(json.dumps({"id": name, "file": clip.name, "instruction": "x"}))
    with pytest.raises(InputError, match=r"index\.jsonl, line 1: the id ") as error:
        FolderSource(path=index).records()
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 1000


def test_an_id_twice_is_refused_by_a_check_too(corpus, clip):
    index = corpus / "index.jsonl"
    index.write_text(
        json.dumps({"id": "1", "file": clip.name, "instruction": "x"}) * 1 + "\n" + '{"id": 1, ' + _GIVEN + "}"
    )
    with pytest.raises(InputError, match="line 2: the id '1' was given before"):
        list(FolderSource(path=index).chosen())


def test_cells_hold_line_breaks_and_nul_as_text(corpus):
    path = corpus / "index.csv"
    path.write_bytes(b'\xef\xbb\xbfid,note\n1,"a\nb"\n2,"c\r\nd"\n3,"e\0f"\n')
    assert [row["note"] for _, row in read_csv(path, ["id"])] == ["a\nb", "c\r\nd", "e\0f"]


@pytest.mark.parametrize(("value", "kind"), [
    (3.7, int), (True, int), (10**400, int), (10**400, float), ("1e999", float), ("nan", float), (float("inf"), float),
    ("9" * 5000, int), (2**60, int), ([1], int), ({}, float), ("0x10", int),
])  # fmt: skip
def test_numbers_are_whole_and_finite(value, kind):
    with pytest.raises(InputError, match=r"^here: the field 'n' is .*, no number"):
        cell("here", {"n": value}, "n", kind)


@pytest.mark.parametrize("span", [
    "[NaN, 1, \"seconds\"]", "[0, Infinity, \"frames\"]", "[2, 1, \"frames\"]", "[-1, 1, \"frames\"]", "\"abc\"", "{}",
    f"[0, {10**400}, \"frames\"]", "[0, 1]", "[[], {}, \"frames\"]",
])  # fmt: skip
def test_spans_of_kept_clips_are_spans(corpus, span):
    path = corpus / "keep.jsonl"
    path.write_text('{"id": "1", "span": ' + span + "}")
    with pytest.raises(InputError, match=r"keep\.jsonl, line 1: the span is none"):
        read_kept(path)


@pytest.mark.parametrize("out", [".", "/", "neighbour", "corpus/a.mp4/list.jsonl", "/proc/list.jsonl"])
def test_a_list_goes_to_a_file_or_nowhere(area, clip, monkeypatch, out):
    monkeypatch.chdir(area)
    with pytest.raises(InputError, match="cannot be written"):
        write_exclusions(Path(out), {"1": "x"})
    assert not list(area.rglob("*.partial"))
