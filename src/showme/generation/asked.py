"""What a chat model is asked about the photo: how the action is done, and what lies between beginning and end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import InputError, absent
from ..user_cache import cache_folder
from .request import is_captioner

NONE = "none"
_MOST_BYTES = 64 * 1024


def enrich(instruction: str, first_frame: Image.Image, captioner: str) -> str:
    """``--enrich``: LEGO's question (arXiv 2312.03849), as IVG asks it (arXiv 2412.04189, section 3.1.1).

    Args:
        instruction: as the user wrote it.
        first_frame: what the model sees of the photo.
        captioner: ``transformers:MODEL``, ``server:ADDRESS#MODEL``, or ``tabletop`` for the rendered world.

    Raises:
        InputError: no such captioner, or no answer that can be used.
        OutsideError: a server that does not answer.
    """
    from ..perception.captions import ENRICHMENT

    return " ".join(_answer(captioner, ENRICHMENT, first_frame, instruction).split())


def states_of(instruction: str, first_frame: Image.Image, source: str) -> tuple[str, ...]:
    """``--states``: AID's question (arXiv 2406.06465, figure 14), or a file with a sentence in each line.

    Args:
        instruction, first_frame: as there.
        source: a captioner as there, a file, or ``none``.

    Returns:
        The sentences; nothing for ``none``.

    Raises:
        InputError: as there, or a file that is not there, empty, or no text.
    """
    if source == NONE:
        return ()
    if not is_captioner(source):
        return _read(Path(source))
    from ..perception.captions import STATES

    return tuple(_answer(source, STATES, first_frame, instruction))


def _answer(captioner: str, prompt: Any, picture: Image.Image, instruction: str) -> Any:
    """The answer, which is kept in the user's cache."""
    # Imported here: captioners of one kind need torch, and refusals should not wait for it.
    from ..perception import captioner as named
    from ..perception.captions import AnswerStore, ask

    return ask(named(captioner), prompt, picture, instruction, AnswerStore(cache_folder() / "captions"))


def _read(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise InputError(f"{absent(path, 'states file')}: give a text file, a captioner such as tabletop, or none.")
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MOST_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--states {path} is no text in UTF-8: write a sentence in each line.") from error
    lines = tuple(" ".join(line.split()) for line in text.splitlines() if line.strip())
    if not lines or len(text) > _MOST_BYTES:
        what = "longer than 64 KB" if lines else "empty"
        raise InputError(f"--states {path} is {what}: write a sentence in each line, four as a rule.")
    return lines
