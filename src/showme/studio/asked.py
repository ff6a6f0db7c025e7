"""What a visitor asks for, as it is kept with a run: enough to ask the same again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import InputError
from ..generation.region import WHITE
from ..generation.request import GenerateRequest, check_request
from .settings import StudioSettings

MOST_MODELS = 2
# As photos are kept: a hash, and the ending of their format.
_KEPT = re.compile(r"[0-9a-f]{32}\.[a-z0-9]{1,8}")
PHOTOS = "photos"


class Asked(BaseModel):
    """A job. photo, region: names of files in the studio's photos. The others as for ``showme generate``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    photo: str = Field(pattern=_KEPT)
    instruction: str = Field(min_length=1)
    models: tuple[str, ...] = Field(("embedded",), min_length=1, max_length=MOST_MODELS)
    task: Literal["image", "video", "both"] = "both"
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    fit: Literal["crop", "pad"] = "crop"
    goal: bool = False
    clips: int = 1
    then: tuple[str, ...] = ()
    motion: float | None = None
    region: str | None = Field(None, description="a kept picture, or white for everywhere; None: the model's own")

    @property
    def sentences(self) -> str:
        """All instructions, in a line."""
        return ", then ".join((self.instruction, *self.then))


def is_kept(name: str) -> bool:
    """Whether a name is one that a kept photo has."""
    return _KEPT.fullmatch(name) is not None


def ask(settings: StudioSettings, **fields: object) -> Asked:
    """What a visitor asks for, checked as far as that needs no model.

    Raises:
        InputError: a setting that cannot be, or is more than this studio gives.
    """
    try:
        asked = Asked.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "job"
        raise InputError(f"--{name} {str(first['input'])[:40]!r}: {first['msg']}.") from error
    if asked.region not in (None, WHITE) and not _KEPT.fullmatch(asked.region):
        raise InputError(f"--region {asked.region[:40]!r} is no picture of this studio: paint it again.")
    for name, value, most in (("steps", asked.steps, settings.max_steps), ("clips", asked.clips, settings.max_clips)):
        if value is not None and value > most:
            raise InputError(f"--{name} {value}: this studio gives {most} at most.")
    check_request(request_of(asked, asked.models[0], Path("out"), settings.device))
    return asked


def request_of(asked: Asked, model: str, out: Path, device: str | None) -> GenerateRequest:
    """The same for :func:`showme.generation.run.generate`; paths are relative to the studio's folder."""
    region = asked.region if asked.region in (None, WHITE) else f"{PHOTOS}/{asked.region}"
    return GenerateRequest(
        image=Path(PHOTOS) / asked.photo,
        instruction=asked.instruction,
        model=model,
        # Of one that makes videos alone, or of two that differ, each makes what it can.
        task=None if asked.task == "both" else asked.task,
        out=out,
        seed=asked.seed,
        steps=asked.steps,
        guidance=asked.guidance,
        fit=asked.fit,
        device=device,
        goal=asked.goal,
        region=region,
        motion=asked.motion,
        clips=asked.clips,
        then=asked.then,
    )
