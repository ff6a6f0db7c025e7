"""A log that is being written, read from where the last reading ended.

A gigabyte is read in parts, a part at each call, and never twice; in between the memory that it takes is that of the
curves. The newest lines are read from the end of the file, wherever the reading is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from .curves import Curves

# Of one reading of the file. A longer line is no line of a log.
_BLOCK = 2**20
# Read from the end of a log for its newest lines.
_TAIL = 2**16
# The end of what was read: if it is not there any more, the log was written anew.
_MARK = 64
# Where steps end: beyond it floats do not tell neighbours apart.
_MOST_STEPS = 2**53


class LogFile:
    """The lines of one ``log.jsonl``.

    Attributes:
        curves: every figure of what was read.
        read_bytes, size: how much was read, and how much there is.
        damaged: lines that are no object with a step, and are in no figure.
    """

    def __init__(self, path: Path):
        self.path = path
        self._begin()

    def _begin(self) -> None:
        self.curves = Curves()
        self.read_bytes = 0
        self.size = 0
        self.damaged = 0
        self._mark = b""
        self._file: int | None = None
        # Inside a line that is too long to be one.
        self._skipping = False

    def read(self, limit: int | None = None) -> None:
        """Go on where the last call ended, up to ``limit`` bytes: None to read all.

        What follows the last line break is left for later: it is still being written. A log that was cut or replaced,
        as by a run that is resumed, is read anew.

        Raises:
            OSError: it cannot be read.
        """
        with self.path.open("rb") as stream:
            self._find_place(stream)
            end = self.size if limit is None else min(self.size, self.read_bytes + limit)
            while self.read_bytes < end and self._read_block(stream):
                pass
            self._set_mark(stream)

    def _find_place(self, stream: BinaryIO) -> None:
        state = os.fstat(stream.fileno())
        stream.seek(max(self.read_bytes - _MARK, 0))
        same = self._file in (None, state.st_ino) and stream.read(len(self._mark)) == self._mark
        if not same or state.st_size < self.read_bytes:
            self._begin()
        self.size, self._file = state.st_size, state.st_ino

    def _set_mark(self, stream: BinaryIO) -> None:
        start = max(self.read_bytes - _MARK, 0)
        stream.seek(start)
        self._mark = stream.read(self.read_bytes - start)

    def _read_block(self, stream: BinaryIO) -> bool:
        """Read whole lines; whether there were any."""
        stream.seek(self.read_bytes)
        block = stream.read(min(_BLOCK, self.size - self.read_bytes))
        whole = block.rfind(b"\n") + 1
        if not whole:
            return self._skip(block)
        lines = block[:whole].split(b"\n")[:-1]
        if self._skipping:
            del lines[0]
            self._skipping = False
        rows = parse(lines)
        self.damaged += len(lines) - len(rows)
        self.curves.add(rows)
        self.read_bytes += whole
        return True

    def _skip(self, block: bytes) -> bool:
        """Pass over a part of a line that is too long; a shorter one is still being written."""
        if len(block) < _BLOCK:
            if self._skipping:
                self.read_bytes += len(block)
            return False
        self.damaged += not self._skipping
        self._skipping = True
        self.read_bytes += len(block)
        return True


def newest_rows(path: Path) -> list[dict[str, Any]]:
    """The last lines of a log, oldest first: those of its last 64 KiB.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - _TAIL, 0))
        lines = stream.read(_TAIL).split(b"\n")
    # The last is being written; the first may be the end of a longer one.
    return parse(lines[1 if size > _TAIL else 0 : -1])


def parse(lines: list[bytes]) -> list[dict[str, Any]]:
    """The lines that are objects with a step."""
    try:
        # One call for all is faster.
        rows = json.loads(b"[" + b",".join(lines) + b"]")
    except (ValueError, RecursionError):
        rows = None
    if rows is None or len(rows) != len(lines):
        rows = [_parse_one(line) for line in lines]
    return [row for row in rows if _is_line(row)]


def _parse_one(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_line(row: object) -> bool:
    if not isinstance(row, dict):
        return False
    step = row.get("step")
    return type(step) is int and 0 <= step < _MOST_STEPS
