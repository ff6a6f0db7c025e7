"""WebDataset shards: tar archives in which the files of a sample stand together and share a name, read in place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field

from ...errors import InputError
from ..media import Media, TarPictures, TarVideo
from ..media.animation import is_animation
from ..media.archive import Member, open_member, read_members
from ..media.pictures import SUFFIXES as PICTURES
from ..media.pictures import natural_order
from .base import Source
from .record import Record
from .tables import cell

_VIDEOS = (".mp4", ".webm", ".avi", ".mkv", ".mov", ".gif", ".apng")
_TEXTS = ("txt", "caption")
_FIELDS = ("instruction", "caption", "text")
# Of a text or JSON member.
_MAX_TEXT = 2**20


class WebDatasetSource(Source):
    """Samples of shards, in their order.

    A sample is what stands before the first dot of the file names: ``0007.mp4`` with ``0007.json``, ``0007.txt`` or
    ``0007.caption``; or, in the place of a video, pictures ``0007.000.jpg``, ``0007.001.jpg``, ... in natural order.
    Other members, such as ``0007.wav``, are passed over.
    """

    kind: Literal["webdataset"] = Field(description="tar shards of WebDataset")
    shards: str | tuple[str, ...] = Field(description="a tar file, a pattern such as train-*.tar, or a list of them")
    field: str | None = Field(
        None, description="field of the json that is the instruction; null: the txt or caption, else one of "
        f"{', '.join(_FIELDS)} of the json",
    )  # fmt: skip
    fps: float | None = Field(None, gt=0, description="rate of samples that are pictures; null: not known")
    split: str | None = Field(None, description="name of the split")
    licence: str = Field("", description="whose terms hold, in a few words")

    @property
    def place(self) -> Path:
        """The first shard, or what was to name it."""
        return Path(self._names[0] if self._names else "shards")

    @property
    def _names(self) -> tuple[str, ...]:
        return (self.shards,) if isinstance(self.shards, str) else self.shards

    def read(self) -> Iterator[Record]:
        for shard in self._paths():
            for key, members in _samples(shard):
                origin = f"{shard}, sample {key[:200]!r}"
                yield Record(
                    id=key,
                    media=self._pixels(origin, shard, members),
                    instruction=self._instruction(origin, shard, members),
                    split=self.split,
                    licence=self.licence,
                    origin=origin,
                )

    def _paths(self) -> list[Path]:
        paths: list[Path] = []
        for name in self._names:
            found = [Path(name)] if Path(name).is_file() else natural_order(_matching(Path(name)))
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
        pictures = natural_order(
            path for path in (PurePosixPath(f"_.{name}") for name in members) if path.suffix.lower() in PICTURES
        )
        if len(pictures) == 1:
            member = members[pictures[0].name.removeprefix("_.")]
            with open_member(shard, member) as file:
                if is_animation(file):
                    return TarVideo(shard, member)
        if len(pictures) < 2:
            raise InputError(f"{origin}: it has {len(pictures)} pictures and no video: a clip has two or more.")
        numbers = {path.stem for path in pictures}
        if len(numbers) != len(pictures):
            raise InputError(f"{origin}: two of its pictures differ in their suffix alone: keep one of them.")
        return TarPictures(shard, tuple(members[path.name.removeprefix("_.")] for path in pictures), self.fps)

    def _instruction(self, origin: str, shard: Path, members: Mapping[str, Member]) -> str:
        text = next((members[name] for name in _TEXTS if name in members), None)
        if self.field is None and text is not None:
            sentence = " ".join(_read_text(origin, shard, text).split())
            if not sentence:
                raise InputError(f"{origin}: its {text.name[-80:]} is empty: write the instruction there.")
            return sentence
        if "json" not in members:
            what = "json" if self.field else "txt, caption or json"
            raise InputError(f"{origin}: it has no {what}: pack one with the instruction beside the clip.")
        row = _read_object(origin, shard, members["json"])
        fields = _FIELDS if self.field is None else (self.field,)
        found = next((name for name in fields if row.get(name) is not None), fields[0])
        return cell(f"{origin}, json", row, found)


def _matching(pattern: Path) -> list[Path]:
    parts = pattern.relative_to(pattern.anchor)
    return list(Path(pattern.anchor).glob(str(parts))) if parts.parts else []


def _samples(shard: Path) -> Iterator[tuple[str, dict[str, Member]]]:
    """Keys with their members by what follows the key, as the members stand.

    Raises:
        InputError: a name without a key, a member twice, or a sample whose members do not stand together.
    """
    done: set[str] = set()
    key, members = "", dict[str, Member]()
    for member in read_members(shard):
        path = PurePosixPath(member.name)
        stem, dot, rest = path.name.partition(".")
        if not stem or not dot or not rest:
            raise InputError(f"{shard}: its member {member.name[:200]!r} is not named <key>.<suffix>: rename it.")
        following = (path.parent / stem).as_posix()
        if following != key:
            if key:
                yield key, members
                done.add(key)
            if following in done:
                raise InputError(f"{shard}: the members of {following[:200]!r} do not stand together: sort it.")
            key, members = following, {}
        # 0007.JPG and 0007.jpg are one file on many systems.
        lowered = rest.lower()
        if lowered in members:
            raise InputError(f"{shard}: its member {member.name[:200]!r} is there twice: keep one.")
        members[lowered] = member
    if key:
        yield key, members


def _read_text(origin: str, shard: Path, member: Member) -> str:
    name = member.name[-80:]
    if member.size > _MAX_TEXT:
        raise InputError(f"{origin}: its {name} is larger than {_MAX_TEXT // 2**20} MiB: it is no instruction.")
    try:
        with open_member(shard, member) as file:
            return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{origin}: its {name} is not UTF-8 text: save it as UTF-8.") from error


def _read_object(origin: str, shard: Path, member: Member) -> dict[str, Any]:
    try:
        row = json.loads(_read_text(origin, shard, member))
        if not isinstance(row, dict):
            raise ValueError("another value")
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{origin}: its {member.name[-80:]} is no JSON object: write one.") from error
    return row
