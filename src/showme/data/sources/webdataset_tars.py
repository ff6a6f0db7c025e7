"""WebDataset shards: tar archives in which the files of a sample stand together and share a name, read in place."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field

from ...errors import InputError, warn_once
from ..media import Media, TarPictures, TarVideo
from ..media.animation import SUFFIXES as ANIMATED
from ..media.animation import is_animation
from ..media.archive import Member, open_member, read_members
from ..media.companions import is_companion
from ..media.pictures import SUFFIXES as PICTURES
from ..media.pictures import natural_order
from ..media.series import SeriesError, choose_series, warn_of_series
from .base import Source
from .faults import entries_of_rows
from .record import Entry, Record
from .tables import cell

_VIDEOS = (".mp4", ".webm", ".avi", ".mkv", ".mov", ".gif", ".apng")
_TEXTS = ("txt", "caption")
_FIELDS = ("instruction", "caption", "text")
# Of a json: where in a longer video a clip lies, and how many frames it has.
_PLACES = {"start", "stop", "end", "start_time", "end_time", "start_sec", "end_sec", "start_frame", "stop_frame"}
_COUNTS = ("num_frames", "n_frames", "frame_count")
# Of a text or JSON member.
_MAX_TEXT = 2**20


class WebDatasetSource(Source):
    """Samples of shards, in their order.

    A sample is what stands before the first dot of the file names: ``0007.mp4`` with ``0007.json``, ``0007.txt`` or
    ``0007.caption``; or, in the place of a video, pictures ``0007.000.jpg``, ``0007.001.jpg``, ... in natural order.
    Other members, such as ``0007.wav``, are passed over, as are those that operating systems leave (``._0007.mp4``).
    """

    kind: Literal["webdataset"] = Field(description="tar shards of WebDataset")
    shards: str | tuple[str, ...] = Field(description="a tar file, a pattern such as train-*.tar, or a list of them")
    field: str | None = Field(
        None, description="field of the json that is the instruction; null: the txt or caption, else one of "
        f"{', '.join(_FIELDS)} of the json",
    )  # fmt: skip
    fps: float | None = Field(None, gt=0, description="rate of samples that are pictures; null: not known")
    pattern: str | None = Field(
        None, description="names of the pictures that count, such as rgb_*.png; null: the one series that there is"
    )
    split: str | None = Field(None, description="name of the split")
    licence: str = Field("", description="whose terms hold, in a few words")

    @property
    def place(self) -> Path:
        """The first shard, or what was to name it."""
        return Path(self._names[0] if self._names else "shards")

    @property
    def _names(self) -> tuple[str, ...]:
        return (self.shards,) if isinstance(self.shards, str) else self.shards

    def entries(self) -> Iterator[Entry]:
        for shard in self._paths():
            rows = ((f"{shard}, sample {sample.key[:200]!r}", sample) for sample in _samples(shard))
            yield from entries_of_rows(rows, partial(self._record, shard), lambda sample: sample.key)

    def _record(self, shard: Path, origin: str, sample: _Sample) -> Iterator[Record]:
        if sample.fault:
            raise InputError(f"{shard}: {sample.fault}")
        media = self._pixels(origin, shard, sample.members)
        row = _read_object(origin, shard, sample.members["json"]) if "json" in sample.members else None
        if row is not None and not isinstance(row, InputError):
            self._check_row(origin, row, media)
        yield Record(
            id=sample.key,
            media=media,
            instruction=self._instruction(origin, shard, sample.members, row),
            split=self.split,
            licence=self.licence,
            origin=origin,
        )

    def _paths(self) -> list[Path]:
        paths: list[Path] = []
        for name in self._names:
            if Path(name).is_dir():
                raise InputError(f"{name} is a folder: write shards={Path(name) / '*.tar'} for the archives in it.")
            found = [Path(name)] if Path(name).is_file() else natural_order(_matching(Path(name)))
            found = [path for path in found if not is_companion(path.name)]
            if not found:
                raise InputError(f"There is no shard {name}: give tar files, or a pattern such as train-*.tar.")
            paths += found
        if not paths:
            raise InputError("The list of shards is empty: give tar files, or a pattern such as train-*.tar.")
        return paths

    def _pixels(self, origin: str, shard: Path, members: Mapping[str, Member]) -> Media:
        videos = [name for name in members if PurePosixPath(f"_.{name}").suffix.lower() in _VIDEOS]
        if len(videos) > 1:
            raise InputError(f"{origin}: it has the videos {', '.join(videos)[:200]}: keep one.")
        if videos:
            return TarVideo(shard, members[videos[0]])
        animated = [name for name in members if f".{name}".endswith((*PICTURES, *ANIMATED))]
        if len(animated) == 1:
            with open_member(shard, members[animated[0]]) as file:
                if is_animation(file):
                    return TarVideo(shard, members[animated[0]])
        pictures = [name for name in animated if f".{name}".endswith(PICTURES)]
        if len(pictures) < 2:
            reason = f"{origin}: it has {len(pictures)} pictures and no video"
            raise InputError(f"{reason}: a clip has two or more, of {', '.join(PICTURES)}.")
        if len({PurePosixPath(name).stem for name in pictures}) < 2:
            raise InputError(f"{origin}: two of its pictures differ in their suffix alone: keep one of them.")
        try:
            series = choose_series(pictures, self.pattern)
        except SeriesError as error:
            raise InputError(f"{origin}: {error}.") from error
        warn_of_series(origin, self.place, series)
        return TarPictures(shard, tuple(members[name] for name in series.names), self.fps)

    def _check_row(self, origin: str, row: dict[str, Any], media: Media) -> None:
        """Warn, once, of a place in a longer video: whether the clip is cut already, nobody knows. Refuse a length."""
        if places := sorted(row.keys() & _PLACES):
            warn_once(
                ("places", self.place),
                f"{origin}, json: what it says of {', '.join(places)} is passed over, here and in other samples: clips "
                "are read from their first frame to their last; give their parts as spans in keep.",
            )
        said = next((row[name] for name in _COUNTS if isinstance(row.get(name), int)), None)
        if isinstance(media, TarPictures) and said is not None and said != len(media.members):
            raise InputError(
                f"{origin}: it has {len(media.members)} pictures, and its json says {said}: pack it again."
            )

    def _instruction(
        self, origin: str, shard: Path, members: Mapping[str, Member], row: dict[str, Any] | InputError | None
    ) -> str:
        text = next((members[name] for name in _TEXTS if name in members), None)
        if self.field is None and text is not None:
            sentence = " ".join(_read_text(origin, shard, text).split())
            if not sentence:
                raise InputError(f"{origin}: its {text.name[-80:]} is empty: write the instruction there.")
            return sentence
        if row is None:
            what = "json" if self.field else "txt, caption or json"
            raise InputError(f"{origin}: it has no {what}: pack one with the instruction beside the clip.")
        if isinstance(row, InputError):
            raise row
        fields = _FIELDS if self.field is None else (self.field,)
        found = next((name for name in fields if row.get(name) is not None), fields[0])
        return cell(f"{origin}, json", row, found)


def _matching(pattern: Path) -> list[Path]:
    parts = pattern.relative_to(pattern.anchor)
    return list(Path(pattern.anchor).glob(str(parts))) if parts.parts else []


@dataclasses.dataclass
class _Sample:
    """key: before the first dot. members: by what follows it. fault: why they are no sample."""

    key: str
    members: dict[str, Member] = dataclasses.field(default_factory=dict)
    fault: str = ""


def _samples(shard: Path) -> Iterator[_Sample]:
    """Samples, as their members stand; one that is wrong has a fault, and the others follow."""
    done: set[str] = set()
    sample = _Sample("")
    for member in read_members(shard):
        path = PurePosixPath(member.name)
        stem, dot, rest = path.name.partition(".")
        if not stem or not dot or not rest:
            fault = f"its member {member.name[:200]!r} is not named <key>.<suffix>: rename it."
            yield _Sample(member.name, fault=fault)
            continue
        key = (path.parent / stem).as_posix()
        if key != sample.key:
            if sample.key:
                yield sample
                done.add(sample.key)
            sample = _Sample(key)
            if key in done:
                sample.fault = f"the members of {key[:200]!r} do not stand together: sort it."
        # 0007.JPG and 0007.jpg are one file on many systems.
        lowered = rest.lower()
        if lowered in sample.members:
            sample.fault = f"its member {member.name[:200]!r} is there twice: keep one."
        sample.members[lowered] = member
    if sample.key:
        yield sample


def _read_text(origin: str, shard: Path, member: Member) -> str:
    name = member.name[-80:]
    if member.size > _MAX_TEXT:
        raise InputError(f"{origin}: its {name} is larger than {_MAX_TEXT // 2**20} MiB: it is no instruction.")
    try:
        with open_member(shard, member) as file:
            return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{origin}: its {name} is not UTF-8 text: save it as UTF-8.") from error


def _read_object(origin: str, shard: Path, member: Member) -> dict[str, Any] | InputError:
    """The object of a json; or what is wrong with it, which matters where the instruction is in it."""
    try:
        row = json.loads(_read_text(origin, shard, member))
    except InputError as error:
        return error
    except (ValueError, RecursionError):
        row = None
    return (
        row if isinstance(row, dict) else InputError(f"{origin}: its {member.name[-80:]} is no JSON object: write one.")
    )
