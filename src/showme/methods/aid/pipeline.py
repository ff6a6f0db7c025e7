"""From one or several first frames and an instruction, with its states, to the video of the action."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ...arguments import check_number, named_arguments
from ...backbones.base import Conditions, Known
from ...backbones.sampling import sample
from ...errors import InputError
from ...instruction import check_says_something
from ...long_text import LongInstructions
from ..call import Call, settings_of
from ..inputs import check_objects, check_settings
from ..output import Output
from ..pipeline_steps import PipelineSteps, check_output_type, resolve_tasks
from .guidance import DualGuidance, null_context
from .known import blanked, grey_latent
from .objective import attach
from .states import encode_states, world_states
from .tasks import ACTIVE_ADAPTERS, ADAPTER, TASKS

Picture = Image.Image | Tensor | np.ndarray


class AIDSteps(PipelineSteps):
    """AID (arXiv 2406.06465), on the components that a subclass holds: a base, and beside it what was trained.

    A DQFormer makes the tokens that every frame's cross-attention reads; bottleneck adapters add to the base's layers.
    Without both it is the base, with guidance by picture and by text.
    """

    active_adapters = ACTIVE_ADAPTERS
    added_networks = ("dqformer", "bottlenecks")
    register_modules: Callable[..., Any]

    def add_networks(self, **networks: nn.Module | None) -> None:
        """Take in a DQFormer or adapters."""
        self.register_modules(**networks)

    @named_arguments
    @torch.no_grad()
    def __call__(
        self,
        image: Picture | Sequence[Picture],
        instruction: str,
        task: str | Sequence[str] = "video",
        *,
        states: Sequence[str] | str | None = None,
        goal: bool = False,
        num_frames: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        visual_guidance: float | None = None,
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
        """Make the video of the action.

        Args:
            image: the first frame, as :class:`showme.methods.showme.pipeline.ShowMeSteps` takes it, or the first K, K
                being the model's; of a single one a model of more stands still for so long.
            instruction: what is to be done, one sentence.
            task: ``video``.
            states: what lies between beginning and end, in sentences; ``none``: the instruction stands for them; None:
                the rendered world's own, of a model that was trained with these, else none.
            goal: False; videos of this method find their own end.
            num_frames: T of the video.
            num_inference_steps: denoising steps.
            guidance_scale: s_T, of the text.
            visual_guidance: s_V, of the picture.
            guidance_rescale: of the guided prediction.
            eta: DDIM's stochasticity.
            scalar: frame stride or frames per second, as the base was trained; its own default when None.
            long_instructions: of instruction and states.
            seed, generator: of the noise; at most one of them.
            output_type: ``pil``, ``np``, ``pt`` or ``latent``.
            callback_on_step_end: called as ``f(pipeline, step, timestep, {"latents": ...})`` after each step.

        Returns:
            :class:`Output` with ``frames``, the known ones first.

        Raises:
            InputError: a picture of another layout or range; more or fewer of them than the model knows; no states; a
                number out of its range; an instruction that says nothing, or is too long.
            ValueError: an unknown task or output type, seed with generator, or a goal.
            TypeError: an argument that is missing or unknown.
        """
        check_says_something(instruction)
        check_settings(num_frames, num_inference_steps, guidance_scale, guidance_rescale, eta, scalar, seed)
        check_number("visual_guidance", visual_guidance, 0)
        check_objects(generator, callback_on_step_end)
        resolve_tasks(task, TASKS)
        if goal is not False:
            raise ValueError("This model was not trained to reach a goal: leave goal out.")
        check_output_type(output_type)
        call = settings_of(
            self.config, num_inference_steps, guidance_scale, guidance_rescale, eta, generator, seed,
            callback_on_step_end,
        )  # fmt: skip
        guidance = DualGuidance(
            call.guidance, self.config.visual_guidance if visual_guidance is None else visual_guidance
        )
        if "text" not in self.backbone.encoders:
            # Without words there is one condition, and one scale.
            guidance = DualGuidance(guidance.visual, guidance.visual)
        states = self._states(states, instruction)
        pictures = self._pictures(image)
        count = self.backbone.facts.slots(self.config.num_frames if num_frames is None else num_frames)
        with self._added():
            conditions = self._conditions(pictures, instruction, states, guidance, count, scalar, long_instructions)
            latents = self._sampled(conditions, guidance, call)
        return Output(frames=self.pictures(latents, output_type))

    def _states(self, states: Sequence[str] | str | None, instruction: str) -> Sequence[str] | None:
        """The sentences that are read beside an instruction; None: there are none."""
        if states == "none":
            return None
        if states is None:
            return world_states(instruction) if self.config.states == "tabletop" else None
        if isinstance(states, str) or not states or not all(isinstance(s, str) and s.strip() for s in states):
            raise InputError("states are empty or no sentences: give a list of these, none, or leave them out.")
        return states

    @contextmanager
    def _added(self):
        """While open, LoRA and bottlenecks run in the denoiser."""
        handles = attach(self.backbone)
        try:
            with self.backbone.adapted(self.active_adapters.get("video", [ADAPTER])):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _pictures(self, image: Any) -> Tensor:
        """K first frames (K, 3, H, W) in [-1, 1]."""
        several = isinstance(image, list | tuple)
        references = self.config.references
        if several and len(image) not in (1, references):
            raise InputError(
                f"{len(image)} first frames were given, and the model knows {references}: give so many, or one."
            )
        views = [self.pixels(each, "image") for each in (image if several else [image])]
        pixels = torch.cat(views if len(views) == references else views * references)
        return pixels.to(self._execution_device, self.backbone.dtype)

    def _conditions(
        self,
        pictures: Tensor,
        instruction: str,
        states: Sequence[str] | None,
        guidance: DualGuidance,
        count: int,
        scalar: float | None,
        long: LongInstructions | None,
    ) -> Conditions:
        """One row for each branch of guidance."""
        backbone, branches = self.backbone, guidance.branches
        backbone.check_lengths([instruction, *(states or [])], None, long)
        if self.known_words is not None:
            self.known_words.warn(instruction)
        known = self._known(pictures, count)
        blank = self._blank(known, pictures.shape[-2:])
        tokens = backbone.encode_none_and_image(pictures[:1])
        empty, text = backbone.encode_text(["", instruction], device=pictures.device, long_instructions=long).split(1)
        full = self._context(text, tokens, count, states, long)
        rows = torch.tensor([int(picture) for _, picture in branches], device=pictures.device)
        projected = backbone.project(tokens)
        return Conditions(
            text=torch.cat([full if said else self._unsaid(empty, full, tokens, count) for said, _ in branches]),
            image=None if projected is None else projected[rows],
            known=Known(*(
                torch.cat([getattr(known if picture else blank, name) for _, picture in branches])
                for name in ("latents", "where")
            )),
            scalar=None if scalar is None else torch.full((len(branches),), scalar, device=pictures.device),
        )  # fmt: skip

    def _known(self, pictures: Tensor, count: int) -> Known:
        """The first frames in their slots, and what stands for the others."""
        backbone = self.backbone
        slots = backbone.facts.slots(len(pictures))
        if slots >= count:
            raise InputError(
                f"num_frames leaves nothing to make after the {len(pictures)} frames that are known: raise it."
            )
        if backbone.knows_frames:
            return backbone.known_frames(pictures[None], range(len(pictures)), backbone.facts.frames(count))
        return self._filled(backbone.known(backbone.encode(pictures[None]), range(slots), count), pictures.shape[-2:])

    def _blank(self, known: Known, size: Sequence[int]) -> Known:
        """What is known where the picture is dropped."""
        if not self.config.drop_known:
            return known
        return self._filled(Known(torch.zeros_like(known.latents), torch.zeros_like(known.where)), size)

    def _filled(self, known: Known, size: Sequence[int]) -> Known:
        """With what stands for unknown frames in their slots."""
        if self.config.unknown == "zeros":
            return known
        frames = self.backbone.facts.frames(known.latents.shape[2])
        height, width = size
        grey = grey_latent(self.backbone, height, width, frames)[0]
        return replace(known, latents=blanked(known.latents, known.where, grey))

    def _context(
        self,
        text: Tensor,
        tokens: Tensor | None,
        count: int,
        states: Sequence[str] | None,
        long: LongInstructions | None,
    ) -> Tensor:
        """What cross-attention reads of an instruction: (1, T', M, D), or its own tokens (1, L, D)."""
        dqformer: Any = self.backbone.networks.get("dqformer")
        if dqformer is None:
            return text
        extra = {}
        if states is not None:
            encoded, there = encode_states(
                self.backbone, [states], len(states), device=text.device, long_instructions=long
            )
            extra = {"states": encoded, "there": there}
        return dqformer(text, None if tokens is None else tokens[1:], count, **extra)

    def _unsaid(self, empty: Tensor, full: Tensor, tokens: Tensor | None, count: int) -> Tensor:
        """The same of no instruction."""
        if full.ndim == 3:
            return empty if empty.shape[1] == full.shape[1] else empty.repeat(1, full.shape[1] // empty.shape[1], 1)
        if self.config.null_context == "base":
            return null_context(empty, full)
        return self._context(empty, tokens, count, None, None)

    def _sampled(self, conditions: Conditions, guidance: DualGuidance, call: Call) -> Tensor:
        """Latents (1, C, T', h, w), from pure noise."""
        shape = (1, *conditions.known.latents.shape[1:])
        how = call.sampling(self, len(guidance.branches))
        return sample(self.backbone, self.scheduler, conditions, shape, replace(how, combine=guidance.combine))
