"""The models that a studio offers: embedded, the bundles in a folder, and those of the hub where it may fetch."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..bundle import INFO, open_bundle
from ..errors import InputError
from ..instruction import check_instruction, unknown_words, warnings_for
from ..methods import find_method

EMBEDDED = "embedded"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# Below a folder of models.
_DEPTH = 4
_MOST = 200


@dataclass(frozen=True)
class Understanding:
    """What a model takes, for a page to show.

    Attributes:
        name: of the model.
        size: (height, width) of its pictures.
        frames: of its videos.
        tasks: that it does.
        words: that it knows; None: it knows them all.
        examples: instructions that it was trained for.
        steps: its default number of denoising steps.
        takes_goal, takes_region, takes_motion: which of these it can be given.
    """

    name: str
    size: tuple[int, int]
    frames: int
    tasks: tuple[str, ...]
    words: tuple[str, ...] | None
    examples: tuple[str, ...]
    steps: int
    takes_goal: bool
    takes_region: bool
    takes_motion: bool


class Models:
    """Names of models and where they are.

    Args:
        root: folder whose bundles are offered by their path below it.
        hub: whether any id of the hub may be named too.
    """

    def __init__(self, root: Path, hub: bool):
        self.root, self.hub = root.absolute(), hub

    def names(self) -> list[str]:
        """Those that can be chosen, looked for anew each time: trainings end while a studio runs."""
        return [EMBEDDED, *sorted(path.relative_to(self.root).as_posix() for path in self._bundles())]

    def resolve(self, name: str) -> str:
        """What ``--model`` is given.

        Raises:
            InputError: there is no such model here.
        """
        if name == EMBEDDED:
            return name
        if name in self.names():
            return str(self.root / name)
        if self.hub and _HUB_ID.fullmatch(name):
            return name
        near = difflib.get_close_matches(name, self.names(), n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise InputError(f"There is no model {name[:80]!r} here{meant}: choose one of the list.")

    def understanding(self, name: str) -> Understanding:
        """What a model takes.

        Raises:
            InputError: there is no such model, or it is damaged.
        """
        files = open_bundle(self.resolve(name))
        method = find_method(files.info.method)

        def takes(check) -> bool:
            try:
                check(files)
            except InputError:
                return False
            return True

        info = files.info
        return Understanding(
            name=info.name,
            size=(info.height, info.width),
            frames=info.num_frames,
            tasks=tuple(method.tasks),
            words=info.vocabulary,
            examples=info.instruction_examples,
            steps=info.default_steps,
            takes_goal="image" in method.tasks and "video" in method.tasks and takes(method.check_goal),
            takes_region=takes(method.check_region),
            takes_motion=takes(method.check_motion),
        )

    def notes_on(self, name: str, instruction: str) -> list[str]:
        """What a user should know of the words of an instruction, while it is typed.

        Raises:
            InputError: no such model, or an instruction that cannot be.
        """
        files = _opened(self.resolve(name))
        known = files.info.known_words
        unknown = unknown_words(check_instruction(instruction), known.vocabulary, known.synonyms)
        return warnings_for(unknown, known.examples)

    def _bundles(self) -> Iterator[Path]:
        """Folders that hold a bundle's description, not too deep and not too many, links not followed."""
        found = 0
        for place, folders, files in os.walk(self.root):
            here = Path(place)
            depth = len(here.relative_to(self.root).parts)
            if INFO in files and depth:
                folders.clear()
                found += 1
                yield here
            folders[:] = [] if depth >= _DEPTH or found >= _MOST else [f for f in sorted(folders) if f[0] not in "._"]


@lru_cache(maxsize=16)
def _opened(model: str):
    """A bundle, kept: each letter of an instruction asks for it."""
    return open_bundle(model)
