"""From a first frame and an instruction to the region of motion, and with it to the video: two passes of one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...arguments import check_whole, named_arguments
from ...backbones.base import Conditions
from ...backbones.sampling import sample
from ...errors import InputError
from ...instruction import check_says_something
from ...long_text import LongInstructions
from ..call import Call, Given, settings_of
from ..inputs import check_objects, check_settings
from ..output import Output
from ..pipeline_steps import PipelineSteps, check_output_type, resolve_tasks
from .regions import CleanUp, as_picture, at_latents, mask_of, read_region, unpacked
from .tasks import ACTIVE_ADAPTERS, PARTS, REGION


class IVGSteps(PipelineSteps):
    """IVG's two stages (arXiv 2412.04189), on the components that a subclass holds.

    Region: with the adapter ``ivg_region`` the network makes a video whose frames after the first are a mask, white
    where something will move; its frames are cleaned and united. Video: with ``ivg_video`` it makes the action, the
    region being one more channel of what it sees. A model without the first adapter, such as a converted
    AnimateAnything, lets everything move unless it is given a region.
    """

    active_adapters = ACTIVE_ADAPTERS

    @named_arguments
    @torch.no_grad()
    def __call__(
        self,
        image: Image.Image | Tensor | np.ndarray,
        instruction: str,
        task: str | Sequence[str] = "video",
        *,
        region: Image.Image | Tensor | np.ndarray | str | None = None,
        goal: bool = False,
        num_frames: int | None = None,
        num_inference_steps: int | None = None,
        region_steps: int | None = None,
        guidance_scale: float | None = None,
        guidance_rescale: float | None = None,
        eta: float | None = None,
        scalar: float | None = None,
        long_instructions: LongInstructions | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        output_type: str = "pil",
        callback_on_step_end: Callable | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> Output:
        """Make the region of motion and the video of the action.

        Args:
            image: the first frame, as :class:`showme.methods.showme.pipeline.ShowMeSteps` takes it.
            instruction: what is to be done, one sentence.
            task: ``video``, which finds the region too where none is given, or ``region``, which stops there.
            region: where the action happens: a PIL image of any size (white inside), an array or a tensor (H, W) of
                the picture's size, ``white`` for everywhere; None lets the model find it, or takes the prior of its
                training clips where it was trained with that.
            goal: False; videos of this method find their own end.
            num_frames: T of the video.
            num_inference_steps: denoising steps of the video.
            region_steps: those of the region.
            guidance_scale, guidance_rescale, eta: of both.
            scalar: motion strength, frame stride or frames per second, as the model was trained; its own when None.
            long_instructions: ``cut``, ``chunk`` or ``refuse``, as the model's setting of that name.
            seed: a whole number; region and video each draw from their own generator seeded with it.
            generator: torch generator that both draw from in turn. Excludes ``seed``.
            output_type: ``pil``, ``np``, ``pt`` or ``latent``.
            callback_on_step_end: called as ``f(pipeline, step, timestep, {"latents": ...})`` after each of the video's
                steps.

        Returns:
            :class:`Output` with ``region``: a PIL image of mode L, else bool (H, W).

        Raises:
            InputError: an image or a region of another layout or range; an empty region; a region for a model that
                takes none; a number out of its range; an instruction that says nothing, or is too long.
            ValueError: an unknown task or output type, seed with generator, or a goal.
            TypeError: an argument that is missing or unknown.
        """
        check_says_something(instruction)
        check_settings(num_frames, num_inference_steps, guidance_scale, guidance_rescale, eta, scalar, seed)
        check_whole("region_steps", region_steps, 1)
        check_objects(generator, callback_on_step_end)
        wanted = resolve_tasks(task, PARTS)
        if goal is not False:
            raise ValueError("This model was not trained to reach a goal: leave goal out.")
        check_output_type(output_type)
        call = settings_of(
            self.config, num_inference_steps, guidance_scale, guidance_rescale, eta, generator, seed,
            callback_on_step_end,
        )  # fmt: skip
        given = self.given(image, instruction, call.guided, long_instructions)
        frames = self.config.num_frames if num_frames is None else num_frames
        mask = self._region(given, region, frames, call, region_steps)
        output = Output(region=_shown(mask[0].cpu().numpy(), output_type))
        if "video" in wanted:
            latents = self._denoise("video", given, frames, call, scalar, self._condition(mask, given))
            output.frames = self.pictures(latents, output_type)
        return output

    @torch.no_grad()
    def region_frames(self, given: Given, frames: int, call: Call, steps: int | None = None) -> Tensor:
        """The mask (T - 1, H, W) in [0, 1] of every frame after the first, as the network draws it."""
        call = replace(call, steps=steps or self.config.region_steps or call.steps, callback=None)
        latents = self._denoise("region", given, self.config.region_frames or frames, call, None, None)
        if self.backbone.facts.time > 1:
            # Slots of several frames are decoded together or not at all.
            return mask_of(self.backbone.decode(latents)[0, 1:])
        return mask_of(self.backbone.decode(latents[:, :, 1:], _DECODED)[0])

    def _region(self, given: Given, region: Any, frames: int, call: Call, steps: int | None) -> Tensor:
        """Bool (1, H, W) on the networks' device."""
        height, width = (side * self.backbone.facts.space for side in given.first.shape[-2:])
        device = given.first.device
        if region is not None and not self.takes_region:
            raise InputError("This model has no place for a region: leave it out, or train the stage video first.")
        if region is None and self.config.region_prior is not None:
            region = unpacked(self.config.region_prior)
        if region is None and self.finds_region:
            found = self.clean_up(self.region_frames(given, frames, call, steps))
            # Where nothing was found, everything may move: a video of a picture that stands still helps nobody.
            return torch.from_numpy(found if found.any() else np.ones_like(found))[None].to(device)
        return read_region("white" if region is None else region, height, width).to(device)

    @property
    def takes_region(self) -> bool:
        """Whether the video is conditioned on a region."""
        return self.backbone.takes_region

    @property
    def finds_region(self) -> bool:
        """Whether the model was trained to find the region."""
        backbone = self.backbone
        return REGION in getattr(backbone.networks[backbone.denoiser], "peft_config", {})

    @property
    def clean_up(self) -> CleanUp:
        """From mask frames to the region, by the pipeline's settings."""
        config = self.config
        return CleanUp(config.region_threshold, config.region_least_area, config.region_closing, config.region_margin)

    def _condition(self, mask: Tensor, given: Given) -> Tensor | None:
        return at_latents(mask, tuple(given.first.shape[-2:])) if self.takes_region else None  # type: ignore[arg-type]

    def _denoise(
        self, part: str, given: Given, frames: int, call: Call, scalar: float | None, region: Tensor | None
    ) -> Tensor:
        """Latents (1, C, T', h, w) of the region or the video."""
        backbone, branches = self.backbone, len(given.text)
        count = backbone.facts.slots(frames)
        scalars = None if scalar is None else torch.full((branches,), scalar, device=given.first.device)
        regions = None if region is None else region.to(given.first.dtype).expand(branches, -1, -1, -1, -1)
        if backbone.knows_frames:
            known = backbone.known_frames(given.pixels, (0,), frames)
        else:
            known = backbone.known(given.first, (0,), count)
        conditions = Conditions(given.text, given.image, known, scalars, regions)
        shape = (1, *given.first.shape[1:2], count, *given.first.shape[-2:])
        start = given.first.expand(shape) if self.config.start_from_first_frame else None
        with backbone.adapted(self.active_adapters[part]):
            return sample(backbone, self.scheduler, conditions, shape, call.sampling(self, branches, start))


# Slots that are decoded at a time.
_DECODED = 4


def _shown(mask: np.ndarray, output_type: str) -> Any:
    if output_type == "pil":
        return as_picture(mask)
    return torch.from_numpy(mask) if output_type in ("pt", "latent") else mask
