"""Clips in the Arrow files of Hugging Face's ``datasets``, where a row keeps a video file or a list of picture files.

The files are mapped into memory, so that a row costs its own bytes alone. All that is taken from them is checked first:
Arrow trusts the offsets in a file, and a wrong one would read somebody else's memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ClipError, InputError
from ...optional import needed
from .base import Frames, Media, Span, changed_at, check_regular, edges_digest, span_identity, span_of_pictures
from .colours import DEFAULT, Colours
from .pictures import decode_picture
from .video import chosen_identity, open_video

Fault = Callable[[Path, str], InputError]
_SCHEMA, _RECORD_BATCH = 1, 3


@dataclass(frozen=True)
class ArrowVideo(Media):
    """A video file in a row. path: of the Arrow file. column: of bytes, or of structs ``{bytes, path}``. track,
    colours: as in :class:`~showme.data.media.Video`."""

    path: Path
    column: str
    row: int
    track: int | None = None
    colours: Colours = DEFAULT

    def open(self, span: Span | None = None) -> Frames:
        buffer = _bytes(self, _cell(self))
        name = self.path / self.column / str(self.row)
        return open_video(name, lambda: _reader(buffer), span, self.track, self.colours)

    def identity(self, span: Span | None = None) -> list:
        digest, chosen = _buffer_identity(_bytes(self, _cell(self))), chosen_identity(self.track, self.colours)
        return [*digest, changed_at(self.path), span_identity(span), *chosen]


@dataclass(frozen=True)
class ArrowPictures(Media):
    """A list of picture files in a row, in their order. fps: where it is known. colours: as of
    :class:`~showme.data.media.Pictures`."""

    path: Path
    column: str
    row: int
    fps: float | None = None
    colours: Colours = DEFAULT

    def open(self, span: Span | None = None) -> Frames:
        buffers = self._buffers(span)
        return _ArrowFrames(self.path / self.column / str(self.row), buffers, self.fps, self.colours)

    def identity(self, span: Span | None = None) -> list:
        buffers = self._buffers(span)
        ends = [_buffer_identity(buffer) for buffer in (buffers[0], buffers[-1])]
        sizes, chosen = [buffer.size for buffer in buffers], self.colours.identity()
        return [sizes, ends, changed_at(self.path), span_identity(span), *chosen]

    def _buffers(self, span: Span | None) -> list[Any]:
        cell = _cell(self)
        pictures = cell.values if cell.is_valid and is_list(cell) else None
        if not pictures:
            raise ClipError(self.path, f"{self.column!r} keeps no pictures in row {self.row + 1}")
        chosen = span_of_pictures(self.path, len(pictures), self.fps, span)
        return [_bytes(self, pictures[index]) for index in chosen]


class _ArrowFrames(Frames):
    def __init__(self, path: Path, buffers: Sequence[Any], fps: float | None, colours: Colours):
        self.path, self.buffers, self.fps, self.colours = path, buffers, fps, colours

    def __len__(self) -> int:
        return len(self.buffers)

    def read(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        for index in indices:
            time = None if self.fps is None else index / self.fps
            yield decode_picture(self.buffers[index].to_pybytes(), self.path / str(index), time, self.colours)


def open_arrow(path: Path, fault: Fault = ClipError) -> Any:
    """The table of an Arrow stream file, mapped into memory; nothing in it is checked yet.

    Raises:
        InputError: made by ``fault``: missing, no Arrow stream, or one that is compressed, whose size nobody knows.
    """
    with needed("pyarrow", "pyarrow", "data", "Reading Arrow files"):
        from pyarrow import ArrowException
    check_regular(path)
    try:
        status = path.stat()
        return _mapped(path, status.st_size, status.st_mtime_ns)
    except (ArrowException, ValueError, OSError, struct.error, IndexError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise fault(path, f"no whole Arrow stream: {reason}") from error


@lru_cache(maxsize=16)
def _mapped(path: Path, size: int, modified: int) -> Any:
    import pyarrow

    with pyarrow.memory_map(str(path)) as file:
        for message in pyarrow.ipc.MessageReader.open_stream(file):
            _check_message(message.metadata.to_pybytes())
        file.seek(0)
        table = pyarrow.ipc.open_stream(file).read_all()
    _check_names(table.schema)
    return table


def _check_names(fields: Iterable[Any]) -> None:
    """Decode the names of all fields: Arrow does when they are asked for, and raises where they are no UTF-8."""
    for field in fields:
        str(field.name)
        _check_names(field.type.field(index) for index in range(field.type.num_fields))


def _check_message(metadata: bytes) -> None:
    """Refuse what ``datasets`` never writes: dictionaries, and batches that are unpacked before they can be bounded."""
    root = struct.unpack_from("<I", metadata)[0]
    kind = metadata[_field(metadata, root, 1)]
    if kind not in (_SCHEMA, _RECORD_BATCH):
        raise ValueError("it has more than a schema and batches of rows")
    header = _field(metadata, root, 2)
    header += struct.unpack_from("<I", metadata, header)[0]
    if kind == _RECORD_BATCH and _field(metadata, header, 3) != header:
        raise ValueError("it is compressed, save it as `datasets` does")


def _field(buffer: bytes, table: int, index: int) -> int:
    """Where a field of a table of a FlatBuffer is; the table's own place where the field is not given."""
    fields = table - struct.unpack_from("<i", buffer, table)[0]
    if struct.unpack_from("<H", buffer, fields)[0] < 6 + 2 * index:
        return table
    return table + struct.unpack_from("<H", buffer, fields + 4 + 2 * index)[0]


def _cell(media: ArrowVideo | ArrowPictures) -> Any:
    """A media's row of its column, whose offsets are sound."""
    table = open_arrow(media.path)
    if table.column_names.count(media.column) != 1:
        raise ClipError(media.path, f"it has not one column {media.column!r}")
    place = media.row
    for chunk in table.column(media.column).chunks:
        if place < len(chunk):
            cell = chunk.slice(place, 1)
            if not is_sound(cell):
                raise ClipError(media.path, f"{media.column!r} is damaged in row {media.row + 1}")
            return cell[0]
        place -= len(chunk)
    raise ClipError(media.path, f"it has no row {media.row + 1}")


def is_list(values: Any) -> bool:
    """Whether an Arrow array's or scalar's values are lists."""
    return str(values.type).startswith(("list<", "large_list<", "fixed_size_list<"))


def is_sound(values: Any) -> bool:
    """Whether all offsets of an Arrow array or batch lie within its buffers, and its texts are UTF-8."""
    from pyarrow import ArrowException

    try:
        values.validate(full=True)
    except (ArrowException, ValueError):
        return False
    return True


def _bytes(media: ArrowVideo | ArrowPictures, cell: Any) -> Any:
    """The buffer of a file that a cell keeps."""
    if cell.is_valid and hasattr(cell, "keys") and "bytes" in cell:
        cell = cell["bytes"]
    if not cell.is_valid or not hasattr(cell, "as_buffer") or not cell.as_buffer().size:
        raise ClipError(media.path, f"{media.column!r} keeps no file in row {media.row + 1}")
    return cell.as_buffer()


def _reader(buffer: Any) -> Any:
    import pyarrow

    return pyarrow.BufferReader(buffer)


def _buffer_identity(buffer: Any) -> list:
    return [buffer.size, edges_digest(_reader(buffer), buffer.size)]
