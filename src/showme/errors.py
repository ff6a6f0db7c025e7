"""The errors that say: what the user gave cannot be used."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from pathlib import Path

_FETCH_AGAIN = "fetch it again, or leave it out"


class InputError(ValueError):
    """The input is at fault, not the program; the command line answers with exit code 2.

    The message is one sentence that names the file or the setting and says what to do.
    """


class ConversionError(InputError):
    """A checkpoint's keys or shapes do not fit the network they should fill; the message names them."""


class OutsideError(RuntimeError):
    """Something outside failed that another time, or another network, may not; exit code 1. One sentence as well."""


class ShowMeWarning(UserWarning):
    """Something that a user should know and that stops nothing; the message is one sentence.

    Attributes:
        about: what it is about; of several about one thing the first is enough.
    """

    def __init__(self, sentence: str, about: Hashable = None):
        super().__init__(sentence)
        self.about = sentence if about is None else about


_warned: set[Hashable] = set()


def warn_once(about: Hashable, sentence: str) -> None:
    """Warn, the first time that this process has something to say about a thing, such as all clips of a data set."""
    if about not in _warned:
        _warned.add(about)
        warnings.warn(ShowMeWarning(sentence, about), stacklevel=3)


class InstructionWarning(ShowMeWarning):
    """Something in an instruction that a model does not read."""


class TruncationWarning(InstructionWarning):
    """The end of an instruction is not read."""


class ClipError(InputError):
    """A clip that cannot be read.

    Attributes:
        path: of the file.
        time: seconds from the clip's start to where it went wrong; None where there is no such place.
    """

    def __init__(self, path: str | Path, reason: str, time: float | None = None, remedy: str = _FETCH_AGAIN):
        self.path, self.time = Path(path), time
        place = "" if time is None else f" at {time:.3f} s"
        super().__init__(f"{path} cannot be read as a clip{place} ({reason}): {remedy}.")


def absent(path: str | Path, what: str = "file") -> str:
    """The beginning of a sentence about a path where ``what`` should be: that nothing is there, or what is instead."""
    try:
        folder, there = Path(path).is_dir(), Path(path).exists()
    except (OSError, ValueError):
        folder = there = False
    if not there:
        return f"There is no {what} {path}"
    return f"{path} is a {'folder' if folder else 'file'}, no {what}"


def first_line(error: Exception) -> str:
    """The beginning of what an error of another library says, to stand in brackets in a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".")[:200] if lines else type(error).__name__
