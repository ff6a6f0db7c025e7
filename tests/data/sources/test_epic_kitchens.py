"""EPIC-KITCHENS-100: the official annotations, and pixels as videos, folders of frames and tar files."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showme.data.clips import Look, read_clip
from showme.data.media import Span, Video
from showme.data.sources.epic_kitchens import EpicKitchensSource
from showme.errors import InputError

from ..media.videos import decode_all, write_clip

HEADER = ("narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,"
          "stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes")  # fmt: skip
ROW = "P01_11_0,P01,P01_11,00:00:00.560,00:00:00.50,00:00:01.50,11,30,take plate,take,0,plate,2,['plate'],[2]"


def write_annotations(folder: Path, *rows: str) -> Path:
    path = folder / "EPIC_100_validation.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def source(**fields) -> EpicKitchensSource:
    return EpicKitchensSource(kind="epic_kitchens", **fields)


def test_the_real_annotations(real_data, tmp_path):
    annotations = real_data / "epic_annotations" / "EPIC_100_validation.csv"
    records = list(source(annotations=annotations, videos=tmp_path).read())
    assert len(records) == 9668
    assert len({record.id for record in records}) == 9668
    first = records[0]
    assert (first.id, first.instruction, first.split) == ("P01_11_0", "take plate", "validation")
    assert first.media == Video(tmp_path / "P01" / "videos" / "P01_11.MP4")
    assert first.span == Span(0.0, 1.89)
    with annotations.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [record.instruction for record in records] == [row["narration"] for row in rows]
    frames = list(source(annotations=annotations, frames=tmp_path).read())
    assert frames[1].span == Span(92, 147, "frames")
    # The list of videos says 59.94 for them.
    assert {record.media.fps for record in frames} == {60.0}
    assert (
        len(list(source(annotations=annotations.with_name("EPIC_100_uda_source_train.csv"), videos=tmp_path).read()))
        == 16115
    )


def test_pixels_of_videos_folders_and_archives_agree(tmp_path):
    annotations = write_annotations(tmp_path, ROW)
    video = tmp_path / "videos" / "P01" / "videos" / "P01_11.MP4"
    folder = tmp_path / "frames" / "P01" / "rgb_frames" / "P01_11"
    for place in (video.parent, folder, tmp_path / "tars"):
        place.mkdir(parents=True)
    truth = decode_all(write_clip(video, frames=60))
    with tarfile.open(tmp_path / "tars" / "P01_11.tar", "w") as archive:
        for number, frame in enumerate(truth, 1):
            Image.fromarray(frame).save(folder / f"frame_{number:010d}.jpg", quality=100, subsampling=0)
            archive.add(folder / f"frame_{number:010d}.jpg", f"./frame_{number:010d}.jpg")
    look = Look(48, 64, 5)
    expected = [truth[index] for index in (10, 15, 20, 24, 29)]
    for fields in ({"videos": tmp_path / "videos"}, {"frames": tmp_path / "frames"}, {"frames": tmp_path / "tars"}):
        (record,) = source(annotations=annotations, **fields).records()
        clip = read_clip(record, look)
        assert np.abs(clip.frames.astype(int) - expected).mean() < 2, fields
    (folder / "frame_0000000016.jpg").unlink()
    with pytest.raises(InputError, match=r"frame_0000000016\.jpg cannot be read as a clip \(there is no such file\)"):
        read_clip(source(annotations=annotations, frames=tmp_path / "frames").records()[0], look)


def test_a_subset_keeps_its_rows_and_its_words(tmp_path):
    annotations = write_annotations(tmp_path, ROW, ROW.replace("P01_11_0", "P01_11_1"))
    subset = tmp_path / "EPIC_100_HOI_val.csv"
    subset.write_text("narration_id,narration\nP01_11_1,take the plate\n")
    (record,) = source(annotations=annotations, videos=tmp_path, subset=subset).read()
    assert (record.id, record.instruction) == ("P01_11_1", "take the plate")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            ROW.replace("00:00:00.50", "half"),
            r"validation\.csv, row 1: the field 'start_timestamp' is 'half', not hh:mm",
        ),
        (ROW.replace(",take plate,", ",,"), "row 1: the field 'narration' is missing or empty"),
        (ROW.replace("00:00:01.50", "00:00:00.10"), r"row 1: it ends \(0\.1\) before it begins \(0\.5 seconds\)"),
        (ROW.replace("P01,P01_11,", "P01,../P01_11,"), "row 1: the file .* does not lie in"),
        (ROW.rpartition(",")[0], "row 1: it has 14 cells where 15 belong"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, sentence):
    with pytest.raises(InputError, match=sentence):
        list(source(annotations=write_annotations(tmp_path, row), videos=tmp_path).read())


def test_a_missing_column_video_frame_and_folder_are_named(tmp_path):
    annotations = write_annotations(tmp_path, ROW)
    with pytest.raises(InputError, match=r"row 1: there is no .*P01_11\.MP4: fetch it"):
        source(annotations=annotations, videos=tmp_path).records()
    with pytest.raises(InputError, match=r"There is no folder .*nowhere: give the one of the videos"):
        list(source(annotations=annotations, videos=tmp_path / "nowhere").read())
    with tarfile.open(tmp_path / "P01_11.tar", "w") as archive:
        data = io.BytesIO()
        Image.new("RGB", (8, 8)).save(data, "JPEG")
        info = tarfile.TarInfo("frame_0000000011.jpg")
        info.size = data.tell()
        data.seek(0)
        archive.addfile(info, data)
    with pytest.raises(InputError, match=r"row 1: .*P01_11\.tar has no frame_0000000030\.jpg"):
        list(source(annotations=annotations, frames=tmp_path).read())
    annotations.write_text(annotations.read_text().replace("narration,", "text,", 1))
    with pytest.raises(InputError, match="has no column 'narration'"):
        list(source(annotations=annotations, videos=tmp_path).read())
    with pytest.raises(ValueError, match="give videos or frames, one of them"):
        source(annotations=annotations)
