"""From a first frame and an instruction to the result (picture) and the action (video), with one model.

The steps are written for components of any make: diffusers' and transformers' in :mod:`.saved`, which can be saved,
moved and swapped, and plain ones in :mod:`.plain`, which are there sooner.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...arguments import a_kind, named_arguments
from ...instruction import KnownWords, check_says_something
from ...long_text import LongInstructions
from ...models import split_image_tokens
from ...models.guidance import rescale_guidance
from ...pictures.fit import fit_photo
from ...pictures.photo import upright_rgb
from .inputs import as_pixels, check_large_enough, check_objects, check_settings
from .instructions import InstructionReader, common_windows
from .tasks import TASKS


class ShowMeOutput(OrderedDict):
    """What a call returns, as diffusers' outputs are: fields by name, or by place among those that were asked for.

    image: the result, a PIL image (or an array (H, W, 3) in [0, 1], a tensor (3, H, W), or a latent (C, h, w)).
    frames: the action, a list of T PIL images (or (T, H, W, 3), (T, 3, H, W), or (T, C, h, w)).
    A task that was not asked for leaves its field None.
    """

    def __init__(self, image: Any = None, frames: Any = None):
        super().__init__()
        self.image, self.frames = image, frames

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if value is not None:
            super().__setitem__(name, value)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]

    def to_tuple(self) -> tuple[Any, ...]:
        """The fields that are not None."""
        return tuple(self.values())


@dataclass(frozen=True)
class _Conditions:
    """Everything that the denoising loop reads and never changes; the batch holds [unconditional, conditional]."""

    text: Tensor
    image_tokens: Tensor
    first_latent: Tensor


class ShowMeSteps:
    """ShowMe's two tasks (arXiv 2511.17839), on the components that a subclass holds.

    Picture of the result: temporal half off, adapter ``state_image``, one noisy latent beside z0. Video of the
    action: the whole network, both adapters, T noisy latents beside ``[z0; zeros]``.
    """

    unet: Any
    image_projector: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    image_encoder: Any
    feature_extractor: Any
    scheduler: Any
    image_processor: Any
    config: Any
    progress_bar: Callable[..., Any]
    _execution_device: torch.device
    # Of the bundle that the model was read from.
    known_words: KnownWords | None = None

    def _adapted(self, task: str) -> AbstractContextManager[None]:
        """While open, the UNet runs with the adapters of a task and no others."""
        raise NotImplementedError

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
    ) -> ShowMeOutput:
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
            long_instructions: ``cut``, ``chunk`` or ``refuse``, as above.
            seed: a whole number; each task draws from its own generator seeded with it. Excludes ``generator``.
            generator: torch generator that both tasks draw from in turn.
            output_type: ``pil``, ``np``, ``pt`` or ``latent``.
            callback_on_step_end: called as ``f(pipeline, step, timestep, {"latents": ...})`` after each step.

        Returns:
            :class:`ShowMeOutput`.

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
        tasks = resolve_tasks(task)
        if goal is not False and not self.config.goal_conditioning:
            raise ValueError("This model was not trained to reach a goal: leave goal out, or train with goal_share.")
        if goal is True and len(tasks) < len(TASKS):
            raise ValueError('goal=True takes the picture of the result: ask for task="both", or give a picture.')
        if output_type not in ("pil", "np", "pt", "latent"):
            raise ValueError(f"output_type {output_type!r}: choose pil, np, pt or latent.")
        steps = self.config.num_inference_steps if num_inference_steps is None else num_inference_steps
        if seed is not None and generator is not None:
            raise ValueError("Give seed or generator, not both.")
        scale = self.config.guidance_scale if guidance_scale is None else guidance_scale
        self.instruction_reader(long_instructions).check([instruction])
        if self.known_words is not None:
            self.known_words.warn(instruction)
        conditions = self._encode(image, instruction, scale != 1.0, long_instructions)
        output = ShowMeOutput()
        end = self._goal_latent(goal)
        for name in tasks:
            latents = self._denoise(
                conditions,
                temporal=name == "video",
                num_frames=(self.config.num_frames if num_frames is None else num_frames) if name == "video" else 1,
                steps=steps,
                guidance=scale,
                rescale=self.config.guidance_rescale if guidance_rescale is None else guidance_rescale,
                eta=self.config.eta if eta is None else eta,
                scalar=scalar,
                generator=self._generator(seed) if generator is None else generator,
                callback=callback_on_step_end,
                goal=end if name == "video" else None,
            )
            frames = self._decode(latents, output_type)
            if name == "image":
                output.image = frames[0]
                if goal is True:
                    end = latents
            else:
                output.frames = frames
        return output

    def _generator(self, seed: int | None) -> torch.Generator | None:
        return None if seed is None else torch.Generator("cpu").manual_seed(int(seed))

    def _encode(self, image, instruction: str, guided: bool, long: LongInstructions | None) -> _Conditions:
        """Text, image tokens and z0, each computed once; with guidance the empty conditions come first."""
        device = self._execution_device
        pixels = self._pixels(image, "image").to(device, self.vae.dtype)
        texts, views = [instruction], [pixels]
        if guided:
            texts, views = ["", instruction], [torch.zeros_like(pixels), pixels]
        return _Conditions(
            text=self.encode_text(texts, device, long),
            image_tokens=self.encode_image(torch.cat(views)),
            first_latent=self.encode_latents(pixels),
        )

    def _goal_latent(self, goal) -> Tensor | None:
        """A picture that was given as the goal -> its latent (1, C, 1, h, w)."""
        if isinstance(goal, bool):
            return None
        pixels = self._pixels(goal, "goal").to(self._execution_device, self.vae.dtype)
        return self.encode_latents(pixels)[:, :, None]

    def _pixels(self, picture, field: str) -> Tensor:
        """What was given as ``field`` -> (1, 3, H, W) in [-1, 1]."""
        if not isinstance(picture, Image.Image):
            return self.image_processor.preprocess(as_pixels(picture, field))
        check_large_enough(picture, field)
        picture = upright_rgb(picture)
        height, width = self.config.height, self.config.width
        fits = height is None or width is None
        return self.image_processor.preprocess(picture if fits else fit_photo(picture, height, width)[0])

    def instruction_reader(self, long_instructions: LongInstructions | None = None) -> InstructionReader:
        """What reads instructions for the text encoder; ``long_instructions`` as for a call."""
        return InstructionReader(self.tokenizer, long_instructions or self.config.long_instructions)

    def encode_text(
        self,
        texts: Sequence[str],
        device: torch.device | None = None,
        long_instructions: LongInstructions | None = None,
        count: int | None = None,
    ) -> Tensor:
        """Sentences -> text tokens (B, n L, D) that the UNet attends to: L of the encoder, n = 1 unless ``chunk`` needs
        more windows.

        A text of fewer windows than n, such as the empty one of guidance, is repeated until it fills them: attention to
        the same tokens several times over equals attention to them once.

        Args:
            texts: sentences; that their end is cut off is not said here, but by the reader's ``check``.
            device: the pipeline's when None.
            long_instructions: as for a call.
            count: n, a multiple of each text's own number of windows; None: the least.

        Raises:
            InputError: n would be more than 60.
        """
        reader = self.instruction_reader(long_instructions)
        parts = reader.windows(texts)
        count = count or common_windows(parts)
        ids = reader.ids([window for text in parts for window in text])
        states = self.text_encoder(ids.to(device or self._execution_device)).last_hidden_state
        rows = states.split([len(text) for text in parts])
        return torch.stack([row.flatten(0, 1).repeat(count // len(row), 1) for row in rows])

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] -> image context tokens (B, N, D), through encoder and projector."""
        return self.image_projector(self.image_tokens(pixels))

    def image_tokens(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] -> the image encoder's tokens (B, 1 + patches, D_img)."""
        size = self.image_encoder.config.image_size
        mean, std = (
            torch.tensor(getattr(self.feature_extractor, name), device=pixels.device, dtype=pixels.dtype)
            for name in ("image_mean", "image_std")
        )
        if pixels.shape[-2:] != (size, size):
            pixels = torch.nn.functional.interpolate(
                pixels.float(), (size, size), mode="bicubic", align_corners=True, antialias=True
            ).to(pixels.dtype)
        pixels = (pixels / 2 + 0.5 - mean[:, None, None]) / std[:, None, None]
        return self.image_encoder(pixels.to(self.image_encoder.dtype)).last_hidden_state

    def encode_latents(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [-1, 1] -> scaled latents (B, C, h, w), the mode of the codec's posterior."""
        return self.vae.encode(pixels).latent_dist.mode() * self.vae.config.scaling_factor

    def _denoise(
        self, conditions, temporal, num_frames, steps, guidance, rescale, eta, scalar, generator, callback, goal
    ) -> Tensor:
        """Run the sampler from pure noise; returns latents (1, C, T, h, w)."""
        z0 = conditions.first_latent[:, :, None]
        shape = (1, z0.shape[1], num_frames, *z0.shape[-2:])
        latents = _noise(shape, generator, z0)
        concat = condition_clip(z0, num_frames, self.config.repeat_first_frame, goal)
        batch = conditions.text.shape[0]
        image_tokens = split_image_tokens(conditions.image_tokens, num_frames)
        self.scheduler.set_timesteps(steps, device=z0.device)
        latents = latents * self.scheduler.init_noise_sigma
        scalars = None if scalar is None else torch.full((batch,), scalar, device=z0.device)
        with self._adapted("video" if temporal else "image"), self.progress_bar(total=steps) as progress:
            for index, t in enumerate(self.scheduler.timesteps):
                sample = torch.cat([self.scheduler.scale_model_input(latents, t), concat], dim=1)
                prediction = self.unet(
                    sample.expand(batch, -1, -1, -1, -1), t, conditions.text, image_tokens, scalars, temporal=temporal
                )
                if batch == 2:
                    unconditional, conditional = prediction.chunk(2)
                    prediction = unconditional + guidance * (conditional - unconditional)
                    if rescale:
                        prediction = rescale_guidance(prediction, conditional, rescale)
                latents = self.scheduler.step(prediction, t, latents, **self._step_arguments(eta, generator))[0]
                if callback is not None:
                    latents = callback(self, index, t, {"latents": latents}).pop("latents", latents)
                progress.update()
        return latents

    def _step_arguments(self, eta: float, generator) -> dict:
        """eta and generator go only to schedulers that know them, so that any diffusers scheduler can be swapped in."""
        names = inspect.signature(self.scheduler.step).parameters
        known = {"eta": eta, "generator": generator, "return_dict": False}
        return {name: value for name, value in known.items() if name in names}

    def _decode(self, latents: Tensor, output_type: str):
        """Latents (1, C, T, h, w) -> T pictures of the output type asked for."""
        frames = latents[0].transpose(0, 1)
        if output_type == "latent":
            return frames
        frames = self.decode_latents(frames)
        if output_type == "pt":
            return frames
        arrays = frames.permute(0, 2, 3, 1).float().cpu().numpy()
        if output_type == "np":
            return arrays
        return [Image.fromarray(np.round(array * 255).astype(np.uint8)) for array in arrays]

    def decode_latents(self, latents: Tensor, chunk: int = 4) -> Tensor:
        """Scaled latents (N, C, h, w) -> pictures (N, 3, H, W) in [0, 1], ``chunk`` at a time: less memory,
        and on a CPU faster than more at once."""
        parts = latents.to(self.vae.dtype).split(chunk)
        pixels = torch.cat([self.vae.decode(part / self.vae.config.scaling_factor).sample for part in parts])
        return (pixels / 2 + 0.5).clamp(0, 1)


def resolve_tasks(task: str | Sequence[str]) -> list[str]:
    """``both`` or names of tasks -> the tasks in the order of their making, each once.

    Raises:
        ValueError: a name that is no task, or none at all.
    """
    if not isinstance(task, str | Sequence):
        raise ValueError(f"task is {a_kind(task)}: choose image, video or both.")
    names = list(TASKS) if task == "both" else (task.split(",") if isinstance(task, str) else list(task))
    unknown = [name for name in names if name not in TASKS]
    if unknown or not names:
        raise ValueError(f"task {', '.join(map(repr, unknown)) or 'missing'}: choose image, video or both.")
    return [name for name in TASKS if name in names]


def condition_clip(z0: Tensor, num_frames: int, repeat: bool, goal: Tensor | None = None) -> Tensor:
    """The condition beside the noisy latents: ``[z0; zeros]`` (ShowMe) or z0 on every frame (DynamiCrafter).

    Args:
        z0: first frame's latent (B, C, 1, h, w).
        num_frames: T.
        repeat: which of the two.
        goal: the result's latent, like z0, for the last slot; None leaves it as it is.

    Returns:
        (B, C, T, h, w).
    """
    frames = [z0 if repeat or not index else torch.zeros_like(z0) for index in range(num_frames)]
    if goal is not None and num_frames > 1:
        frames[-1] = goal
    return torch.cat(frames, dim=2)


def _noise(shape: tuple[int, ...], generator: torch.Generator | None, like: Tensor) -> Tensor:
    """Noise of ``like``'s precision on its device, drawn where the generator is: a seed means the same on a GPU."""
    device = like.device if generator is None else generator.device
    return torch.randn(shape, generator=generator, device=device, dtype=like.dtype).to(like.device)
