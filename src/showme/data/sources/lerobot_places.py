"""Where the episodes of LeRobot's version 3.0 stand in the videos that they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ...errors import InputError, warn_once
from ..media import Span
from .tables import cell

# Longer than any robot has been filmed in one file; keeps arithmetic finite.
_MAX_SECONDS = 1e7
# What is more than half a frame off is another frame's.
_HALF = 0.5
# Encoders drop a frame now and then; where more are missing, table and video do not belong together.
_LOST = 1.01


@dataclass(frozen=True)
class Place:
    """Of an episode in its video. span: in seconds. length: frames in it. whole: frames of the video, to the end of its
    last episode."""

    span: Span
    length: int
    whole: int


class SharedVideos:
    """Places of all episodes of one camera.

    The time stamps are sums of durations: counted in frames they are exact again, and half a frame before each edge is
    where no rounding can put another frame in or out. What cannot be so is refused: episodes that overlap, or stand
    more than half a frame from where the episodes before them end. Where a video has a frame less than the table, or
    one more, the frames that both have are taken, and a warning says so.

    Args:
        rows: ``(origin, row)`` of every episode of the data set.
        camera: whose columns they are, ``videos/<camera>/...``.
        fps: frames per second.
    """

    def __init__(self, rows: Iterable[tuple[str, Mapping[str, Any]]], camera: str, fps: float):
        self.group, self.fps = f"videos/{camera}", fps
        self.firsts: dict[str, int] = {}
        self.faults: dict[str, str] = {}
        self.wholes: dict[tuple[Any, Any], int] = {}
        files: dict[tuple[Any, Any], list[tuple[float, float, str]]] = {}
        for origin, row in rows:
            try:
                part = (*self._edges(origin, row), origin)
            except InputError:
                # Reported when the episode's place is asked for.
                continue
            files.setdefault(self._file(row), []).append(part)
        for file, parts in files.items():
            self._lay_out(sorted(parts))
            self.wholes[file] = round(max(stop for _, stop, _ in parts))

    def place(self, origin: str, row: Mapping[str, Any], length: int) -> Place:
        """Where an episode of ``length`` frames stands.

        Raises:
            InputError: its time stamps cannot be, or are not its length.
        """
        start, stop = self._edges(origin, row)
        if abs(stop - start - length) > _LOST:
            raise InputError(
                f"{origin}: {start / self.fps:g} to {stop / self.fps:g} s are not {length} frames at {self.fps:g} per "
                "second: fetch the data set again."
            )
        if origin in self.faults:
            raise InputError(f"{origin}: {self.faults[origin]}: fetch the data set again.")
        stored = round(stop - start)
        if stored != length:
            warn_once(
                ("lost frame", self.group, PurePath(origin).parent),
                f"{origin}: its video has {stored} frames, where its table says {length}: what both have is read, of "
                "this and of any other episode that is a frame off.",
            )
            length = min(stored, length)
        first = self.firsts[origin]
        span = Span(max((first - _HALF) / self.fps, 0.0), (first + length - _HALF) / self.fps)
        return Place(span, length, self.wholes[self._file(row)])

    def _file(self, row: Mapping[str, Any]) -> tuple[Any, Any]:
        return row.get(f"{self.group}/chunk_index"), row.get(f"{self.group}/file_index")

    def _edges(self, origin: str, row: Mapping[str, Any]) -> tuple[float, float]:
        """Start and end in frames."""
        start, stop = (cell(origin, row, f"{self.group}/{edge}_timestamp", float) for edge in ("from", "to"))
        if not 0 <= start < stop <= _MAX_SECONDS:
            raise InputError(f"{origin}: {start:g} to {stop:g} s hold no frames: fetch the data set again.")
        return start * self.fps, stop * self.fps

    def _lay_out(self, parts: list[tuple[float, float, str]]) -> None:
        """First frames of the episodes of one video, which are given in its order."""
        end, place, before = -1.0, 0, ""
        for start, stop, origin in parts:
            if before and start < end - _HALF:
                self.faults[origin] = f"it begins {end - start:.1f} frames before {before} ends in the same video"
                self.faults[before] = f"it ends {end - start:.1f} frames after {origin} begins in the same video"
            # After a gap nothing says where an episode stands but its own time stamps.
            follows = before and abs(start - end) <= _HALF
            first = place if follows else round(start)
            if abs(start - first) > _HALF:
                drift = f"it begins {start:.1f} frames into its video, where those before it end after {first}"
                self.faults.setdefault(origin, drift)
            self.firsts[origin] = first
            if stop > end:
                end, place, before = stop, first + round(stop - start), origin
