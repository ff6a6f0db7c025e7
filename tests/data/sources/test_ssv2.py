"""Something-Something V2: the official JSON, extracted frames, and the ShowMe authors' captions.

The schema is the published one: a list of ``{"id", "label", "template", "placeholders"}``, in train.json and
validation.json; the class names are the real ones.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from showme.data.clips import Look, read_clip
from showme.data.sources import open_source
from showme.data.sources.ssv2 import Ssv2Source, normalise
from showme.errors import InputError, ShowMeWarning

from ..media.videos import HEIGHT, WIDTH, decode_all, picture, write_clip

ROWS = [
    {"id": "78687", "label": "holding potato next to vicks vaporub bottle",
     "template": "Holding [something] next to [something]", "placeholders": ["potato", "vicks vaporub bottle"]},
    {"id": "42326", "label": "tearing a receipt into two pieces", "template": "Tearing [something] into two pieces",
     "placeholders": ["a receipt"]},
]  # fmt: skip


def write_json(folder: Path, rows, name: str = "train.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(rows))
    return path


def source(annotations: Path, **fields) -> Ssv2Source:
    fields = fields or {"videos": annotations.parent}
    return Ssv2Source(kind="ssv2", annotations=annotations, **fields)


def test_webm_files_of_the_official_json(tmp_path):
    videos = tmp_path / "20bn-something-something-v2"
    videos.mkdir()
    for row in ROWS:
        write_clip(videos / f"{row['id']}.webm", 9, codec="libvpx-vp9", fps=12, options={"cpu-used": "8"})
    annotations = write_json(tmp_path, ROWS)
    first, second = open_source("ssv2", [f"annotations={annotations}", f"videos={videos}"]).records()
    assert (first.id, first.instruction, first.template, first.split, first.span) == (
        "78687",
        "holding potato next to vicks vaporub bottle",
        "Holding [something] next to [something]",
        "train",
        None,
    )
    assert second.instruction == "tearing a receipt into two pieces"
    assert second.origin == f"{annotations}, row 2"
    clip = read_clip(first, Look(height=HEIGHT, width=WIDTH, frames=9))
    assert np.array_equal(clip.frames, decode_all(videos / "78687.webm"))


def test_frames_in_natural_order(tmp_path):
    # Without leading zeros the order of the names is another one than that of the numbers.
    numbers = range(1, 13)
    for row in ROWS:
        (tmp_path / "rawframes" / row["id"]).mkdir(parents=True)
        for number in numbers:
            Image.fromarray(picture(number)).save(tmp_path / "rawframes" / row["id"] / f"img_{number}.png")
    annotations = write_json(tmp_path, ROWS, "validation.json")
    record, _ = source(annotations, frames=tmp_path / "rawframes").records()
    assert record.split == "validation"
    with record.media.open() as frames:
        assert (len(frames), frames.fps) == (12, 12.0)
    clip = read_clip(record, Look(height=HEIGHT, width=WIDTH, frames=12))
    assert np.array_equal(clip.frames, [picture(number) for number in numbers])
    record, _ = source(annotations, frames=tmp_path / "rawframes", fps=24).records()
    with record.media.open() as frames:
        assert frames.fps == 24


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("webm", "libvpx-vp9")])
def test_captions_of_the_hoi_subsets(tmp_path, suffix, codec):
    write_clip(tmp_path / f"7.{suffix}", 5, codec=codec)
    path = tmp_path / "ssv2-val-HOI.jsonl"
    path.write_text('{"id": 7, "caption": "Pushing a cup from left to right"}\n')
    (record,) = source(path).records()
    assert (record.id, record.instruction, record.template) == ("7", "Pushing a cup from left to right", None)
    assert record.split == "validation"
    clip = read_clip(record, Look(height=HEIGHT, width=WIDTH, frames=5))
    assert np.array_equal(clip.frames, decode_all(tmp_path / f"7.{suffix}"))
    with pytest.raises(ValidationError, match="has captions and no templates"):
        source(path, videos=tmp_path, templates=("Pushing something",))


def test_video_id_is_an_id_and_ids_differ(tmp_path):
    rows = [{"video_id": "1", "label": "a", "template": "b"}, {"video_id": 2, "label": "c", "template": "d"}]
    assert [record.id for record in source(write_json(tmp_path, rows)).read()] == ["1", "2"]
    (tmp_path / "1.webm").touch()
    path = write_json(tmp_path, [rows[0], rows[0]])
    with pytest.raises(InputError, match=r"train\.json, row 2: the id '1' was given before: ids must differ"):
        source(path).records()


def test_every_real_class_is_found_with_and_without_brackets(tmp_path, real_data):
    names = (real_data / "labels" / "sthv2_label_map.txt").read_text().splitlines()
    assert len({normalise(name) for name in names}) == len(names) == 174
    bracketed = [re.sub(r"\b([Ss]omething|somewhere)\b", r"[\1]", name) for name in names]
    assert sum("[" in name for name in bracketed) > 165
    rows = [{"id": str(n), "label": name, "template": name} for n, name in enumerate(bracketed)]
    annotations = write_json(tmp_path, rows)
    for chosen in (tuple(names), tuple(bracketed)):
        records = list(source(annotations, videos=tmp_path, templates=chosen).read())
        assert [record.template for record in records] == bracketed
    few = ("Dropping something into something", "Unfolding  [Something]")
    records = list(source(annotations, videos=tmp_path, templates=few).read())
    assert [normalise(record.template) for record in records] == [normalise(name) for name in few]


def test_a_template_that_no_clip_has_is_named(tmp_path):
    path = write_json(tmp_path, ROWS)
    with pytest.raises(InputError, match=r"no clip of the template 'Tearing something in two pieces': did you mean "
                       "'tearing something into two pieces'"):  # fmt: skip
        list(source(path, videos=tmp_path, templates=("Tearing something in two pieces",)).read())


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"id": "1"}], r"row 1: there is no label, as in test\.json: give train\.json or validation\.json"),
        ({"Holding something": "0"}, r"is no list of clips: give train\.json or validation\.json"),
        ([ROWS[0], 3], "row 2: no JSON object"),
        ([{"label": "a", "template": "b"}], "row 1: the field 'video_id' is missing or empty: fill it in"),
        ([{"id": "1", "label": " ", "template": "b"}], "row 1: the field 'label' is missing or empty"),
        ([{"id": "1", "label": "a"}], "row 1: the field 'template' is missing or empty"),
        ([{"id": "../1", "label": "a", "template": "b"}], r"row 1: the file '\.\./1\.webm' does not lie in"),
        (ROWS, r"row 1: there is no .*78687\.webm: fetch it, or leave the clip out"),
    ],
)
def test_faults_are_reported_with_file_and_row(tmp_path, rows, sentence):
    path = write_json(tmp_path, rows)
    with pytest.raises(InputError, match=sentence) as caught:
        source(path).records()
    assert str(path) in str(caught.value)


def test_places(tmp_path):
    path = write_json(tmp_path, ROWS)
    for fields in ({"split": "train"}, {"videos": tmp_path, "frames": tmp_path}):
        with pytest.raises(ValidationError, match="give videos or frames, one of them"):
            source(path, **fields)
    with pytest.raises(InputError, match=r"There is no folder .*nowhere: give the one of the videos"):
        source(path, videos=tmp_path / "nowhere").records()


def test_of_two_files_of_a_clip_the_one_that_is_read_is_reported(tmp_path):
    annotations = write_json(tmp_path, [{**ROWS[0], "id": name} for name in "12"])
    for name in ("1.webm", "1.mp4", "2.webm", "2.mp4"):
        (tmp_path / name).touch()
    with pytest.warns(ShowMeWarning, match=r"row 1: 1\.webm and 1\.mp4 are both there: the first is read") as caught:
        records = source(annotations, videos=tmp_path).records()
    assert ([record.media.path.name for record in records], len(caught)) == (["1.webm", "2.webm"], 1)
