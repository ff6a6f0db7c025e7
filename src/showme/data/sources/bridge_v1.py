"""BridgeData (arXiv 2109.13396) as Seer (arXiv 2303.14897) reads it: a folder of pictures per clip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ...errors import InputError
from ..media import Pictures
from ..media.companions import visible
from ..media.pictures import SUFFIXES, natural_order
from .base import Source, check_folder, inside
from .faults import entries_of_rows
from .record import Entry, Record
from .tables import read_json

LICENCE = "CC BY 4.0 (BridgeData)"
LIST = "path_id_bridgedata.txt"
_FRAMES = "rawframes"
_TRAIN_SHARE = 0.8
_DEPTH = 6
_CLIP = re.compile(r"[^/]+/[^/]+")


class BridgeV1Source(Source):
    """Clips ``<task>/<number>/im_0.jpg``, under ``path`` or its ``rawframes``; the task is the instruction.

    Seer's list of clips is shuffled; its first 80 percent are for training, the others for validation. Seer takes the
    pictures in whatever order the file system has; here they go by the numbers in their names.
    """

    kind: Literal["bridge_v1"] = Field(description="BridgeData V1, arranged as for Seer")
    path: Path = Field(description="folder of the task folders, or the one that holds rawframes")
    annotations: Path | None = Field(
        None, description=f"Seer's list of clips; null: {LIST} in the folder, or else all clips there are"
    )
    camera: str | None = Field(
        None, description="folder in each clip's, such as images0; null: its own, or the only one that there is"
    )
    pattern: str | None = Field(
        None, description="names of the pictures that count, such as rgb_*.png; null: the one series that there is"
    )
    split: Literal["train", "validation"] | None = Field(None, description="clips of this split alone; null: all")
    fps: float | None = Field(5.0, gt=0, description="frames per second; BridgeData's robots were steered at 5")

    @property
    def place(self) -> Path:
        """The list, or the folder."""
        beside = self.path / LIST
        return self.annotations or (beside if beside.is_file() else self.path)

    def entries(self) -> Iterator[Entry]:
        check_folder(self.path, "clips")
        root = self.path / _FRAMES if (self.path / _FRAMES).is_dir() else self.path

        def entries_of(origin: str, row: tuple[Any, str | None]) -> Iterator[Record]:
            name, split = row
            if self.split is not None and split != self.split:
                return
            if not isinstance(name, str) or not _CLIP.fullmatch(name):
                raise InputError(f"{origin}: {str(name)[:200]!r} is not 'task/number': correct it.")
            yield Record(
                id=name,
                media=Pictures(self._pictures(root, name, origin), fps=self.fps, only=self.pattern, data_set=self.path),
                instruction=task_prompt(name.split("/")[0], origin),
                split=split,
                licence=LICENCE,
                origin=origin,
            )

        rows = self._listed() if self.place != self.path else self._found(root)
        yield from entries_of_rows(rows, entries_of, lambda row: row[0] if isinstance(row[0], str) else None)

    def _listed(self) -> Iterator[tuple[str, tuple[Any, str]]]:
        names = read_json(self.place)
        if not isinstance(names, list):
            raise InputError(f"{self.place} is no JSON list of 'task/number': fetch Seer's {LIST} again.")
        for number, name in enumerate(names):
            split = "train" if number < int(_TRAIN_SHARE * len(names)) else "validation"
            yield f"{self.place}, entry {number + 1}", (name, split)

    def _found(self, root: Path) -> Iterator[tuple[str, tuple[str, None]]]:
        if self.split is not None:
            raise InputError(f"{self.path}: without {LIST} nobody knows the splits: fetch it, or leave split out.")
        for task in natural_order(each for each in visible(root) if each.is_dir()):
            for clip in natural_order(each for each in visible(task) if each.is_dir()):
                yield str(clip), (f"{task.name}/{clip.name}", None)

    def _pictures(self, root: Path, name: str, origin: str) -> Path:
        """The folder that holds a clip's pictures: its own, or further down."""
        if self.camera is not None:
            return inside(root, f"{name}/{self.camera}", origin)
        folder = inside(root, name, origin)
        for _ in range(_DEPTH):
            below = _folders_below(folder)
            if not below:
                break
            if len(below) > 1:
                several = ", ".join(each.name for each in below)
                raise InputError(f"{origin}: {folder} holds several folders ({several}, ...): say which as camera.")
            folder = inside(root, str(below[0].relative_to(root)), origin)
        return folder


def task_prompt(task: str, origin: str) -> str:
    """A task folder's name as a sentence: ``put_pot_in_sink_distractors`` -> ``put pot in sink``.

    Raises:
        InputError: nothing is left of it.
    """
    prompt = task.replace("_distractors", "").replace("_", " ").replace("-", " ").strip()
    if not prompt:
        raise InputError(f"{origin}: the task folder {task!r} says nothing: rename it.")
    return prompt


def _folders_below(folder: Path) -> list[Path]:
    """Up to two folders in one that holds no pictures itself, and is there."""
    if not folder.is_dir() or any(each.suffix.lower() in SUFFIXES for each in visible(folder)):
        return []
    return natural_order(islice((each for each in visible(folder) if each.is_dir()), 2))
