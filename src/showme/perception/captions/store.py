"""Answers that are kept: asked once, read ever after.

::

    captions/3f/3f21a0c4...e6.json   {"key": {...}, "raw": "1. The ball ...", "answer": ["The ball ...", ...]}

One small file per question, named by the SHA-256 of everything that decides the answer and written in one step. Any
number of processes may share the folder, and a run that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ...errors import InputError
from .answers import AnswerError
from .prompts import Answer, Captioner, Prompt

# Far above the largest answer that parses; a larger file was not written here.
_MAX_BYTES = 2**20


@dataclass(frozen=True)
class AnswerKey:
    """Everything that decides an answer; picture: SHA-256 of the size and the RGB pixels."""

    captioner: str
    prompt: str
    text: str
    picture: str
    instruction: str

    @classmethod
    def of(cls, captioner: Captioner, prompt: Prompt, picture: Image.Image, instruction: str) -> AnswerKey:
        """The key of a question about an RGB picture."""
        pixels = hashlib.sha256(f"{picture.width}x{picture.height} ".encode() + picture.tobytes()).hexdigest()
        return cls(captioner.name, prompt.name, prompt.text, pixels, instruction)

    @property
    def digest(self) -> str:
        """64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


class AnswerStore:
    """The folder of answers; made when the first is written."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def path(self, key: AnswerKey) -> Path:
        """Of the answer's file, whether or not it is there."""
        return self.folder / key.digest[:2] / f"{key.digest}.json"

    def read(self, key: AnswerKey, parser: Callable[[str], Answer]) -> Answer | None:
        """The parsed answer; None where there is none, or a damaged one.

        The raw answer is parsed again and must say what was stored beside it.

        Raises:
            InputError: the file cannot be opened.
        """
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise InputError(f"The stored answer {path} cannot be read ({error.strerror}): mend its rights.") from error
        if len(data) > _MAX_BYTES:
            return None
        try:
            entry = json.loads(data)
            if entry["key"] != asdict(key):
                return None
            answer = parser(entry["raw"])
            return answer if _plain(answer) == entry["answer"] else None
        except (AnswerError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def write(self, key: AnswerKey, raw: str, answer: Any) -> None:
        """Keep an answer, in place of any that is there.

        Raises:
            InputError: the folder cannot be written to.
        """
        path = self.path(key)
        entry = {"key": asdict(key), "raw": raw, "answer": answer}
        # Two processes may write the same answer at once, each a file of its own.
        staged = path.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                staged.write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")
                staged.replace(path)
            finally:
                staged.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(
                f"The answer cannot be written to {self.folder} ({error.strerror}): choose a folder that can be "
                "written to, or make room there."
            ) from error


def ask(
    captioner: Captioner,
    prompt: Prompt[Answer],
    picture: Image.Image,
    instruction: str,
    store: AnswerStore,
    attempts: int = 3,
    clip: str | None = None,
) -> Answer:
    """The answer from the store, or else from the captioner; one that parses is kept.

    Args:
        captioner: who is asked.
        prompt: what is asked.
        picture: of any mode; the captioner sees RGB.
        instruction: what the clip shows.
        store: of answers.
        attempts: how often to ask until an answer parses, at least once.
        clip: its id, for messages.

    Raises:
        InputError: no answer was usable, the captioner cannot be asked, or the store not be used.
        ValueError: no attempts.
    """
    if attempts < 1:
        raise ValueError(f"a captioner is asked once at least, not {attempts} times.")
    picture = picture.convert("RGB")
    key = AnswerKey.of(captioner, prompt, picture, instruction)
    kept = store.read(key, prompt.parser)
    if kept is not None:
        return kept
    faults: list[AnswerError] = []
    for attempt in range(attempts):
        try:
            raw = captioner.answer(picture, prompt, instruction, attempt)
            answer = prompt.parser(raw)
        except AnswerError as error:
            faults.append(error)
            continue
        store.write(key, raw, answer)
        return answer
    where = "" if clip is None else f" for clip {clip}"
    times = "once" if attempts == 1 else f"{attempts} times"
    raise InputError(
        f"{captioner.name} was asked for {prompt.name}{where} {times} and its last answer cannot be used because "
        f"{faults[-1]}: choose another model, or leave the clip out."
    ) from faults[-1]


def _plain(answer: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(answer))
