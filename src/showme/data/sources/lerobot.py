"""LeRobotDataset, versions 2.1 and 3.0: ``meta/info.json``, episodes, and their cameras as videos or Parquet columns.

Version 2.1 has ``meta/episodes.jsonl`` and a file per episode; version 3.0 has ``meta/episodes/chunk-000/*.parquet``
and files that several episodes share. Instructions are the episodes' ``tasks``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ...errors import InputError
from ..media import EpisodeVideo, Media, ParquetPictures, Span
from ..media.parquet import read_rows
from ..media.pictures import natural_order
from .base import Source, check_folder, inside
from .faults import entries_of_rows
from .lerobot_places import SharedVideos
from .record import Entry, Record
from .tables import cell, jsonl_rows, read_json

VERSIONS = ("v2.1", "v3.0")
_SPLITS = {"val": "validation"}
_FIELD = re.compile(r"\{(\w+)(?::0(\d)d)?\}")


class LeRobotSource(Source):
    """Episodes of one LeRobotDataset, seen by one camera."""

    kind: Literal["lerobot"] = Field(description="LeRobotDataset v2.1 or v3.0")
    path: Path = Field(description="folder that holds meta/info.json")
    camera: str | None = Field(None, description="feature such as observation.images.top; null: the only one")
    tasks: Literal["refuse", "first"] = Field("refuse", description="what to do about episodes of several tasks")
    split: str | None = Field(None, description="episodes of this split of info.json alone; null: all")
    licence: str = Field("", description="whose terms hold, in a few words")

    @property
    def place(self) -> Path:
        """The data set's description."""
        return self.path / "meta" / "info.json"

    def entries(self) -> Iterator[Entry]:
        check_folder(self.path, "data set")
        info = self._info()
        splits = _splits(self.place, info, self.split)
        camera, stored = self._camera(info)
        rows: Sequence[tuple[str, Any]] = list(
            self._rows_v21() if info["codebase_version"] == "v2.1" else self._rows_v30(camera, stored)
        )
        pixels = _Pixels(self.path, self.place, info, camera, stored, rows)

        def entries_of(origin: str, row: Mapping[str, Any]) -> Iterator[Record]:
            episode = cell(origin, row, "episode_index", int)
            split = next((name for name, episodes in splits.items() if episode in episodes), None)
            if self.split is not None and split != _SPLITS.get(self.split, self.split):
                return
            media, span = pixels.of(origin, row)
            yield Record(
                id=_name(episode),
                media=media,
                instruction=self._instruction(origin, row),
                span=span,
                split=split,
                licence=self.licence,
                origin=origin,
            )

        yield from entries_of_rows(rows, entries_of, _name_of)
        total = cell(str(self.place), info, "total_episodes", int)
        if len(rows) != total:
            listed = f"says {total} episodes, and {len(rows)} are listed"
            raise InputError(f"{self.place} {listed}: fetch the data set again.")

    def _info(self) -> dict[str, Any]:
        info = read_json(self.place)
        version = info.get("codebase_version") if isinstance(info, dict) else None
        if version not in VERSIONS:
            raise InputError(
                f"{self.place} is of version {str(version)[:80]!r}, not {' or '.join(VERSIONS)}: convert the data set "
                "with the scripts of the lerobot package."
            )
        if cell(str(self.place), info, "fps", float) <= 0:
            raise InputError(f"{self.place}: the field 'fps' is not above 0: correct it.")
        return info

    def _camera(self, info: Mapping[str, Any]) -> tuple[str, str]:
        """The camera's feature, and whether it is kept as ``video`` or as ``image``."""
        features = info.get("features")
        if not isinstance(features, dict) or not all(isinstance(each, dict) for each in features.values()):
            raise InputError(f"{self.place}: the field 'features' is no list of features: fetch the data set again.")
        cameras = {
            name: feature["dtype"]
            for name, feature in features.items()
            if feature.get("dtype") in ("video", "image") and not _is_depth(feature)
        }
        names = ", ".join(cameras)[:500] or "none"
        if self.camera is not None:
            if self.camera not in cameras:
                raise InputError(f"{self.place} has no camera {self.camera!r}: it has {names}.")
            return self.camera, cameras[self.camera]
        if len(cameras) != 1:
            raise InputError(f"{self.place} has {len(cameras)} cameras ({names}): say which as camera.")
        return next(iter(cameras.items()))

    def _rows_v21(self) -> Iterator[tuple[str, dict[str, Any] | InputError]]:
        return jsonl_rows(self.path / "meta" / "episodes.jsonl")

    def _rows_v30(self, camera: str, stored: str) -> Iterator[tuple[str, dict[str, Any]]]:
        folder = check_folder(self.path / "meta" / "episodes", "episodes' annotations")
        columns = ["episode_index", "tasks", "length"]
        if stored == "video":
            columns += [
                f"videos/{camera}/{name}" for name in ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
            ]
        else:
            columns += ["data/chunk_index", "data/file_index"]
        for chunk in natural_order(folder.glob("chunk-*")):
            for path in natural_order(chunk.glob("file-*.parquet")):
                yield from read_rows(inside(folder, f"{chunk.name}/{path.name}", str(self.place)), columns)

    def _instruction(self, origin: str, row: Mapping[str, Any]) -> str:
        tasks = row.get("tasks")
        if (
            not isinstance(tasks, list)
            or not tasks
            or not all(isinstance(each, str) and each.strip() for each in tasks)
        ):
            raise InputError(f"{origin}: the field 'tasks' is no list of sentences: fill it in.")
        if len(tasks) > 1 and self.tasks == "refuse":
            raise InputError(
                f"{origin}: the episode has {len(tasks)} tasks: set tasks=first to take the first of them."
            )
        return tasks[0].strip()


class _Pixels:
    """Where the episodes' pixels are.

    Args:
        root: folder of the data set.
        place: of its description, for messages.
        info: the description.
        camera, stored: whose pixels, and whether they are kept as ``video`` or as ``image``.
        rows: of all episodes.

    Raises:
        InputError: a description that is wrong, whatever the episode.
    """

    def __init__(
        self,
        root: Path,
        place: Path,
        info: Mapping[str, Any],
        camera: str,
        stored: str,
        rows: Sequence[tuple[str, Any]],
    ):
        self.root, self.place, self.info, self.camera, self.stored = root, place, info, camera, stored
        self.fps = cell(str(place), info, "fps", float)
        self.group = f"videos/{camera}" if stored == "video" else "data"
        self.shared: SharedVideos | None = None
        self.chunk = 0
        if info["codebase_version"] == "v2.1":
            self.chunk = cell(str(place), info, "chunks_size", int)
            if self.chunk < 1:
                raise InputError(f"{place}: the field 'chunks_size' is not above 0: correct it.")
        elif stored == "video":
            self.shared = SharedVideos(rows, camera, self.fps)

    def of(self, origin: str, row: Mapping[str, Any]) -> tuple[Media, Span | None]:
        """Pixels and span of an episode.

        Raises:
            InputError: the row is wrong.
        """
        episode, length = cell(origin, row, "episode_index", int), cell(origin, row, "length", int)
        if episode < 0 or length < 1:
            raise InputError(f"{origin}: episode {episode} of {length} frames cannot be: correct it.")
        path = self._path(origin, row, episode)
        if self.stored == "image":
            return ParquetPictures(path, self.camera, episode, length, self.fps), None
        if self.shared is None:
            return EpisodeVideo(path, length=length), Span(0, length, "frames")
        place = self.shared.place(origin, row, length)
        return (
            EpisodeVideo(path, length=place.length, part=place.span, whole=place.whole, rate=self.fps),
            place.span,
        )

    def _path(self, origin: str, row: Mapping[str, Any], episode: int) -> Path:
        if self.chunk:
            numbers = {"episode_chunk": episode // self.chunk, "episode_index": episode}
        else:
            numbers = {
                "chunk_index": cell(origin, row, f"{self.group}/chunk_index", int),
                "file_index": cell(origin, row, f"{self.group}/file_index", int),
            }
        template = "video_path" if self.stored == "video" else "data_path"
        return inside(self.root, _fill(self.place, self.info, template, {"video_key": self.camera, **numbers}), origin)


def _name(episode: int) -> str:
    return f"episode_{episode:06d}"


def _name_of(row: Mapping[str, Any]) -> str | None:
    episode = row.get("episode_index")
    return _name(episode) if isinstance(episode, int) and not isinstance(episode, bool) and episode >= 0 else None


def _splits(place: Path, info: Mapping[str, Any], wanted: str | None) -> dict[str, range]:
    """Episodes of every split, which info.json gives as ``"0:50"``."""
    splits = {}
    for name, value in (info.get("splits") or {}).items():
        match = re.fullmatch(r"(\d{1,12}):(\d{1,12})", str(value))
        if match is None:
            raise InputError(f"{place}: the split {name!r} is {str(value)[:80]!r}, not 'first:end': correct it.")
        splits[_SPLITS.get(name, name)] = range(int(match[1]), int(match[2]))
    if wanted is not None and _SPLITS.get(wanted, wanted) not in splits:
        raise InputError(f"{place} has no split {wanted!r}: it has {', '.join(splits) or 'none'}.")
    return splits


def _fill(place: Path, info: Mapping[str, Any], name: str, values: Mapping[str, Any]) -> str:
    """A path of info.json with its fields filled in; whole format strings could ask for anything."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise InputError(f"{place}: the field {name!r} speaks of {match[1]!r}, which no episode has: correct it.")
        return str(values[match[1]]).zfill(int(match[2] or 0))

    return _FIELD.sub(value, cell(str(place), info, name))


def _is_depth(feature: Mapping[str, Any]) -> bool:
    """Whether a camera measures distance; its pictures have no colours."""
    notes = [each for each in (feature.get("info"), feature.get("video_info")) if isinstance(each, dict)]
    return any(each.get("is_depth_map") or each.get("video.is_depth_map") for each in notes)
