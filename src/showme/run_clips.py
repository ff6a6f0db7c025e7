"""What a run reads, kept in its folder: it is resumed with the same clips, instructions and model, or not at all.

::

    clips.jsonl   {"model": ..., "device": ...}, and a line for every clip, in the order of training:
                  {"id": ..., "instruction": ..., "span": ..., "files": ..., "latents": [...]}

``instruction`` is what the model reads; where the annotation says it in other words, these stand in ``written``.
``files`` is the clip's name in the cache, which changes when a file is copied or written anew. Whether its pixels did
as well, ``latents`` shows: checksums of what the codec made of them, one for each draw.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from .data.media.base import span_identity
from .data.rows import ClipRows
from .data.sources.lists import write_lines
from .data.sources.record import Record
from .data.sources.tables import read_jsonl
from .errors import InputError, ShowMeWarning
from .training import CHECKPOINTS

CLIPS = "clips.jsonl"
# Characters of a fingerprint that are kept: data sets have many clips.
_FILES = 16


class RunClips:
    """The clips of a run beside those that it was begun with.

    Args:
        folder: of the run.
        rows: what is read now.
        model: hash of the model that is tuned.

    Raises:
        InputError: the run was begun with other clips, instructions or spans, in another order, or with another model.
    """

    def __init__(self, folder: Path, rows: ClipRows, model: str):
        self.folder, self.rows, self.head = folder, rows, {"model": model}
        self.before = _read(folder / CLIPS)
        if self.before is None:
            if any((folder / CHECKPOINTS).glob("step-*")):
                self._warn("its beginning kept no record of its clips: whether these are the same cannot be told")
            return
        head, clips = self.before
        if head["model"] != model:
            raise self._refusal("another model of the same name")
        differences = _differences(clips, {record.id: _words(record) for record in rows.records})
        if differences:
            raise self._refusal(f"other clips ({', '.join(differences)})")

    def check_pixels(self, checksum: Callable[[int], int], device: torch.device) -> None:
        """Refuse clips whose files were written anew with other pixels.

        Args:
            checksum: row -> that of its latents in the cache.
            device: that computes latents; another rounds otherwise.

        Raises:
            InputError: there is such a clip.
        """
        self._checksum, self.head["device"] = checksum, _name(device)
        if self.before is None:
            return
        head, clips = self.before
        records = [self.rows.records[number] for number in self.written]
        others = [
            record.id
            for number, record in zip(self.written, records, strict=True)
            if clips[record.id]["latents"] != self._latents(number)
        ]
        if others and head["device"] == self.head["device"]:
            raise self._refusal(f"other clips ({_counted(others, 'other pixels')})")
        if others:
            self._warn(
                f"it was begun on another device, and the files of {len(others)} clips, such as {others[0]!r}, were "
                "written anew: whether their pixels are the same cannot be told"
            )

    @cached_property
    def written(self) -> list[int]:
        """Numbers of the clips whose files are others than at the beginning, by their names, sizes or times."""
        clips = {} if self.before is None else self.before[1]
        return [number for number, line in enumerate(clips.values()) if line["files"] != self._files(number)]

    def keep(self) -> None:
        """Write the record, where the run begins; of several processes the first does."""
        if self.before is None and os.environ.get("RANK", "0") == "0":
            clips = (
                _words(record) | {"files": self._files(number), "latents": self._latents(number)}
                for number, record in enumerate(self.rows.records)
            )
            write_lines(self.folder / CLIPS, [self.head, *clips])

    def _files(self, number: int) -> str:
        return self.rows.identities[number * self.rows.draws][:_FILES]

    def _latents(self, number: int) -> list[int]:
        draws = self.rows.draws
        return [self._checksum(row) for row in range(number * draws, (number + 1) * draws)]

    def _refusal(self, reason: str) -> InputError:
        return InputError(
            f"{self.folder} was begun with {reason}: give the old ones back, or start anew in another folder (out)."
        )

    def _warn(self, reason: str) -> None:
        warnings.warn(f"{self.folder} goes on, but {reason}.", ShowMeWarning, stacklevel=3)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]] | None:
    """The first line, and the others by id; None where nothing was kept."""
    if not path.exists():
        return None
    lines = [line for _, line in read_jsonl(path)]
    try:
        return {name: lines[0][name] for name in ("model", "device")}, {line["id"]: line for line in lines[1:]}
    except (IndexError, KeyError) as error:
        raise InputError(f"{path} is no record of a run's clips: remove it to go on without comparing them.") from error


def _name(device: torch.device) -> str:
    """What decides how latents are rounded."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return f"{device.type} {name}, torch {torch.__version__}"


def _words(record: Record) -> dict[str, Any]:
    words = {"id": record.id, "instruction": record.instruction, "span": span_identity(record.span)}
    return words | ({"written": record.written} if record.written not in ("", record.instruction) else {})


def _differences(before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How two sets of clips differ, in words."""
    new, gone = [name for name in now if name not in before], [name for name in before if name not in now]
    differences = [_counted(new, "been added"), _counted(gone, "been removed")]
    for field in ("instruction", "span"):
        changed = [name for name in now if name in before and now[name][field] != before[name][field]]
        differences.append(_counted(changed, f"another {field}"))
        if changed:
            today, then = (_as_written(clips[changed[0]], field) for clips in (now, before))
            differences[-1] += f", {today!r} in place of {then!r}"
    differences = [each for each in differences if each]
    return differences or (["in another order"] if list(before) != list(now) else [])


def _as_written(clip: Mapping[str, Any], field: str) -> Any:
    return clip.get("written", clip[field]) if field == "instruction" else clip[field]


def _counted(names: Sequence[str], what: str) -> str:
    """``2 have been added, such as '7'``; nothing of none."""
    return f"{len(names)} {'has' if len(names) == 1 else 'have'} {what}, such as {names[0]!r}" if names else ""
