"""Ego4D's hands and objects (arXiv 2110.07058): the official fho_main.json, and the pairs of pictures of LEGO.

The official file is larger than memory should have to hold, so it is streamed; its schema is the one published on
ego4d-data.org. LEGO (arXiv 2312.03849) lists ``{clip: {action: {image_0, image_1, action, llava_forecast_finetune}}}``
for Ego4D and EPIC-KITCHENS alike; ShowMe reads its Ego4D clips from the first picture to the second.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, ClassVar, Literal

from pydantic import Field, model_validator

from ...errors import InputError, ShowMeWarning, absent
from ...optional import needed
from ..media import Media, PictureFiles, Span, Video
from .base import Source, check_folder, inside
from .faults import entries_of_rows, field_id
from .record import Entry, LeftOut, Record
from .tables import cell, read_json

LICENCE = "Ego4D licence agreement"
# Of Ego4D's canonical videos, which critical frames count in.
FRAMES_PER_SECOND = 30.0
MAX_DEPTH = 32
# Of one string, and of one video's annotations: actions are some 10 KB each, and no video has a hundred thousand.
_MAX_TOKEN = 2**20
_MAX_VIDEO = 2**28
_MAX_ITEMS = 10**5
# What is read of the file, of a video, an interval, an action; boxes are most of it.
_FIELDS = {
    *("videos", "video_uid", "video_metadata", "fps", "annotated_intervals", "narrated_actions"),
    *("uid", "start_sec", "end_sec", "narration_text", "critical_frames", "pre_15", "pnr_frame"),
    *("is_rejected", "is_valid_action", "is_invalid_annotation"),
}
# How much deeper an event leads.
_STEPS = {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}
_SPLITS = {"train": "train", "val": "validation"}
_WEARER = re.compile(r"\A#\s*c(?:\s+c)?\b", re.IGNORECASE)
_NOT_WEARER = "not of the camera wearer (#C)"


class Ego4dSource(Source):
    """Narrated actions of the camera wearer, cut out of the full-length videos ``<video_uid>.mp4``.

    Rejected and invalid annotations, narrations with ``#unsure`` or of somebody else, and under ``pre_15_to_pnr``
    actions without those frames are left out, and a warning counts them.
    """

    noun: ClassVar[str] = "actions"

    kind: Literal["ego4d"] = Field(description="Ego4D, hands and objects")
    annotations: Path = Field(description="fho_main.json")
    videos: Path = Field(description="folder of the full-length videos")
    span: Literal["action", "pre_15_to_pnr"] = Field(
        "action", description="the annotated interval, or half a second before the action to the point of no return"
    )
    split: str | None = Field(None, description="name of the split")

    @property
    def place(self) -> Path:
        """The annotations."""
        return self.annotations

    def entries(self) -> Iterator[Entry]:
        check_folder(self.videos, "videos")
        videos = ((f"{self.annotations}, video {number}", video)
                  for number, video in enumerate(read_videos(self.annotations), 1))  # fmt: skip
        yield from entries_of_rows(videos, self._video, lambda video: field_id(video, "video_uid"))

    def _video(self, origin: str, video: dict[str, Any]) -> Iterator[Entry]:
        uid = cell(origin, video, "video_uid")
        metadata = video.get("video_metadata")
        fps = cell(origin, metadata, "fps", float) if isinstance(metadata, dict) else FRAMES_PER_SECOND
        if fps <= 0:
            raise InputError(f"{origin}: the field 'fps' is not above 0: fetch the annotations again.")
        path = inside(self.videos, f"{uid}.mp4", origin)
        for place, interval in enumerate(_objects(origin, video, "annotated_intervals"), 1):
            within = f"{origin}, interval {place}"
            actions = (
                (f"{within}, action {index}", (str(action.get("uid") or f"{uid}/{place}/{index}"), action))
                for index, action in enumerate(_objects(within, interval, "narrated_actions"), 1)
            )
            yield from entries_of_rows(actions, partial(self._action, Video(path), fps), lambda named: named[0])

    def _action(self, media: Media, fps: float, origin: str, named: tuple[str, dict[str, Any]]) -> Iterator[Entry]:
        name, action = named
        reason = self._no_action(origin, action)
        if reason:
            yield LeftOut(name, reason)
            return
        yield Record(
            id=name,
            media=media,
            instruction=instruction_of(action["narration_text"]),
            span=self._span(origin, action, fps),
            split=self.split,
            licence=LICENCE,
            origin=origin,
        )

    def _no_action(self, origin: str, action: dict[str, Any]) -> str | None:
        """Why an action is none to learn from."""
        if action.get("is_rejected") or action.get("is_invalid_annotation"):
            return "rejected by the annotators"
        if action.get("is_valid_action") is False:
            return "no valid action"
        critical = action.get("critical_frames")
        if self.span == "pre_15_to_pnr" and (
            not isinstance(critical, dict) or critical.get("pre_15") is None or critical.get("pnr_frame") is None
        ):
            return "without critical frames"
        narration = cell(origin, action, "narration_text")
        return narration_fault(narration) or (None if _WEARER.match(narration) else _NOT_WEARER)

    def _span(self, origin: str, action: dict[str, Any], fps: float) -> Span:
        if self.span == "action":
            start, stop = cell(origin, action, "start_sec", float), cell(origin, action, "end_sec", float)
        else:
            first, last = (cell(origin, action["critical_frames"], name, float) for name in ("pre_15", "pnr_frame"))
            if first > last:
                raise InputError(f"{origin}: pnr_frame {last:g} comes before pre_15 {first:g}: correct it.")
            start, stop = _seconds(first, last, fps)
        if not 0 <= start < stop:
            raise InputError(f"{origin}: it ends ({stop:g} s) before it begins ({start:g} s): correct it.")
        return Span(start, stop)


class LegoSource(Source):
    """LEGO's actions: with ``images`` the pair of pictures, a clip of two frames; with ``videos`` what lies between."""

    noun: ClassVar[str] = "actions"

    kind: Literal["lego"] = Field(description="the pairs of pictures of LEGO, of Ego4D and of EPIC-KITCHENS")
    dataset: Literal["ego4d", "epickitchen"] = Field("ego4d", description="whose clips: ego4d or epickitchen")
    annotations: Path = Field(description="ego4d_train.json, ego4d_val.json, epickitchen_train.json, ...")
    images: Path | None = Field(None, description="folder EgoGen/<data set>/train or val, of <clip>/<action>/*.jpg")
    videos: Path | None = Field(None, description="folder of the full-length videos, <clip>.mp4")
    fps: float | None = Field(
        None, gt=0, description="rate that the pictures are numbered in; null: 30 for ego4d, else the video's frames"
    )
    text: Literal["action", "llava_forecast_finetune"] = Field("action", description="which text is the instruction")
    split: str | None = Field(None, description="name of the split; null: train or validation as the file is named")

    @model_validator(mode="after")
    def _one_place(self) -> LegoSource:
        if (self.images is None) == (self.videos is None):
            raise ValueError("give images or videos, one of them")
        return self

    @property
    def place(self) -> Path:
        """The annotations."""
        return self.annotations

    def entries(self) -> Iterator[Entry]:
        check_folder(self.images or self.videos or Path(), "images" if self.images else "videos")
        if self.dataset == "epickitchen" and self.videos is not None and self.fps is None:
            warnings.warn(
                f"{self.annotations}: the numbers of the pictures are taken for the videos' own frames; if they are of "
                "EPIC-KITCHENS' rgb_frames, set fps=60 (50 for P01_101 and its like), which those were extracted at.",
                ShowMeWarning,
                stacklevel=2,
            )
        yield from entries_of_rows(_pairs(self.annotations), self._action, lambda pair: _pair_id(*pair[:2]))

    def _action(self, origin: str, pair: tuple[str, str, Any]) -> Iterator[Entry]:
        clip, action, row = pair
        if not isinstance(row, dict):
            raise InputError(f"{origin}: no JSON object: fetch it again.")
        text = cell(origin, row, self.text)
        reason = narration_fault(text)
        if reason:
            yield LeftOut(_pair_id(clip, action), reason)
            return
        named = next((split for word, split in _SPLITS.items() if word in self.annotations.stem), None)
        media, span = self._pixels(origin, clip, action, row)
        yield Record(
            id=_pair_id(clip, action),
            media=media,
            instruction=instruction_of(text) if self.text == "action" else " ".join(text.split()),
            span=span,
            split=self.split or named,
            licence=LICENCE if self.dataset == "ego4d" else "CC BY-NC 4.0 (EPIC-KITCHENS-100)",
            origin=origin,
        )

    def _pixels(self, origin: str, clip: str, action: str, row: dict[str, Any]) -> tuple[Media, Span | None]:
        names = [cell(origin, row, name) for name in ("image_0", "image_1")]
        if self.images is not None:
            names = [name if "/" in name else f"{clip}/{action}/{name}" for name in names]
            files = [inside(self.images, name, origin) for name in names]
            folder = Path(os.path.commonpath([file.parent for file in files]))
            return PictureFiles(folder, names=tuple(file.relative_to(folder).as_posix() for file in files)), None
        assert self.videos is not None
        first, last = (_number(origin, name) for name in names)
        if first > last:
            raise InputError(f"{origin}: image_1 ({last}) comes before image_0 ({first}): correct it.")
        fps = self.fps or (FRAMES_PER_SECOND if self.dataset == "ego4d" else None)
        span = Span(first, last + 1, "frames") if fps is None else Span(*_seconds(first, last, fps))
        person = clip.split("_")[0]
        suffixed = (f"{clip}.mp4", f"{clip}.MP4", f"{person}/videos/{clip}.MP4", f"{person}/{clip}.MP4")
        paths = [inside(self.videos, name, origin) for name in suffixed[: 2 if self.dataset == "ego4d" else None]]
        return Video(next((path for path in paths if path.exists()), paths[0])), span


def instruction_of(narration: str) -> str:
    """A narration as ShowMe and LEGO condition on it: without the camera wearer's mark, lower-cased.

    >>> instruction_of("#C C Picks up  the jar")
    'picks up the jar'
    """
    return " ".join(_WEARER.sub("", narration.strip(), count=1).lower().split())


def narration_fault(narration: str) -> str | None:
    """Why a narration says nothing to do; None where it does."""
    if "#unsure" in narration.lower():
        return "with #unsure"
    if narration.startswith("#") and not _WEARER.match(narration):
        return _NOT_WEARER
    return None if instruction_of(narration) else "without words"


def read_videos(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of ``videos`` of a fho_main.json, each with the fields that are used here, one at a time in memory.

    Raises:
        InputError: missing, no such JSON, or larger or deeper than such files are.
    """
    if not path.is_file():
        raise InputError(f"{absent(path)}: give the path of fho_main.json.")
    with path.open("rb") as file:
        bounded = _Bounded(path, file)
        events = bounded.events()
        level, found = 0, False
        for event, value in events:
            if level == 1 and event == "map_key" and value == "videos" and not found:
                if next(events)[0] != "start_array":
                    break
                found = True
                for opening, _ in events:
                    if opening == "end_array":
                        break
                    bounded.begin_video()
                    video = _value(events, bounded, opening)
                    if not isinstance(video, dict):
                        raise InputError(f"{path}: an entry of 'videos' is no object: fetch the annotations again.")
                    yield video
                bounded.inside = False
            level += _STEPS.get(event, 0)
    if not found:
        raise InputError(f"{path} has no list 'videos': give fho_main.json.")


class _Bounded:
    """Events of a JSON file, none of them deep, long, or part of a video of endless annotations."""

    def __init__(self, path: Path, file: BinaryIO):
        self.path, self.file = path, file
        self.begun = file.read(3).replace(b"\xef\xbb\xbf", b"")
        self.token = self.video = self.items = 0
        self.inside = False

    def read(self, size: int = -1) -> bytes:
        if not size:
            return self.begun[:0]
        data, self.begun = self.begun or self.file.read(min(size, 2**16) if size > 0 else 2**16), b""
        self.token += len(data)
        self.video += len(data) if self.inside else 0
        if self.token > _MAX_TOKEN or self.video > _MAX_VIDEO:
            raise InputError(f"{self.path} has an entry that never ends: fetch the annotations again.")
        return data

    def begin_video(self) -> None:
        self.video = self.items = 0
        self.inside = True

    def events(self) -> Iterator[tuple[str, Any]]:
        """Events of :mod:`ijson`, without those of fields that are not read."""
        with needed("ijson", "ijson", "data", "Reading fho_main.json"):
            import ijson
        depth, unread = 0, None
        try:
            for item in ijson.basic_parse(self, use_float=True):
                self.token = 0
                depth += _STEPS.get(item[0], 0)
                if depth > MAX_DEPTH:
                    raise InputError(f"{self.path} is nested deeper than {MAX_DEPTH}: fetch the annotations again.")
                if unread is not None:
                    # Its value ends where the depth is that of its key again.
                    unread = None if depth == unread else unread
                elif item[0] == "map_key" and item[1] not in _FIELDS:
                    unread = depth
                else:
                    yield item
        except InputError:
            raise
        except (ijson.JSONError, ValueError, OverflowError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"{self.path} is not JSON ({reason}): fetch the annotations again.") from error

    def count(self) -> None:
        self.items += 1
        if self.items > _MAX_ITEMS:
            raise InputError(f"{self.path} has a video of more than {_MAX_ITEMS} actions: fetch the annotations again.")


def _value(events: Iterator[tuple[str, Any]], bounded: _Bounded, event: str, value: Any = None) -> Any:
    """The value that begins with an event."""
    if event == "start_array":
        items = []
        for opening, scalar in events:
            if opening == "end_array":
                break
            bounded.count()
            items.append(_value(events, bounded, opening, scalar))
        return items
    if event != "start_map":
        return value
    fields: dict[str, Any] = {}
    for _, key in events:
        if key is None:
            break
        fields[key] = _value(events, bounded, *next(events))
    return fields


def _objects(origin: str, row: dict[str, Any], name: str) -> list[dict[str, Any]]:
    values = row.get(name)
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise InputError(f"{origin}: the field {name!r} is no list of objects: fetch the annotations again.")
    return values


def _pair_id(clip: str, action: str) -> str:
    return f"{clip}/{action}"


def _pairs(path: Path) -> Iterator[tuple[str, tuple[str, str, Any] | InputError]]:
    clips = read_json(path)
    if not isinstance(clips, dict):
        raise InputError(f"{path} is no table of clips: give ego4d_train.json or its like.")
    for clip, actions in clips.items():
        origin = f"{path}, clip {clip[:80]}"
        if not isinstance(actions, dict):
            yield origin, InputError(f"{origin}: it is no table of actions: fetch the annotations again.")
            continue
        for action, row in actions.items():
            yield f"{origin}, action {action[:80]}", (clip, action, row)


def _seconds(first: float, last: float, fps: float) -> tuple[float, float]:
    """Frames, both included, as seconds; half a frame early, where no rounding of time stamps matters."""
    return max((first - 0.5) / fps, 0.0), (last + 0.5) / fps


def _number(origin: str, name: str) -> int:
    digits = re.findall(r"\d+", PurePosixPath(name).stem)
    if not digits or len(digits[-1]) > 12:
        raise InputError(f"{origin}: the picture {name[:200]!r} has no frame number in its name: correct it.")
    return int(digits[-1])
