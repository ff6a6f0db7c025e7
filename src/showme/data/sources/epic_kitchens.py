"""EPIC-KITCHENS-100 (arXiv 2006.13256): the official CSV files, with videos, extracted frames, or archives of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ...errors import InputError
from ..media import Media, Pictures, Span, TarPictures, Video
from ..media.archive import numbered_members
from .base import Source, check_folder, inside
from .epic_rates import Moment, proven_rate
from .faults import entries_of_rows, field_id
from .record import Entry, Record
from .tables import cell, csv_rows, read_csv

LICENCE = "CC BY-NC 4.0 (EPIC-KITCHENS-100)"
_COLUMNS = ("narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp", "start_frame",
            "stop_frame", "narration")  # fmt: skip
_FRAME = "frame_{:010d}.jpg"
_CLOCK = re.compile(r"(\d+):([0-5]?\d):([0-5]?\d(?:\.\d+)?)")


class EpicKitchensSource(Source):
    """Narrated actions. Give ``videos`` or ``frames``, the folder that holds ``P01/...`` or ``P01_01...`` directly.

    Videos are ``P01/videos/P01_101.MP4`` or ``P01_101.MP4``, cut by the rows' time stamps. Frames are
    ``P01/rgb_frames/P01_101/frame_0000000001.jpg`` or the ``P01_101.tar`` of the official download in their place, cut
    by the rows' frame numbers, both included, at the rate that their numbers and time stamps prove.
    """

    kind: Literal["epic_kitchens"] = Field(description="EPIC-KITCHENS-100")
    annotations: Path = Field(description="EPIC_100_train.csv, EPIC_100_validation.csv, or the authors' HOI subsets")
    videos: Path | None = Field(None, description="folder of the full-length videos")
    frames: Path | None = Field(None, description="folder of the rgb_frames, as folders or tar files")
    subset: Path | None = Field(None, description="CSV with narration_id (and narration): the rows to keep; null: all")
    fps: float | None = Field(
        None, gt=0, description="rate that frames are numbered in; null: as the annotations prove"
    )
    split: str | None = Field(None, description="name of the split; null: train or validation as the file is named")

    @model_validator(mode="after")
    def _one_place(self) -> EpicKitchensSource:
        if (self.videos is None) == (self.frames is None):
            raise ValueError("give videos or frames, one of them")
        return self

    @property
    def place(self) -> Path:
        """The annotations."""
        return self.annotations

    def entries(self) -> Iterator[Entry]:
        check_folder(self.videos or self.frames or Path(), "videos" if self.videos else "frames")
        subset = self._subset()
        rates = self._rates()
        split = self.split or next((s for s in ("train", "validation") if s in self.annotations.name), None)

        def entries_of(origin: str, row: dict[str, str]) -> Iterator[Record]:
            name = cell(origin, row, "narration_id")
            if subset is not None and name not in subset:
                return
            media, span = self._pixels(origin, row, rates)
            yield Record(
                id=name,
                media=media,
                instruction=(subset or {}).get(name) or cell(origin, row, "narration"),
                span=span,
                split=split,
                licence=LICENCE,
                origin=origin,
            )

        yield from entries_of_rows(
            csv_rows(self.annotations, _COLUMNS), entries_of, lambda row: field_id(row, "narration_id")
        )

    def _pixels(self, origin: str, row: dict[str, str], rates: dict[str, float]) -> tuple[Media, Span]:
        person, video = cell(origin, row, "participant_id"), cell(origin, row, "video_id")
        if self.videos is not None:
            span = Span(clock(origin, row, "start_timestamp"), clock(origin, row, "stop_timestamp"))
            videos = (f"{person}/videos/{video}.MP4", f"{video}.MP4", f"{person}/{video}.MP4", f"{video}.mp4")
            return Video(_first(self.videos, videos, origin)), _rising(origin, span)
        assert self.frames is not None
        start, stop = cell(origin, row, "start_frame", int), cell(origin, row, "stop_frame", int)
        span = _rising(origin, Span(start - 1, stop, "frames"))
        fps = self.fps or rates.get(video)
        for moment in _moments(origin, row):
            if fps is None or not moment.agrees(fps):
                at = f"frame {moment.frame} is not at {moment.seconds:g} s at " + (
                    "any rate that the video's other rows have" if fps is None else f"{fps:g} per second"
                )
                raise InputError(f"{origin}: {at}: correct the row, or leave it out.")
        names = (f"{person}/rgb_frames/{video}", f"{person}/rgb_frames/{video}.tar", f"{video}", f"{video}.tar",
                 f"{person}/{video}", f"{person}/{video}.tar")  # fmt: skip
        path = _first(self.frames, names, origin)
        if path.suffix == ".tar" and path.is_file():
            # The archive's index holds every frame: the row's own are cut out here.
            return _cut(path, start, stop, fps, origin), Span(0, stop - start + 1, "frames")
        return Pictures(path, _FRAME, 1, fps), span

    def _subset(self) -> dict[str, str] | None:
        if self.subset is None:
            return None
        return {
            cell(origin, row, "narration_id"): row.get("narration", "").strip()
            for origin, row in read_csv(self.subset, ["narration_id"])
        }

    def _rates(self) -> dict[str, float]:
        """Rate that each video's frames are numbered in.

        Raises:
            InputError: ``fps`` is another.
        """
        if self.frames is None:
            return {}
        moments: dict[str, list[Moment]] = {}
        for origin, row in csv_rows(self.annotations, _COLUMNS):
            try:
                if isinstance(row, InputError):
                    continue
                moments.setdefault(cell(origin, row, "video_id"), []).extend(_moments(origin, row))
            except InputError:
                # Reported when the row is read.
                continue
        rates = {video: rate for video, of in moments.items() if (rate := proven_rate(video, of)) is not None}
        for video, rate in rates.items():
            if (
                self.fps is not None
                and not all(moment.agrees(self.fps) for moment in moments[video])
                and self.fps != rate
            ):
                raise InputError(
                    f"{self.annotations}: the frame numbers and time stamps of {video} prove {rate:g} frames per "
                    f"second, and fps says {self.fps:g}: leave fps out."
                )
        return rates


def _moments(origin: str, row: dict[str, str]) -> list[Moment]:
    edges = ("start", "stop")
    return [Moment(clock(origin, row, f"{edge}_timestamp"), cell(origin, row, f"{edge}_frame", int)) for edge in edges]


def clock(origin: str, row: dict[str, str], name: str) -> float:
    """Seconds of an ``hh:mm:ss.ss`` cell.

    Raises:
        InputError: another form.
    """
    match = _CLOCK.fullmatch(cell(origin, row, name))
    if match is None:
        raise InputError(f"{origin}: the field {name!r} is {row[name][:80]!r}, not hh:mm:ss.ss: correct it.")
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _rising(origin: str, span: Span) -> Span:
    if not 0 <= span.start < span.stop:
        raise InputError(
            f"{origin}: it ends ({span.stop:g}) before it begins ({span.start:g} {span.unit}): correct it."
        )
    return span


def _first(folder: Path, names: tuple[str, ...], origin: str) -> Path:
    """The first of several usual places that is there; the most usual one otherwise."""
    paths = [inside(folder, name, origin) for name in names]
    return next((path for path in paths if path.exists()), paths[0])


def _cut(path: Path, start: int, stop: int, fps: float | None, origin: str) -> TarPictures:
    members = _archive(path)
    missing = next((number for number in (start, stop, *range(start, stop)) if number not in members), None)
    if missing is not None:
        raise InputError(f"{origin}: {path} has no {_FRAME.format(missing)}: fetch it again, or correct the row.")
    return TarPictures(path, tuple(members[number] for number in range(start, stop + 1)), fps)


@lru_cache(maxsize=8)
def _archive(path: Path):
    return numbered_members(path)
