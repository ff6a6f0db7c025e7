"""What is asked for, checked: everything that the model and the page need, found before torch is imported."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from PIL import Image

from ..bundle import BundleFiles, BundleInfo, open_bundle
from ..instruction import check_instruction, note_on_length, prompt_for, unknown_words, warnings_for
from ..methods import find_method
from ..pictures.fit import Fit, fit_photo
from ..pictures.photo import Photo, open_photo
from . import folder
from .asked import enrich, states_of
from .familiarity import is_unfamiliar
from .region import read_region
from .request import GenerateRequest, check_request, tasks_of


@dataclass(frozen=True)
class Prepared:
    """The checked input.

    Attributes:
        instructions, prompts, states: of every clip of the video; prompts are what the model reads.
    """

    request: GenerateRequest
    tasks: tuple[str, ...]
    instructions: tuple[str, ...]
    prompts: tuple[str, ...]
    states: tuple[tuple[str, ...] | None, ...]
    photo: Photo
    first_frame: Image.Image
    fit: Fit
    files: BundleFiles
    notes: tuple[str, ...]
    region: Image.Image | str | None = None

    @property
    def instruction(self) -> str:
        """Of the picture, and of the first clip."""
        return self.instructions[0]

    @property
    def scalar(self) -> float | None:
        """Frame stride, frames per second or motion strength."""
        return self.files.info.default_scalar if self.request.motion is None else self.request.motion


def prepare(request: GenerateRequest) -> Prepared:
    """Everything that can be refused, cheapest first."""
    check_request(request)
    instructions = tuple(check_instruction(each) for each in request.instructions)
    folder.check_folder(request.out, request.image)
    photo = open_photo(request.image)
    files = open_bundle(request.model)
    info = files.info
    method = find_method(info.method)
    method.check_backbone(files)
    tasks = tasks_of(request, info.name, method.tasks)
    if request.goal:
        method.check_goal(files)
    if request.motion is not None:
        method.check_motion(files)
    if request.states is not None:
        method.check_states(files)
    first_frame, fit = fit_photo(photo.image, info.height, info.width, request.fit)
    region = None
    if request.region is not None:
        method.check_region(files)
        region = read_region(request.region, photo.image, (info.height, info.width), request.fit)
    # Last of all that asks others: what can be refused without a chat model is refused without one.
    said = [each if request.enrich is None else enrich(each, first_frame, request.enrich) for each in instructions]
    states = [None if request.states is None else states_of(each, first_frame, request.states) for each in instructions]
    prompts = [prompt_for(each, info.vocabulary, info.synonyms) for each in said]
    lengths = [note_on_length(prompt, files.path, request.long_instructions) for prompt in prompts]
    unknown = [word for each in said for word in unknown_words(each, info.vocabulary, info.synonyms)]
    shape = [fit.words] if fit.changed else []
    notes = [*photo.notes, *shape, *warnings_for(list(dict.fromkeys(unknown)), info.instruction_examples)]
    if is_unfamiliar(first_frame, info.familiarity):
        notes.append(_outside(request, info))
    if "video" in tasks and request.frames not in (None, info.num_frames):
        notes.append(f"The model was trained on videos of {info.num_frames} frames, not {request.frames}.")
    notes += [length for length in dict.fromkeys(lengths) if length is not None]
    return Prepared(
        request,
        tasks,
        instructions,
        tuple(prompts),
        tuple(states),
        photo,
        first_frame,
        fit,
        files,
        tuple(notes),
        region,
    )


def _outside(request: GenerateRequest, info: BundleInfo) -> str:
    command = shlex.join(["showme", "generate", str(request.image), request.instruction, "--model"])
    return (
        f"The photo is unlike those that the model {info.name} was trained on, so its answer means little: use a large "
        f"model, `{command} dynamicrafter-512` (made by `showme convert dynamicrafter SOURCE dynamicrafter-512`)."
    )
