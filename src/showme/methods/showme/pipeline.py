"""From a first frame and an instruction to the result (picture) and the action (video), with one model.

The steps are written for components of any make: diffusers' and transformers' in :mod:`.saved`, which can be saved,
moved and swapped, and plain ones in :mod:`.plain`, which are there sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...arguments import named_arguments
from ...backbones.base import Conditions, Known
from ...backbones.sampling import sample
from ...instruction import check_says_something
from ...long_text import LongInstructions
from ..call import Call, Given, settings_of
from ..inputs import check_objects, check_settings
from ..output import Output
from ..pipeline_steps import PipelineSteps, check_output_type, resolve_tasks
from .tasks import ACTIVE_ADAPTERS, TASKS


class ShowMeSteps(PipelineSteps):
    """ShowMe's two tasks (arXiv 2511.17839), on the components that a subclass holds.

    Picture of the result: temporal half off, adapter ``state_image``, one noisy latent beside z0. Video of the
    action: the whole network, both adapters, T noisy latents beside ``[z0; zeros]``.
    """

    active_adapters = ACTIVE_ADAPTERS

    @named_arguments
    @torch.no_grad()
    def __call__(
        self,
        image: Image.Image | Tensor | np.ndarray,
        instruction: str,
        task: str | Sequence[str] = "both",
        *,
        goal: Image.Image | Tensor | np.ndarray | bool = False,
        num_frames: int | None = None,
        num_inference_steps: int | None = None,
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
        """Make the picture of the result, the video of the action, or both.

        Args:
            image: the first frame. A PIL image of any size, mode, colour profile and orientation is turned upright,
                laid on white where it is transparent, scaled and cropped in the middle to ``height`` x ``width`` of the
                config. A tensor (1, 3, H, W) or (3, H, W), or an array (H, W, 3), is taken as it is: uint8 is 0 to 255,
                floats are 0 to 1.
            instruction: what is to be done, one sentence. Words that a bundle's model has never seen are warned of.
            task: ``image``, ``video``, ``both``, or the first two as a sequence or with a comma between.
            goal: the picture that the video is to end with, like ``image``; True takes the picture of the result, which
                this call makes too; False lets the video find its own end. For models with ``goal_conditioning``.
            num_frames: T of the video.
            num_inference_steps: denoising steps per task.
            guidance_scale: w in e_uncond + w (e_cond - e_uncond); 1 turns guidance off.
            guidance_rescale: phi in [0, 1] of arXiv 2305.08891.
            eta: DDIM's stochasticity, 0 to 1.
            scalar: frame stride or frames per second, as the model was trained; its own default when None.
            long_instructions: ``cut``, ``chunk`` or ``refuse``, as the model's setting of that name.
            seed: a whole number; each task draws from its own generator seeded with it. Excludes ``generator``.
            generator: torch generator that both tasks draw from in turn.
            output_type: ``pil``, ``np``, ``pt`` or ``latent``.
            callback_on_step_end: called as ``f(pipeline, step, timestep, {"latents": ...})`` after each step.

        Returns:
            :class:`Output`.

        Raises:
            InputError: an image or a goal of another layout or range, too small, or with NaN; a number out of its
                range; an instruction that says nothing, or is too long with long_instructions="refuse".
            ValueError: an unknown task or output type, a size that the codec cannot take, seed with generator, a goal
                for a model that was not trained with goals, or goal=True without both tasks.
            TypeError: an argument that is missing or unknown.
        """
        check_says_something(instruction)
        check_settings(num_frames, num_inference_steps, guidance_scale, guidance_rescale, eta, scalar, seed)
        check_objects(generator, callback_on_step_end)
        tasks = resolve_tasks(task, TASKS)
        if goal is not False and not self.config.goal_conditioning:
            raise ValueError("This model was not trained to reach a goal: leave goal out, or train with goal_share.")
        if goal is True and len(tasks) < len(TASKS):
            raise ValueError('goal=True takes the picture of the result: ask for task="both", or give a picture.')
        check_output_type(output_type)
        call = settings_of(
            self.config, num_inference_steps, guidance_scale, guidance_rescale, eta, generator, seed,
            callback_on_step_end,
        )  # fmt: skip
        given = self.given(image, instruction, call.guided, long_instructions)
        output = Output()
        end = None if isinstance(goal, bool) else self.latent(goal, "goal")
        for name in tasks:
            count = 1
            if name == "video":
                count = self.backbone.facts.slots(self.config.num_frames if num_frames is None else num_frames)
            latents = self._denoise(given, name, count, call, scalar, end if name == "video" else None)
            frames = self.pictures(latents, output_type)
            if name == "image":
                output.image = frames[-1]
                if goal is True:
                    end = latents[:, :, -1:]
            else:
                output.frames = frames
        return output

    def _denoise(
        self, given: Given, task: str, count: int, call: Call, scalar: float | None, goal: Tensor | None
    ) -> Tensor:
        """Latents (1, C, T', h, w) of a task, from pure noise."""
        backbone, branches = self.backbone, len(given.text)
        known = self._known(given, goal, count, still=task == "image")
        scalars = None if scalar is None else torch.full((branches,), scalar, device=given.first.device)
        conditions = Conditions(given.text, given.image, known, scalars)
        shape = (1, *given.first.shape[1:2], count, *given.first.shape[-2:])
        with backbone.adapted(self.active_adapters[task]):
            return sample(backbone, self.scheduler, conditions, shape, call.sampling(self, branches), task == "image")

    def _known(self, given: Given, goal: Tensor | None, count: int, still: bool) -> Known:
        """The first frame, and the goal's latent (1, C, 1, h, w) where there is one, of ``count`` slots."""
        backbone = self.backbone
        if still or not backbone.knows_frames:
            if goal is not None and backbone.facts.time > 1:
                goal = backbone.end(self._pixels_of(goal)[:, 0])
            latents = given.first if goal is None else torch.cat([given.first, goal], dim=2)
            return backbone.known(latents, (0,) if goal is None else (0, -1), count)
        ends = [] if goal is None else [self._pixels_of(goal)]
        pixels = torch.cat([given.pixels, *ends], dim=1)
        return backbone.known_frames(pixels, (0, -1)[: pixels.shape[1]], backbone.facts.frames(count))

    def _pixels_of(self, latent: Tensor) -> Tensor:
        """A picture's latent (1, C, 1, h, w) -> (1, 1, 3, H, W) in [-1, 1]."""
        return (self.backbone.decode(latent).clamp(0, 1) * 2 - 1).to(self.backbone.dtype)
