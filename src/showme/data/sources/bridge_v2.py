"""BridgeData V2 (arXiv 2308.12952): the raw trajectories as they are published.

::

    <...>/<data set>/<domain>/<task>/<number>/<date and time>/raw/traj_group0/traj0/images0/im_0.jpg
                                                                                    lang.txt

Robot states and actions lie beside as pickles, which are never opened.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from ...errors import InputError
from ..media import Pictures
from ..media.companions import visible
from ..media.pictures import natural_order
from .base import Source, check_folder, inside
from .bridge_v1 import task_prompt
from .faults import entries_of_rows
from .record import Entry, LeftOut, Record
from .tables import open_text

LICENCE = "CC BY 4.0 (BridgeData V2)"
FPS = 5.0
# Folders above ``raw`` are five or fewer; anything much deeper is another data set.
_DEPTH = 10
_MAX_TEXT = 2**16
_CONFIDENCE = re.compile(r"\s*confidence\s*:", re.IGNORECASE)


class BridgeV2Source(Source):
    """Every trajectory under ``path``, in natural order, with the instruction of its ``lang.txt``.

    The authors' conversion draws its validation set at random and unseeded, so no published split exists. Here a hash
    of a trajectory's path in ``path`` decides: the same on every machine, whatever else lies there.
    """

    noun: ClassVar[str] = "trajectories"

    kind: Literal["bridge_v2"] = Field(description="BridgeData V2, raw trajectories")
    path: Path = Field(description="folder of the data set, or any part of it")
    camera: int = Field(0, ge=0, le=9, description="which of images0, images1, ...")
    pattern: str | None = Field(
        None, description="names of the pictures that count, such as rgb_*.png; null: the one series that there is"
    )
    instructions: Literal["first", "each"] = Field(
        "first", description="of several for one trajectory; each: a record for each"
    )
    without: Literal["refuse", "task", "drop"] = Field(
        "refuse", description="trajectories without an instruction; task: their task folder's name is it"
    )
    split: Literal["train", "validation"] | None = Field(
        None, description="trajectories of this split alone; null: all"
    )
    validation: float = Field(0.1, ge=0, le=1, description="share of the validation split")

    @property
    def place(self) -> Path:
        """The folder."""
        return self.path

    def entries(self) -> Iterator[Entry]:
        check_folder(self.path, "data set")
        rows = ((str(folder), folder) for folder in _trajectories(self.path, _DEPTH))
        yield from entries_of_rows(rows, self._entries, self._name)

    def _name(self, folder: Path) -> str:
        return folder.relative_to(self.path).as_posix()

    def _entries(self, _: str, folder: Path) -> Iterator[Entry]:
        name = self._name(folder)
        split = "validation" if _hash(name) < self.validation else "train"
        if self.split is not None and split != self.split:
            return
        sentences = self._instructions(folder, name)
        if not sentences:
            yield LeftOut(name, "without an instruction")
        for number, sentence in enumerate(sentences, 1):
            yield Record(
                id=name if number == 1 else f"{name}#{number}",
                media=Pictures(
                    inside(self.path, f"{name}/images{self.camera}", str(folder)),
                    fps=FPS,
                    only=self.pattern,
                    data_set=self.path,
                ),
                instruction=sentence,
                split=split,
                licence=LICENCE,
                origin=str(folder),
            )

    def _instructions(self, folder: Path, name: str) -> list[str]:
        path = inside(self.path, f"{name}/lang.txt", str(folder))
        sentences = _read_language(path) if path.exists() else []
        if sentences:
            return sentences if self.instructions == "each" else sentences[:1]
        if self.without == "refuse":
            raise InputError(f"{path}: there is no instruction: write one there, or set without=task or without=drop.")
        return [task_prompt(_task(folder), str(folder))] if self.without == "task" else []


def _trajectories(folder: Path, depth: int) -> Iterator[Path]:
    """Folders ``raw/traj_group*/traj*`` somewhere below."""
    groups = _folders(folder / "raw", "traj_group") if (folder / "raw").is_dir() else []
    for group in groups:
        yield from _folders(group, "traj")
    if groups:
        return
    if not depth:
        raise InputError(f"{folder} lies deeper than BridgeData V2 goes: name the folder of the data set.")
    for child in _folders(folder):
        yield from _trajectories(child, depth - 1)


def _folders(folder: Path, prefix: str = "") -> list[Path]:
    found = natural_order(each for each in visible(folder) if each.name.startswith(prefix) and each.is_dir())
    for each in found:
        if each.is_symlink():
            raise InputError(f"{each} is a link: name the folder that it leads to as a source of its own.")
    return found


def _read_language(path: Path) -> list[str]:
    """The instructions of a ``lang.txt``, one a line; the annotators' confidence is passed over."""
    with open_text(path) as file:
        try:
            text = file.read(_MAX_TEXT + 1)
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 text: save it as UTF-8.") from error
    if len(text) > _MAX_TEXT:
        raise InputError(f"{path} has more than {_MAX_TEXT} characters: it is no list of instructions.")
    return [line.strip() for line in text.splitlines() if line.strip() and not _CONFIDENCE.match(line)]


def _task(trajectory: Path) -> str:
    """Name of the task folder: the last above the date that is no number."""
    folders = trajectory.resolve().parents[3:]
    return next((folder.name for folder in folders if not re.fullmatch(r"\d+", folder.name)), "")


def _hash(name: str) -> float:
    """A number in [0, 1) that belongs to a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
