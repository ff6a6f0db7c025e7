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
from .record import Record
from .tables import cell, read_csv

LICENCE = "CC BY-NC 4.0 (EPIC-KITCHENS-100)"
_COLUMNS = ("narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp", "start_frame",
            "stop_frame", "narration")  # fmt: skip
_FRAME = "frame_{:010d}.jpg"
_CLOCK = re.compile(r"(\d+):([0-5]?\d):([0-5]?\d(?:\.\d+)?)")


class EpicKitchensSource(Source):
    """Narrated actions. Give ``videos`` or ``frames``, the folder that holds ``P01/...`` or ``P01_01...`` directly.

    Videos are ``P01/videos/P01_101.MP4`` or ``P01_101.MP4``, cut by the rows' time stamps. Frames are
    ``P01/rgb_frames/P01_101/frame_0000000001.jpg`` or the ``P01_101.tar`` of the official download in their place, cut
    by the rows' frame numbers, both included.
    """

    kind: Literal["epic_kitchens"] = Field(description="EPIC-KITCHENS-100")
    annotations: Path = Field(description="EPIC_100_train.csv, EPIC_100_validation.csv, or the authors' HOI subsets")
    videos: Path | None = Field(None, description="folder of the full-length videos")
    frames: Path | None = Field(None, description="folder of the rgb_frames, as folders or tar files")
    subset: Path | None = Field(None, description="CSV with narration_id (and narration): the rows to keep; null: all")
    fps: float | None = Field(None, gt=0, description="rate of the frames; null: from EPIC_100_video_info.csv beside")
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

    def read(self) -> Iterator[Record]:
        check_folder(self.videos or self.frames or Path(), "videos" if self.videos else "frames")
        subset = self._subset()
        rates = self._rates()
        split = self.split or next((s for s in ("train", "validation") if s in self.annotations.name), None)
        for origin, row in read_csv(self.annotations, _COLUMNS):
            name = cell(origin, row, "narration_id")
            if subset is not None and name not in subset:
                continue
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

    def _pixels(self, origin: str, row: dict[str, str], rates: dict[str, float]) -> tuple[Media, Span]:
        person, video = cell(origin, row, "participant_id"), cell(origin, row, "video_id")
        if self.videos is not None:
            span = Span(clock(origin, row, "start_timestamp"), clock(origin, row, "stop_timestamp"))
            videos = (f"{person}/videos/{video}.MP4", f"{video}.MP4", f"{person}/{video}.MP4", f"{video}.mp4")
            return Video(_first(self.videos, videos, origin)), _rising(origin, span)
        assert self.frames is not None
        start, stop = cell(origin, row, "start_frame", int), cell(origin, row, "stop_frame", int)
        span = Span(start - 1, stop, "frames")
        fps = self.fps or rates.get(video)
        names = (f"{person}/rgb_frames/{video}", f"{person}/rgb_frames/{video}.tar", f"{video}", f"{video}.tar",
                 f"{person}/{video}", f"{person}/{video}.tar")  # fmt: skip
        path = _first(self.frames, names, origin)
        if path.suffix == ".tar" and path.is_file():
            # The archive's index holds every frame: the row's own are cut out here.
            return _cut(path, start, stop, fps, origin), Span(0, stop - start + 1, "frames")
        return Pictures(path, _FRAME, 1, fps), _rising(origin, span)

    def _subset(self) -> dict[str, str] | None:
        if self.subset is None:
            return None
        return {
            cell(origin, row, "narration_id"): row.get("narration", "").strip()
            for origin, row in read_csv(self.subset, ["narration_id"])
        }

    def _rates(self) -> dict[str, float]:
        """Frames per second of the videos, where the official list lies beside the annotations."""
        path = self.annotations.with_name("EPIC_100_video_info.csv")
        if self.frames is None or not path.is_file():
            return {}
        return {
            cell(origin, row, "video_id"): cell(origin, row, "fps", float)
            for origin, row in read_csv(path, ["video_id", "fps"])
        }


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
    missing = next((number for number in (start, stop) if number not in members), None)
    if missing is not None or start > stop:
        raise InputError(
            f"{origin}: {path} has no {_FRAME.format(missing or start)}: fetch it again, or correct the row."
        )
    return TarPictures(path, tuple(members[number] for number in range(start, stop + 1) if number in members), fps)


@lru_cache(maxsize=8)
def _archive(path: Path):
    return numbered_members(path)
