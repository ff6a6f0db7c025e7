"""The settings of one call of a pipeline, and what a call gives the model: the same for every method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..backbones.sampling import Sampling
from ..models.guidance import rescale_guidance


@dataclass(frozen=True)
class Call:
    """The settings of one call, defaults filled in.

    Attributes:
        steps: of the scheduler.
        guidance, rescale: w in e_uncond + w (e_cond - e_uncond), 1: off, and phi of arXiv 2305.08891.
        eta: DDIM's stochasticity.
        generator, seed: of the noise; at most one of them.
        callback: called as ``callback(pipeline, index, timestep, {"latents": ...})`` after each step.
    """

    steps: int
    guidance: float
    rescale: float
    eta: float
    generator: torch.Generator | None
    seed: int | None
    callback: Callable | None

    @property
    def guided(self) -> bool:
        """Whether the empty conditions are asked too."""
        return self.guidance != 1.0

    def draws(self) -> torch.Generator | None:
        """What a task draws its noise from: with a seed, each from its own."""
        return self.generator if self.seed is None else torch.Generator("cpu").manual_seed(int(self.seed))

    def combine(self, predictions: Tensor) -> Tensor:
        """e_uncond + w (e_cond - e_uncond), where guidance is on."""
        if not self.guided:
            return predictions
        unconditional, conditional = predictions.chunk(2)
        guided = unconditional + self.guidance * (conditional - unconditional)
        return rescale_guidance(guided, conditional, self.rescale) if self.rescale else guided

    def sampling(self, pipeline: Any, branches: int, start: Tensor | None = None) -> Sampling:
        """How a task's latents are sampled; ``branches`` and ``start`` as there."""

        def after_step(index: int, t: Tensor, latents: Tensor) -> Tensor:
            assert self.callback is not None
            return self.callback(pipeline, index, t, {"latents": latents}).pop("latents", latents)

        return Sampling(
            steps=self.steps,
            combine=self.combine,
            branches=branches,
            eta=self.eta,
            generator=self.draws(),
            start=start,
            after_step=after_step if self.callback else None,
            bar=pipeline.progress_bar,
        )


@dataclass(frozen=True)
class Given:
    """What a call gives the model, each computed once; with guidance the empty conditions come first.

    Attributes:
        text: (K, L, D), of K branches.
        image: projected tokens (K, N, D); None: the model has no image encoder.
        first: the first frame's latent (1, C, 1, h, w).
        pixels: the first frame (1, 1, 3, H, W) in [-1, 1].
    """

    text: Tensor
    image: Tensor | None
    first: Tensor
    pixels: Tensor


def settings_of(
    config: Any,
    num_inference_steps: int | None,
    guidance_scale: float | None,
    guidance_rescale: float | None,
    eta: float | None,
    generator: torch.Generator | None,
    seed: int | None,
    callback: Callable | None,
) -> Call:
    """A call's settings; None leaves a number to the pipeline's ``config``.

    Raises:
        ValueError: seed with generator.
    """
    if seed is not None and generator is not None:
        raise ValueError("Give seed or generator, not both.")
    return Call(
        steps=config.num_inference_steps if num_inference_steps is None else num_inference_steps,
        guidance=config.guidance_scale if guidance_scale is None else guidance_scale,
        rescale=config.guidance_rescale if guidance_rescale is None else guidance_rescale,
        eta=config.eta if eta is None else eta,
        generator=generator,
        seed=seed,
        callback=callback,
    )
