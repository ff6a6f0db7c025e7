"""The form: everything that can be filled in, and where errors about it are shown."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.data_classes import ImageData
from PIL import Image

from ..errors import InputError
from ..pictures.photo import open_photo
from .models import EMBEDDED
from .photos import check_size
from .studio import Studio
from .submit import EVERYWHERE, OWN, PAINTED, FieldError, Form
from .views import understanding_view

_EXAMPLES = ("push_left", "open", "lift")
_OWN_NUMBER = "the model's own"
_TASKS = [("Picture and video", "both"), ("Picture", "image"), ("Video", "video")]
_REGIONS = [("The model finds it", OWN), ("Everywhere", EVERYWHERE), ("I paint it", PAINTED)]


def _as_it_is(_: Any, payload: ImageData | None) -> str | None:
    """The uploaded file."""
    return None if payload is None else payload.path


# What is no photo is refused by our own reader, with its sentence, and not by gradio's. A class, because gradio makes
# the component anew for each visitor whose page has changed it; made past gradio's metaclass, which writes a file of
# types beside the module of every subclass.
Photo: Any = ABCMeta.__new__(
    type(gr.Image),
    "Photo",
    (gr.Image,),
    # A template: the browser shows the class below it.
    {"__module__": __name__, "preprocess": _as_it_is, "is_template": True},
)


@dataclass
class Fields:
    """The components. inputs: in the order of :func:`form_of`. errors: by the field that they are about."""

    photo: gr.Image
    instruction: gr.Textbox
    models: gr.Dropdown
    make: gr.Button
    cancel: gr.Button
    seed: gr.Number
    goal: gr.Checkbox
    motion: gr.Textbox
    then: gr.Textbox
    region: gr.Accordion
    understanding: gr.HTML
    notes: gr.HTML
    inputs: Sequence[Any]
    errors: dict[str, gr.HTML]


def make_fields(studio: Studio) -> Fields:
    """The form, in the place where it is called."""
    errors: dict[str, gr.HTML] = {}

    def error(field: str) -> None:
        errors[field] = gr.HTML(elem_id=f"sm-error-{field}")

    photo = Photo(
        label="Photo", sources=["upload", "clipboard", "webcam"], type="filepath", image_mode=None, height=280,
        elem_id="sm-photo", buttons=[],
    )  # fmt: skip
    error("photo")
    instruction = gr.Textbox(
        label="Instruction", placeholder="push the red box to the left", lines=1, elem_id="sm-instruction",
    )  # fmt: skip
    notes = gr.HTML(elem_id="sm-notes")
    error("instruction")
    task = gr.Radio(_TASKS, value="both", label="What to make", elem_id="sm-task")
    models = gr.Dropdown(
        studio.models.names(), value=[EMBEDDED], multiselect=True, max_choices=2, allow_custom_value=studio.models.hub,
        label="Model", info="Two are compared side by side.", elem_id="sm-models",
    )  # fmt: skip
    error("models")
    with gr.Accordion("What this model understands", open=False):
        understanding = gr.HTML(understanding_view([studio.models.understanding(EMBEDDED)]))
    region, region_inputs = _region(studio, photo)
    error("region")
    with gr.Accordion("Settings", open=False):
        with gr.Row():
            seed = gr.Number(0, label="Seed", min_width=120, elem_id="sm-seed")
            # Number fields show 0 for nothing.
            steps = gr.Textbox(label="Steps", placeholder=_OWN_NUMBER, min_width=120, elem_id="sm-steps")
            guidance = gr.Textbox(label="Guidance", placeholder=_OWN_NUMBER, min_width=120, elem_id="sm-guidance")
        with gr.Row():
            clips = gr.Number(1, label="Clips", min_width=120, elem_id="sm-clips")
            motion = gr.Textbox(label="Motion strength", placeholder=_OWN_NUMBER, visible=False, min_width=120)
        then = gr.Textbox(label="Then", lines=2, info="For more clips than one: an instruction in each line.")
        fit = gr.Radio([("Cut the photo to shape", "crop"), ("Add bars", "pad")], value="crop", label="Fit")
        goal = gr.Checkbox(False, label="The video ends with the picture of the result")
    error("settings")
    with gr.Row():
        make = gr.Button("Make", variant="primary", elem_id="sm-make", interactive=not studio.settings.demo)
        cancel = gr.Button("Cancel", visible=False, elem_id="sm-cancel")
    return Fields(
        photo, instruction, models, make, cancel, seed, goal, motion, then, region, understanding, notes,
        [photo, instruction, models, task, seed, steps, guidance, fit, goal, clips, then, motion, *region_inputs],
        errors,
    )  # fmt: skip


def form_of(studio: Studio, values: Sequence[Any]) -> Form:
    """What was filled in, in the order of ``Fields.inputs``.

    Raises:
        FieldError: a picture of the region that cannot be used.
    """
    *plain, region, painting, mask = values
    photo, instruction, models, task, seed, steps, guidance, fit, goal, clips, then, motion = plain
    return Form(
        photo, instruction or "", tuple(models or ()), task, seed, steps, guidance, fit, goal, clips, then or "",
        motion, region, _mask(studio, painting, mask),
    )  # fmt: skip


def _mask(studio: Studio, painting: dict[str, Any] | None, upload: str | None) -> Image.Image | None:
    """The region that was uploaded, or else painted; None: neither."""
    if upload is not None:
        file = Path(upload)
        try:
            file = studio.upload(upload)
            check_size(file, studio.settings)
            return open_photo(file).image.convert("L")
        except InputError as error:
            raise FieldError("region", str(error).replace(str(file), file.name)) from error
    return mask_of(painting)


def mask_of(painting: dict[str, Any] | None) -> Image.Image | None:
    """The region that was painted; None: nothing was."""
    if painting is None or painting.get("background") is None:
        return None
    shape = painting["background"].size
    inside = np.zeros((shape[1], shape[0]), bool)
    for layer in painting.get("layers") or []:
        alpha = layer.convert("RGBA").getchannel("A")
        if alpha.size != shape:
            alpha = alpha.resize(shape)
        inside |= np.asarray(alpha) > 0
    return Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)) if inside.any() else None


def _region(studio: Studio, photo: gr.Image) -> tuple[gr.Accordion, list[Any]]:
    """Where the action happens, for models that take it."""
    with gr.Accordion("Where it happens", open=True, visible=False, elem_id="sm-region") as accordion:
        choice = gr.Radio(_REGIONS, value=OWN, label="Region", elem_id="sm-region-choice")
        with gr.Column(visible=False) as painting:
            editor = gr.ImageEditor(
                label="Paint over the photo", type="pil", sources=[], transforms=(), layers=False, elem_id="sm-paint",
                brush=gr.Brush(colors=["#ffffff"], default_size=24, color_mode="fixed"), buttons=[],
            )  # fmt: skip
            upload = Photo(
                label="Or a picture of the photo's shape, white where it happens", type="filepath",
                sources=["upload"], image_mode=None, height=160, buttons=[], elem_id="sm-mask",
            )  # fmt: skip
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    def shown(chosen: str, file: str | None) -> tuple[Any, Any]:
        is_painted = chosen == PAINTED
        return gr.update(visible=is_painted), _canvas(studio, file) if is_painted else None

    gr.on([choice.change, photo.change], shown, [choice, photo], [painting, editor], **quiet)
    return accordion, [choice, editor, upload]


def _canvas(studio: Studio, file: str | None) -> Image.Image | None:
    """The photo as it is painted over: upright, as the model will see it."""
    try:
        if file is None:
            return None
        place = studio.upload(file)
        check_size(place, studio.settings)
        return open_photo(place).image
    except InputError:
        return None


def add_examples(fields: Fields) -> None:
    """Photos that come with the package, each one click away."""
    gr.Examples(_examples(), [fields.photo, fields.instruction], label="Examples", elem_id="sm-examples")


def _examples() -> list[list[str]]:
    place = files("showme") / "assets" / "examples"
    return [[str(place / f"{name}.png"), (place / f"{name}.txt").read_text().strip()] for name in _EXAMPLES]
