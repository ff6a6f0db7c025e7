"""Annotation files: JSON, JSON lines and CSV, read with bounds, every fault reported with file and row."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError, absent
from ..media.base import one_line

# Larger files are streamed by the sources that have them.
MAX_BYTES = 512 * 2**20
MAX_LINE = 2**20
_MAX_COLUMNS = 1000
_MAX_NUMBER = 2**53
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_DEPTH = "nested deeper than any annotation"


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        InputError: missing, too large, or no JSON.
    """
    text = _text(path)
    try:
        return _parsed(text)
    except RecursionError as error:
        raise InputError(f"{path} is {_DEPTH}: fetch the annotations again.") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({_reason(error)}): fetch the annotations again.") from error


def read_jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """``(origin, object)`` of every line that is not blank; the origin is what messages call it.

    Raises:
        InputError: missing, not UTF-8, a line that is too long or no JSON object.
    """
    return _sound(jsonl_rows(path))


def jsonl_rows(path: Path) -> Iterator[tuple[str, dict[str, Any] | InputError]]:
    """As :func:`read_jsonl`; in the place of a line that is no JSON object stands what is said of it.

    Raises:
        InputError: missing, not UTF-8, or a line that is too long.
    """
    with open_text(path) as file:
        for number, line in enumerate(_lines(path, file), 1):
            if not line.strip():
                continue
            origin = f"{path}, line {number}"
            try:
                row = _parsed(line)
                if not isinstance(row, dict):
                    raise ValueError("another value")
            except (ValueError, RecursionError):
                row = InputError(f"{origin}: it is no JSON object: write one on each line.")
            yield origin, row


def read_csv(path: Path, columns: Sequence[str], delimiter: str = ",") -> Iterator[tuple[str, dict[str, str]]]:
    """``(origin, row)`` of every row of a CSV file with a header; cells may hold line breaks.

    Args:
        path: of the file.
        columns: that must be there; others are passed on.
        delimiter: between cells.

    Raises:
        InputError: missing, not UTF-8, a column that is missing, or a row with too few or too many cells.
    """
    return _sound(csv_rows(path, columns, delimiter))


def csv_rows(
    path: Path, columns: Sequence[str], delimiter: str = ","
) -> Iterator[tuple[str, dict[str, str] | InputError]]:
    """As :func:`read_csv`; in the place of a row with too few or too many cells stands what is said of it.

    Raises:
        InputError: missing, not UTF-8, no CSV, or a column that is missing.
    """
    with open_text(path, newline="") as file:
        lines = _Lines(path, file)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        number = 0
        try:
            header = next(reader, [])
            if len(header) > _MAX_COLUMNS:
                raise InputError(f"{path} has more than {_MAX_COLUMNS} columns: it is no list of clips.")
            twice = next((column for column in header if header.count(column) > 1), None)
            if twice is not None:
                raise InputError(f"{path} has the column {twice[:80]!r} twice: delete one of them.")
            for column in columns:
                if column not in header:
                    has = one_line(", ".join(header)[:500]) or "none"
                    raise InputError(f"{path} has no column {column!r}: it has {has}.")
            for number, row in enumerate(reader, 1):
                lines.size = 0
                if not row:
                    continue
                origin = f"{path}, row {number}"
                if len(row) != len(header):
                    belong = f"{len(row)} cells where {len(header)} belong"
                    yield origin, InputError(f"{origin}: it has {belong}: correct it.")
                    continue
                yield origin, dict(zip(header, row, strict=True))
        except csv.Error as error:
            raise InputError(f"{path}, row {number + 1}: not CSV ({error}): correct it.") from error


def cell(origin: str, row: Mapping[str, Any], name: str, kind: type = str) -> Any:
    """One field of a row, as text (stripped, not empty), int or float.

    Raises:
        InputError: missing, empty, or of another kind.
    """
    value = row.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InputError(f"{origin}: the field {name!r} is missing or empty: fill it in.")
    if kind is str:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise InputError(f"{origin}: the field {name!r} is no text: correct it.")
        return str(value).strip()
    try:
        number = kind(value)
        if isinstance(value, bool) or not abs(number) < _MAX_NUMBER or (kind is int and number != float(value)):
            raise ValueError("not finite, or not whole")
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{origin}: the field {name!r} is {str(value)[:80]!r}, no number: correct it.") from error
    return number


def _sound(rows: Iterator[tuple[str, dict[str, Any] | InputError]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a file in which none may be wrong."""
    for origin, row in rows:
        if isinstance(row, InputError):
            raise row
        yield origin, row


def open_text(path: Path, newline: str | None = None) -> io.TextIOWrapper:
    """A UTF-8 file, with or without a byte order mark.

    Raises:
        InputError: missing, or no regular file.
    """
    try:
        if not path.is_file():
            raise InputError(f"{absent(path)}: give the path of the annotations.")
        return path.open(encoding="utf-8-sig", newline=newline)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): give the path of the annotations.") from error


def _lines(path: Path, file: io.TextIOWrapper) -> Iterator[str]:
    """Lines, none longer than a bound."""
    try:
        while line := file.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                raise InputError(f"{path} has a line of more than {MAX_LINE} characters: it is no list of clips.")
            yield line
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: save it as UTF-8.") from error


class _Lines:
    """Lines of one row after another. size: characters of those since it was set to 0, which are bounded too."""

    def __init__(self, path: Path, file: io.TextIOWrapper):
        self.path, self.lines, self.size = path, _lines(path, file), 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        self.size += len(line)
        if self.size > MAX_LINE:
            raise InputError(f"{self.path} has a row of more than {MAX_LINE} characters: it is no list of clips.")
        return line


def _parsed(text: str) -> Any:
    """A JSON value.

    Raises:
        ValueError: also for half a character, which JSON can name and no file or terminal can hold.
    """
    value = json.loads(text)
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _text(path: Path) -> str:
    with open_text(path) as file:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES // 2**20} MiB: it is no list of clips.")
        try:
            return file.read()
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}): give the path of the annotations.") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 text: save it as UTF-8.") from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())
