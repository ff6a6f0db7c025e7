"""What a user asks for, and every check of it that needs no file and no network."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from ..arguments import MAX_SEED, check_number, check_whole
from ..errors import InputError
from ..long_text import LONG_INSTRUCTIONS, LongInstructions
from ..quantization import Precision

TASKS = ("image", "video")
FITS = ("crop", "pad")
CAPTIONERS = ("tabletop", "transformers", "server")
MAX_STEPS = 1_000
MAX_FRAMES = 256
MAX_GUIDANCE = 100.0
MAX_MOTION = 1_000.0
MAX_CLIPS = 1_000
_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True)
class GenerateRequest:
    """One photo, one instruction, and how to answer; None leaves a number to the model.

    image: a picture file. instruction: one sentence. model: ``embedded``, a bundle's folder or a hub id. task:
    ``image``, ``video``, ``both`` or ``image,video``; all that the model makes when None. out: folder for the results.
    seed: 0 or more. steps: denoising steps per task. guidance: w; 1 turns it off. frames: of the video. fit: ``crop``
    or ``pad``. device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; a GPU when there is one when None. goal: the video is to
    end with the picture of the result; both are made, by a model that was trained for it. long_instructions: what
    becomes of an instruction that is longer than the model reads: ``cut`` its end off, ``chunk`` reads it in parts,
    ``refuse``; None: as the model does. region: a picture file, white where the action happens, or ``white`` for
    everywhere; None: the model finds it, where it can. motion: its strength, of models that were trained with one.
    enrich: the captioner that says how the action is done, which the model then reads in place of the instruction.
    states: who says what lies between beginning and end, of models that read it: a captioner, or a text file with a
    sentence in each line; ``none``. clips: of the video, each going on from the last frames of the one before. then:
    the instructions of the clips after the first; the last one holds for the others. weights: what the networks are
    kept in, ``fp32``, ``bf16``, ``fp8``, ``int8`` or ``int4``; None: as the model is stored, on a CPU fp32. offload: of
    models that can, the denoiser's blocks wait in main memory for their turn.
    """

    image: Path
    instruction: str
    model: str = "embedded"
    task: str | None = None
    out: Path = Path("showme-out")
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    frames: int | None = None
    fit: str = "crop"
    device: str | None = None
    goal: bool = False
    long_instructions: LongInstructions | None = None
    region: str | None = None
    motion: float | None = None
    enrich: str | None = None
    states: str | None = None
    clips: int = 1
    then: tuple[str, ...] = ()
    weights: str | None = None
    offload: bool = False

    @property
    def instructions(self) -> tuple[str, ...]:
        """Of every clip: those that were given, and the last of them for the others."""
        given = (self.instruction, *self.then)
        return given + given[-1:] * (self.clips - len(given))


def check_request(request: GenerateRequest) -> None:
    """Check the settings, as far as they need no model.

    Raises:
        InputError: the first setting that cannot be.
    """
    tasks = TASKS if request.task is None else parse_tasks(request.task)
    if request.fit not in FITS:
        raise InputError(f"--fit {request.fit!r}: choose crop or pad.")
    check_whole("--seed", request.seed, 0, MAX_SEED)
    check_whole("--steps", request.steps, 1, MAX_STEPS)
    check_whole("--frames", request.frames, 1, MAX_FRAMES)
    check_number("--guidance", request.guidance, 0, MAX_GUIDANCE, note=" (1 turns it off)")
    check_number("--motion", request.motion, 0, MAX_MOTION)
    check_whole("--clips", request.clips, 1, MAX_CLIPS)
    _check_long(request, tasks)
    if request.device is not None and not _DEVICE.fullmatch(request.device):
        raise InputError(f"--device {request.device!r}: choose cpu, cuda, cuda:N or mps.")
    if request.long_instructions not in (None, *LONG_INSTRUCTIONS):
        raise InputError(f"--long-instructions {request.long_instructions!r}: choose {', '.join(LONG_INSTRUCTIONS)}.")
    if request.weights is not None and request.weights not in get_args(Precision):
        raise InputError(f"--weights {request.weights!r}: choose {', '.join(get_args(Precision))}.")
    if request.offload and request.weights == "int4":
        raise InputError("--offload moves weights, and int4's cannot be: choose --weights int8, fp8 or bf16.")
    if request.goal and len(tasks) < len(TASKS):
        raise InputError("--goal lets the video end with the picture of the result: ask for --task both.")


def _check_long(request: GenerateRequest, tasks: Sequence[str]) -> None:
    """Refuse what does not go with several clips, or with one.

    Raises:
        InputError: the first of these.
    """
    if len(request.then) >= request.clips:
        if request.clips == 1:
            raise InputError("--then is the instruction of a further clip: say with --clips how many there are.")
        raise InputError(
            f"{len(request.then)} instructions were given with --then for {request.clips - 1} further clips: give "
            "fewer, or raise --clips."
        )
    if request.clips == 1:
        return
    if "video" not in tasks:
        raise InputError("--clips is for videos: ask for --task video.")
    of_one = request.states is not None and request.states != "none" and not is_captioner(request.states)
    for name, given in (("--goal", request.goal), ("--region", request.region), ("a file of --states", of_one)):
        if given:
            raise InputError(f"{name} is for a video of one clip: leave it out, or leave --clips out.")


def is_captioner(name: str) -> bool:
    """Whether a name is that of a captioner, and no file."""
    return name.partition(":")[0] in CAPTIONERS


def tasks_of(request: GenerateRequest, model: str, made: Sequence[str]) -> tuple[str, ...]:
    """The tasks that are asked for, in the order of their making.

    Args:
        request: what is asked for.
        model: its name.
        made: what it makes.

    Raises:
        InputError: another task.
    """
    tasks = tuple(made) if request.task is None else parse_tasks(request.task)
    for task in tasks:
        if task not in made:
            raise InputError(f"The model {model} makes no {task}: ask for --task {','.join(made)}.")
    return tasks


def parse_tasks(text: str) -> tuple[str, ...]:
    """``both``, or names separated by commas -> tasks, each once, the picture first.

    Raises:
        InputError: a name that is no task, or none at all.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in (*TASKS, "both"):
            near = difflib.get_close_matches(name, (*TASKS, "both"), n=1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise InputError(f"There is no task {name!r}{meant}: choose image, video or both.")
    if not names:
        raise InputError("--task is empty: choose image, video or both.")
    return tuple(task for task in TASKS if task in names or "both" in names)
