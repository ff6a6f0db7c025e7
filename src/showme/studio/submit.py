"""From what a visitor filled in to a job in the queue, with each error at the field that it is about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from ..errors import InputError
from ..generation.region import WHITE
from ..instruction import check_instruction
from .asked import ask
from .photos import keep_photo, keep_region
from .queue import Job
from .studio import Studio

Field = Literal["photo", "instruction", "models", "region", "settings"]
OWN, EVERYWHERE, PAINTED = "own", "everywhere", "painted"
# Where a sentence begins with one.
_OPTION = re.compile(r"^--([a-z-]+)")


class FieldError(InputError):
    """An error at a field of the form.

    Attributes:
        field: which.
    """

    def __init__(self, field: Field, sentence: str):
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True)
class Form:
    """What was filled in.

    photo: the uploaded file. region: ``own``, ``everywhere`` or ``painted``, and then mask is the painting, bright
    where the action happens. then: instructions of further clips, one in each line. The others as in
    :class:`.asked.Asked`.
    """

    photo: str | None
    instruction: str
    models: tuple[str, ...]
    task: str = "both"
    seed: float | None = 0
    steps: float | str | None = None
    guidance: float | str | None = None
    fit: str = "crop"
    goal: bool = False
    clips: float | None = 1
    then: str = ""
    motion: float | str | None = None
    region: str = OWN
    mask: Image.Image | None = None


def submit(studio: Studio, owner: str, form: Form) -> Job:
    """Put a job into the queue.

    Raises:
        FieldError: what cannot be used, and where.
        InputError: the queue is full, or this studio only shows.
    """
    if studio.settings.demo:
        raise InputError("This studio shows what was made and makes nothing new.")
    with _at("instruction"):
        instruction = check_instruction(form.instruction)
        then = tuple(check_instruction(line) for line in form.then.splitlines() if line.strip())
    with _at("models"):
        if not form.models:
            raise InputError("No model is chosen: choose one, or two to compare.")
        for name in form.models:
            studio.models.resolve(name)
    with _at("photo"):
        if form.photo is None:
            raise InputError("There is no photo: upload, paste or take one, or choose an example.")
        photo = keep_photo(studio.upload(form.photo), studio.photos, studio.settings)
    with _at("region"):
        region = _region(studio, form, photo)
    with _at("settings"):
        asked = ask(
            studio.settings,
            photo=photo,
            instruction=instruction,
            models=form.models,
            task=form.task,
            seed=_given(_whole("seed", form.seed), 0),
            steps=_whole("steps", form.steps),
            guidance=_number("guidance", form.guidance),
            fit=form.fit,
            goal=form.goal,
            clips=_given(_whole("clips", form.clips), 1),
            then=then,
            motion=_number("motion", form.motion),
            region=region,
        )
    return studio.queue.add(owner, asked)


class _at:  # noqa: N801 (a context manager that reads as a preposition)
    """Errors inside are about a field."""

    def __init__(self, field: Field):
        self.field = field

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError) and not isinstance(error, FieldError):
            sentence = str(error)
            raise FieldError(_named(sentence) or self.field, _OPTION.sub(_label, sentence, count=1)) from error


def _label(option: re.Match[str]) -> str:
    """What the form calls an option of the command line."""
    return option[1].capitalize().replace("-", " ")


def _named(sentence: str) -> Field | None:
    """The field of the option that a sentence is about."""
    found = _OPTION.match(sentence)
    if found is None:
        return None
    fields: dict[str, Field] = {"region": "region", "models": "models", "model": "models", "photo": "photo"}
    return fields.get(found[1], "settings")


def _region(studio: Studio, form: Form, photo: str) -> str | None:
    if form.region == EVERYWHERE:
        return WHITE
    if form.region != PAINTED:
        return None
    if form.mask is None:
        raise InputError("No region is painted: paint where the action happens, or leave it to the model.")
    size = studio.models.understanding(form.models[0]).size
    return keep_region(form.mask, photo, studio.photos, size, form.fit)


def _given(value: int | None, default: int) -> int:
    return default if value is None else value


def _number(name: str, value: float | str | None) -> float | None:
    """A field's number; nothing was filled in: None.

    Raises:
        InputError: it is none.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        return float(value)
    except ValueError as error:
        raise InputError(f"--{name} {str(value)[:40]!r}: give a number, or nothing for the model's own.") from error


def _whole(name: str, value: float | str | None) -> int | None:
    number = _number(name, value)
    if number is None:
        return None
    # Browsers send 3.0 for 3; neither inf nor nan is a number of anything.
    if not number.is_integer():
        raise InputError(f"--{name} {number:g}: give a whole number.")
    return int(number)
