"""What was asked for in each clip: from a list, or from what lies beside the clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.sources.folder import INDEX
from ..data.sources.tables import cell, read_json, read_jsonl
from ..errors import InputError
from ..generation.folder import RECORD
from .study import QUESTIONS, Question

# The question that makes no sense where judges are not shown what was asked for.
_INSTRUCTION = "instruction"
_NAMED = 3


def read_instructions(file: Path) -> dict[str, str]:
    """Clip -> instruction of a list: JSON lines with ``id`` and ``instruction``.

    Raises:
        InputError: no such file, a line without both, or an id with two instructions.
    """
    found: dict[str, str] = {}
    for origin, row in read_jsonl(file):
        name, instruction = cell(origin, row, "id"), cell(origin, row, _INSTRUCTION)
        if found.setdefault(name, instruction) != instruction:
            raise InputError(f"{origin}: the id {name!r} was given before with another instruction: delete one.")
    return found


def known_instructions(places: Sequence[Path]) -> dict[str, str]:
    """Clip -> instruction, as far as the places' own ``index.jsonl``, or ``run.json`` of generated clips, say it.

    Args:
        places: folders or lists of clips.

    Raises:
        InputError: two places that say different things of one clip, or a list that cannot be read.
    """
    found: dict[str, str] = {}
    for place in places:
        for name, instruction in _known(place).items():
            if found.setdefault(name, instruction) != instruction:
                raise InputError(
                    f"{place} has another instruction for {name!r} than a folder before it, {instruction!r} and "
                    f"{found[name]!r}: compare answers to the same, or give --instructions."
                )
    return found


def _known(place: Path) -> dict[str, str]:
    index = place if place.is_file() else place / INDEX[0]
    if index.is_file():
        rows = ((origin, row) for origin, row in read_jsonl(index) if row.get(_INSTRUCTION))
        return {cell(origin, row, "id"): cell(origin, row, _INSTRUCTION) for origin, row in rows}
    records = sorted(place.glob(f"*/{RECORD}")) if place.is_dir() else []
    said = {record.parent.name: _asked(read_json(record)) for record in records}
    return {name: instruction for name, instruction in said.items() if instruction}


def _asked(record: Any) -> str:
    settings = record.get("settings") if isinstance(record, Mapping) else None
    said = settings.get(_INSTRUCTION) if isinstance(settings, Mapping) else None
    return said if isinstance(said, str) else ""


def usual_questions(clips: Sequence[str], instructions: Mapping[str, str]) -> tuple[Question, ...]:
    """AID's three questions, without the one about the instruction where no instruction is known.

    Raises:
        InputError: the instructions of some clips alone are known.
    """
    lacking = [clip for clip in clips if clip not in instructions]
    if not lacking:
        return QUESTIONS
    if len(lacking) < len(clips):
        shown = ", ".join(map(repr, lacking[:_NAMED]))
        raise InputError(
            f"{len(lacking)} of {len(clips)} clips have no instruction ({shown} first): give all of them by "
            "--instructions, or questions of your own that need none."
        )
    return tuple(question for question in QUESTIONS if question.key != _INSTRUCTION)
