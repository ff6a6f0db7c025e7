"""The plain case: a folder of clips and a JSONL that says what happens in each.

A line of ``index.jsonl`` is ``{"id": "7", "file": "7.mp4", "instruction": "push the jar to the right"}``. ``caption``
does for ``instruction`` and ``<id>.mp4`` for ``file``, which is the authors' own layout of Something-Something V2.
"""

from __future__ import annotations

import json
from pathlib import Path

from ...errors import InputError
from .record import Record

INDEX = "index.jsonl"


def read_folder(source: str | Path, limit: int | None = None) -> list[Record]:
    """Records of a folder (its ``index.jsonl``) or of a JSONL file whose clips lie beside it.

    Args:
        source: the folder or the file.
        limit: the first so many alone.

    Raises:
        InputError: no index, a line that is no record, an id twice, or a clip that is not there, with file and line.
    """
    index = Path(source)
    if index.is_dir():
        index = index / INDEX
    if not index.is_file():
        raise InputError(f"There is no {index}: give a folder of clips with an {INDEX}, or that file.")
    records: dict[str, Record] = {}
    for number, line in enumerate(_lines(index), 1):
        if limit is not None and len(records) == limit:
            break
        if line.strip():
            record = _record(index, number, line)
            if record.id in records:
                raise InputError(f"{index}, line {number}: the id {record.id!r} was given before: ids must differ.")
            records[record.id] = record
    if not records:
        raise InputError(f"{index} lists no clips.")
    return list(records.values())


def _lines(index: Path) -> list[str]:
    try:
        return index.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{index} is not UTF-8 text: save it as UTF-8.") from error


def _record(index: Path, number: int, line: str) -> Record:
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError
    except ValueError as error:
        raise InputError(f"{index}, line {number}: not a JSON object; write one per line.") from error
    instruction = row.get("instruction", row.get("caption"))
    if row.get("id") is None or not isinstance(instruction, str) or not instruction.strip():
        raise InputError(f"{index}, line {number}: it needs an id and an instruction (or caption).")
    path = index.parent / str(row.get("file", f"{row['id']}.mp4"))
    if not path.exists():
        raise InputError(f"{index}, line {number}: there is no {path}.")
    return Record(str(row["id"]), path, instruction.strip())
