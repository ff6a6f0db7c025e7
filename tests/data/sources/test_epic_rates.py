"""The rate that frames are numbered in: of the real annotations, and of others."""

from __future__ import annotations

import csv
import io
import tarfile

import pytest

from showme.data.sources.epic_kitchens import EpicKitchensSource, clock
from showme.data.sources.epic_rates import Moment, proven_rate
from showme.data.sources.record import Fault, Record
from showme.errors import InputError

from .test_epic_kitchens import ROW, write_annotations

FIFTY = "P01_101_{n},P01,P01_101,00:00:00.56,00:00:0{n}.00,00:00:0{m}.00,{start},{stop},take plate,take,0,plate,2,[],[]"


def moments(rate: float, *seconds: float) -> list[Moment]:
    return [Moment(each, max(int(each * rate), 1)) for each in seconds]


@pytest.mark.parametrize("name", ["EPIC_100_validation.csv", "EPIC_100_uda_source_train.csv"])
def test_every_real_video_is_numbered_at_60_and_every_real_row_agrees(real_data, name):
    videos: dict[str, list[Moment]] = {}
    with (real_data / "epic_annotations" / name).open(newline="") as file:
        for row in csv.DictReader(file):
            edges = [
                Moment(clock("", row, f"{edge}_timestamp"), int(row[f"{edge}_frame"])) for edge in ("start", "stop")
            ]
            videos.setdefault(row["video_id"], []).extend(edges)
    assert {proven_rate(video, of) for video, of in videos.items()} == {60.0}
    assert all(moment.agrees(60) for of in videos.values() for moment in of)


def test_other_rates_are_what_all_moments_leave_possible():
    assert proven_rate("P01_101", moments(50, 2.5, 40, 100)) == 50
    assert proven_rate("P01_01", moments(60, 0.5)) == 60
    # Too early to tell: the recordings of 2020 have ids of three digits.
    assert (proven_rate("P01_01", moments(50, 0.02)), proven_rate("P01_101", moments(60, 0.02))) == (60, 50)
    assert proven_rate("P01_01", moments(30, 2.5, 40, 100)) == 30
    assert proven_rate("P01_01", moments(29.97, 2.5, 400, 1000)) == pytest.approx(29.97, abs=2e-3)
    assert proven_rate("P01_01", [Moment(10, 600), Moment(20, 600)]) is None


def source(path, **fields) -> EpicKitchensSource:
    return EpicKitchensSource(kind="epic_kitchens", annotations=path, frames=path.parent, **fields)


def test_rows_that_contradict_the_others_are_refused_and_the_list_of_videos_is_not_asked(tmp_path):
    rows = [FIFTY.format(n=n, m=n + 1, start=n * 50, stop=n * 50 + 50) for n in range(1, 5)]
    path = write_annotations(tmp_path, *rows, FIFTY.format(n=6, m=7, start=360, stop=420))
    (tmp_path / "EPIC_100_video_info.csv").write_text("video_id,fps\nP01_101,59.94\n")
    *good, bad = source(path).entries()
    assert {entry.media.fps for entry in good if isinstance(entry, Record)} == {50.0}
    assert isinstance(bad, Fault)
    assert "row 5: frame 360 is not at 6 s at 50 per second: correct the row" in bad.reason
    with pytest.raises(
        InputError, match="stamps of P01_101 prove 50 frames per second, and fps says 60: leave fps out"
    ):
        list(source(path, fps=60).entries())


def test_an_archive_that_lacks_a_frame_gives_no_clip_with_another_in_its_place(tmp_path):
    path = write_annotations(tmp_path, ROW)
    with tarfile.open(tmp_path / "P01_11.tar", "w") as archive:
        for number in range(1, 61):
            if number != 20:
                info = tarfile.TarInfo(f"frame_{number:010d}.jpg")
                archive.addfile(info, io.BytesIO())
    with pytest.raises(InputError, match=r"row 1: .*P01_11\.tar has no frame_0000000020\.jpg"):
        source(path).records()
