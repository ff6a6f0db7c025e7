"""What the pipelines of all methods do alike: read a picture, know their backbone, lay out what they made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..arguments import a_kind
from ..backbones import open_backbone
from ..backbones.base import Backbone
from ..instruction import KnownWords
from ..long_text import LongInstructions
from ..pictures.fit import fit_photo
from ..pictures.photo import upright_rgb
from .call import Given
from .inputs import as_pixels, check_large_enough

OUTPUT_TYPES = ("pil", "np", "pt", "latent")
# Slots that are decoded at a time: less memory, and on a CPU faster than more at once.
_DECODED = 4


class PipelineSteps:
    """A subclass holds the components, and diffusers' ``DiffusionPipeline`` beside this class saves and moves them."""

    scheduler: Any
    image_processor: Any
    config: Any
    progress_bar: Callable[..., Any]
    _execution_device: torch.device
    # Of the bundle that the model was read from.
    known_words: KnownWords | None = None
    backbone_name: str = "video_unet"
    active_adapters: Mapping[str, Sequence[str]] = {}

    @property
    def backbone(self) -> Backbone:
        """The video model that the components make up, as they are now."""
        return open_backbone(self.backbone_name, self)

    def pixels(self, picture, field: str) -> Tensor:
        """What was given as ``field`` -> (1, 3, H, W) in [-1, 1]."""
        if not isinstance(picture, Image.Image):
            return self.image_processor.preprocess(as_pixels(picture, field))
        check_large_enough(picture, field)
        picture = upright_rgb(picture)
        height, width = self.config.height, self.config.width
        fits = height is None or width is None
        return self.image_processor.preprocess(picture if fits else fit_photo(picture, height, width)[0])

    def latent(self, picture: Any, field: str) -> Tensor:
        """A picture that was given as ``field`` -> its latent (1, C, 1, h, w)."""
        pixels = self.pixels(picture, field).to(self._execution_device, self.backbone.dtype)
        return self.backbone.encode(pixels[:, None])

    def given(self, image: Any, instruction: str, guided: bool, long: LongInstructions | None) -> Given:
        """What a call gives the model, encoded; ``guided``: the empty conditions too.

        Warns of words that the model has never seen, and of what it does not read of a long instruction.

        Raises:
            InputError: an image that is none, or an instruction that is too long, with ``refuse``.
        """
        backbone, device = self.backbone, self._execution_device
        backbone.check_lengths([instruction], None, long)
        if self.known_words is not None:
            self.known_words.warn(instruction)
        pixels = self.pixels(image, "image").to(device, backbone.dtype)
        texts = ["", instruction] if guided else [instruction]
        encode_image = backbone.encode_none_and_image if guided else backbone.encode_image
        return Given(
            text=backbone.encode_text(texts, device=device, long_instructions=long),
            image=backbone.project(encode_image(pixels)),
            first=backbone.encode(pixels[:, None]),
            pixels=pixels[:, None],
        )

    def pictures(self, latents: Tensor, output_type: str):
        """Latents (1, C, T', h, w) -> T pictures of the output type asked for."""
        if output_type == "latent":
            return latents[0].transpose(0, 1)
        frames = self.backbone.decode(latents, _DECODED)[0].clamp(0, 1)
        if output_type == "pt":
            return frames
        arrays = frames.permute(0, 2, 3, 1).float().cpu().numpy()
        if output_type == "np":
            return arrays
        return [Image.fromarray(np.round(array * 255).astype(np.uint8)) for array in arrays]


def check_output_type(output_type: str) -> None:
    """Refuse an output type that no pipeline has.

    Raises:
        ValueError: names those that there are.
    """
    if output_type not in OUTPUT_TYPES:
        raise ValueError(f"output_type {output_type!r}: choose pil, np, pt or latent.")


def resolve_tasks(task: str | Sequence[str], made: Sequence[str]) -> list[str]:
    """``both`` or names of tasks -> the tasks in the order of their making, each once.

    Raises:
        ValueError: a name that is no task, or none at all.
    """
    if not isinstance(task, str | Sequence):
        raise ValueError(f"task is {a_kind(task)}: choose image, video or both.")
    names = list(made) if task == "both" else (task.split(",") if isinstance(task, str) else list(task))
    unknown = [name for name in names if name not in made]
    if unknown or not names:
        raise ValueError(f"task {', '.join(map(repr, unknown)) or 'missing'}: choose image, video or both.")
    return [name for name in made if name in names]
