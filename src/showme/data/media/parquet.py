"""Clips in Parquet files, where a column keeps a picture file per frame, and the rows of small tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ClipError, InputError, absent
from ...optional import needed
from .base import Frames, Media, Span, check_regular, file_identity, one_line, span_identity, span_of_pictures
from .colours import DEFAULT, Colours
from .pictures import decode_picture

# Weeks of video at 30 frames per second: a file that says more lies, and counting its rows would take for ever.
MAX_ROWS = 10**8
# Of one row group, unpacked.
MAX_BYTES = 2**31
_EPISODE, _FRAME = "episode_index", "frame_index"
# Rows that are unpacked at once: one picture repeated ten thousand times is small on disk and large in memory.
_PICTURES, _NUMBERS, _CELLS = 1, 2**16, 256


@dataclass(frozen=True)
class ParquetPictures(Media):
    """The rows of one episode, in a file that may hold others too.

    path: of the file, whose columns ``episode_index`` and ``frame_index`` say which frame of which episode a row is.
    column: of structs ``{bytes, path}``, where bytes are a picture file. episode: its number. frames: how many the
    data set says it has. fps: where it is known. colours: as of :class:`~showme.data.media.Pictures`.
    """

    path: Path
    column: str
    episode: int
    frames: int
    fps: float | None = None
    colours: Colours = DEFAULT

    def open(self, span: Span | None = None) -> Frames:
        check_regular(self.path)
        with _opened(self.path, (self.column, _EPISODE, _FRAME)) as file:
            first = self._first_row(file)
        chosen = span_of_pictures(self.path, self.frames, self.fps, span)
        return _ParquetFrames(self, range(first + chosen.start, first + chosen.stop))

    def identity(self, span: Span | None = None) -> list:
        place = [self.column, self.episode, self.frames, span_identity(span)]
        return [*file_identity(self.path), *place, *self.colours.identity()]

    def _first_row(self, file: Any) -> int:
        """Row of the episode's first frame; the others follow, each once."""
        rows, numbers = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        row = 0
        for batch in file.iter_batches(_NUMBERS, columns=[_EPISODE, _FRAME], use_threads=False):
            episodes, frames = (batch.column(name).to_numpy(zero_copy_only=False) for name in (_EPISODE, _FRAME))
            own = np.flatnonzero(episodes == self.episode)
            rows.append(row + own)
            numbers.append(frames[own])
            row += batch.num_rows
        found, order = np.concatenate(rows), np.arange(self.frames)
        if len(found) != self.frames:
            reason = f"it has {len(found)} rows of episode {self.episode}, where the data set says {self.frames}"
            raise ClipError(self.path, reason)
        if not (np.array_equal(found, found[0] + order) and np.array_equal(np.concatenate(numbers), order)):
            raise ClipError(self.path, f"the rows of episode {self.episode} are out of order")
        return int(found[0])


class _ParquetFrames(Frames):
    def __init__(self, media: ParquetPictures, rows: range):
        self.path, self.column, self.rows, self.fps = media.path, media.column, rows, media.fps
        self.colours = media.colours

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        wanted = {self.rows[index]: index for index in indices}
        with _opened(self.path, (self.column,)) as file:
            end = given = 0
            for group in range(file.num_row_groups):
                begin, end = end, end + file.metadata.row_group(group).num_rows
                here = {row: index for row, index in wanted.items() if begin <= row < end}
                for picture in self._pictures(file, group, begin, here):
                    given += 1
                    yield picture
        if given < len(wanted):
            raise ClipError(self.path, f"it has {given} of {len(wanted)} rows that its description speaks of")

    def _pictures(self, file: Any, group: int, row: int, wanted: dict[int, int]) -> Iterator[np.ndarray]:
        """Pictures of the rows of one row group, whose first is ``row``."""
        if not wanted:
            return
        last = max(wanted)
        for batch in file.iter_batches(_PICTURES, row_groups=[group], columns=[self.column], use_threads=False):
            for place in range(batch.num_rows):
                if row + place in wanted:
                    yield self._picture(batch.column(self.column)[place].as_py(), wanted[row + place])
            row += batch.num_rows
            if row > last:
                return

    def _picture(self, cell: Any, index: int) -> np.ndarray:
        time = None if self.fps is None else index / self.fps
        picture = cell.get("bytes") if isinstance(cell, dict) else None
        if not isinstance(picture, bytes):
            raise ClipError(self.path, f"{self.column!r} keeps no picture in row {self.rows[index]}", time)
        return decode_picture(picture, self.path / self.column / str(index), time, self.colours)


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """``(origin, row)`` of every row of a Parquet file, with ``columns`` alone; the origin is what messages call it.

    Raises:
        InputError: missing, no Parquet file, or a column that is not there.
    """
    if not path.is_file():
        raise InputError(f"{absent(path)}: fetch the annotations again.")
    number = 0
    with _opened(path, columns, _table_error) as file:
        for batch in file.iter_batches(_CELLS, columns=list(columns), use_threads=False):
            for values in batch.select(list(columns)).to_pylist():
                number += 1
                yield f"{path}, row {number}", values


@contextmanager
def _opened(path: Path, columns: Sequence[str], fault: Callable[[Path, str], InputError] = ClipError) -> Iterator[Any]:
    """A ParquetFile that has ``columns``; pyarrow's errors inside become ``fault``."""
    with needed("pyarrow", "pyarrow", "data", "Reading Parquet files"):
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    try:
        with ParquetFile(path) as file:
            _check(path, file, columns, fault)
            yield file
    except InputError:
        raise
    except (ArrowException, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise fault(path, f"damaged Parquet file: {reason}") from error


def _check(path: Path, file: Any, columns: Sequence[str], fault: Callable[[Path, str], InputError]) -> None:
    names = file.schema_arrow.names
    for column in columns:
        if column not in names:
            raise InputError(f"{path} has no column {column!r}: it has {one_line(', '.join(names)[:500]) or 'none'}.")
    if file.metadata.num_rows > MAX_ROWS:
        raise fault(path, f"{file.metadata.num_rows} rows are more than {MAX_ROWS}")
    for group in range(file.num_row_groups):
        # Of all columns: pyarrow ends the process where it is asked about a column whose description is damaged.
        if file.metadata.row_group(group).total_byte_size > MAX_BYTES:
            raise fault(path, f"it unpacks to more than {MAX_BYTES} bytes in one row group")


def _table_error(path: Path, reason: str) -> InputError:
    return InputError(f"{path} cannot be read ({reason}): fetch the annotations again.")
