"""Lists of clips beside a data set: those to leave out, and those to keep with the places where they end.

JSON lines: ``{"id": ..., "reason": ...}`` as ``showme data check`` writes them, ``{"id": ..., "span": [start, stop,
unit]}`` as ``showme data curate`` does; a span of null leaves the clip as it is.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...staged_files import staged, sweep
from ..media import Span
from .tables import cell, read_jsonl


def read_exclusions(path: Path) -> dict[str, str]:
    """Ids with the reasons.

    Raises:
        InputError: no such file, or a line that is no exclusion.
    """
    return {_id(origin, row): str(row.get("reason", "")) for origin, row in read_jsonl(path)}


def write_exclusions(path: Path, reasons: Mapping[str, str]) -> None:
    """Write a list in one step."""
    write_lines(path, ({"id": name, "reason": reason} for name, reason in reasons.items()))


def read_kept(path: Path) -> dict[str, Span | None]:
    """Ids with the spans that take the place of the annotations'; None: as it was.

    Raises:
        InputError: no such file, or a line that is none of it.
    """
    return {_id(origin, row): _span(origin, row.get("span")) for origin, row in read_jsonl(path)}


def write_kept(path: Path, spans: Mapping[str, Span | None]) -> None:
    """Write a list in one step."""
    rows = ((name, None if span is None else [span.start, span.stop, span.unit]) for name, span in spans.items())
    write_lines(path, ({"id": name, "span": span} for name, span in rows))


def read_enrichments(path: Path) -> dict[str, str]:
    """Ids with how their actions are done, in one line each, as ``showme data annotate labels=[enrichment]`` writes.

    Raises:
        InputError: no such file, or a line without an enrichment.
    """
    texts = {}
    for origin, row in read_jsonl(path):
        text = row.get("enrichment")
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{origin}: no enrichment: write it with `showme data annotate` and labels=[enrichment].")
        texts[_id(origin, row)] = " ".join(text.split())
    return texts


def read_states(path: Path) -> dict[str, tuple[str, ...]]:
    """Ids with the states between beginning and end, as ``showme data annotate labels=[states]`` writes.

    Raises:
        InputError: no such file, or a line without states.
    """
    texts = {}
    for origin, row in read_jsonl(path):
        states = row.get("states")
        if not isinstance(states, list) or not states or not all(isinstance(s, str) and s.strip() for s in states):
            raise InputError(f"{origin}: no states: write them with `showme data annotate` and labels=[states].")
        texts[_id(origin, row)] = tuple(" ".join(state.split()) for state in states)
    return texts


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """JSON lines, written in one step.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        with staged(path) as neighbour:
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            neighbour.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another file.") from error


def check_writable(path: Path) -> None:
    """Refuse a list that could not be written.

    Raises:
        InputError: as :func:`write_lines`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another file.") from error


def _id(origin: str, row: Mapping[str, Any]) -> str:
    """The id of a clip, as it is: blanks at its ends are part of it in an archive."""
    value = row.get("id")
    return value if isinstance(value, str) and value.strip() else cell(origin, row, "id")


def _span(origin: str, value: Any) -> Span | None:
    if value is None:
        return None
    try:
        start, stop, unit = value
        if unit not in ("seconds", "frames"):
            raise ValueError
        span = Span(float(start), float(stop), unit)
        if not 0 <= span.start < span.stop < float("inf"):
            raise ValueError
        return span
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f'{origin}: the span is none: write [start, stop, "seconds"] or "frames", or null.') from error
