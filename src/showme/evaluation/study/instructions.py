"""Instruction following: the same scenes, asked for something else."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ...data.cache.build import Progress
from ...data.media import Rendered
from ...data.sources.record import Record
from ...errors import InputError
from ...worlds.tabletop import Scene, wrong_instruction
from ..models import Generated
from ..pairs import ReferenceRows
from ..request import Request
from ..runner import Evaluation


class WronglyAsked(Evaluation):
    """An evaluation whose clips are asked for with wrong instructions; the true clips stay as they are.

    Metrics of pixels compare with what happens in the true clip, and fall where the model listens. Metrics of text read
    what was asked.
    """

    def __init__(self, request: Request, progress: Progress | None = None):
        super().__init__(request, progress)
        assert self.model is not None
        self.records = wrongly_asked(self.records, self.protocol.seed)
        self.reference = ReferenceRows(self.records, self.protocol, self.codec)
        self.candidate = Generated(self.model, self.reference, request.out, request.name, request.region)

    def _record(self) -> dict[str, Any]:
        return super()._record() | {"instructions": "wrong, by the world or by another clip"}


def wrongly_asked(records: Sequence[Record], seed: int) -> list[Record]:
    """The records with instructions that do not belong to them.

    Clips of the tabletop world are asked for another thing that their scene allows; of other clips each is asked what
    another one is asked, every instruction as often as before, and never its own.

    Args:
        records: the true clips.
        seed: of the exchange; the world's wrong instructions do not depend on it.

    Raises:
        InputError: a clip without an instruction, or more than half of them with the same.
    """
    scenes = [_scene(record) for record in records]
    if all(scene is not None for scene in scenes):
        wrong = [wrong_instruction(scene) for scene in scenes if scene is not None]
    else:
        wrong = _exchanged(records, seed)
    return [replace(record, instruction=text) for record, text in zip(records, wrong, strict=True)]


def _exchanged(records: Sequence[Record], seed: int) -> list[str]:
    """In rings of equal sentences, everyone takes that of as many places further on as the largest ring part holds."""
    alike: dict[str, list[int]] = defaultdict(list)
    for number in np.random.default_rng(seed).permutation(len(records)).tolist():
        record = records[number]
        if not record.instruction.strip():
            raise InputError(f"The true clip {record.id!r} has no instruction, and a wrong one is asked for: give one.")
        alike[" ".join(record.instruction.lower().split())].append(number)
    most = max(alike.values(), key=len)
    if 2 * len(most) > len(records):
        raise InputError(
            f"{len(most)} of the {len(records)} true clips are asked {records[most[0]].instruction[:100]!r}: for wrong "
            "instructions no more than half may be asked the same."
        )
    order = [number for numbers in alike.values() for number in numbers]
    wrong = [""] * len(records)
    for place, number in enumerate(order):
        wrong[number] = records[order[(place + len(most)) % len(order)]].instruction
    return wrong


def _scene(record: Record) -> Scene | None:
    """The scene of a clip of the tabletop world; None for another clip."""
    if not isinstance(record.media, Rendered):
        return None
    try:
        with safe_open(str(record.media.path), "numpy") as file:
            return Scene.from_dict(json.loads((file.metadata() or {})["scene"]))
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RecursionError):
        return None
