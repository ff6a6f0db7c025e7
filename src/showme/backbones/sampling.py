"""The sampler's loop, for every backbone and method: from noise to latents, with any diffusers scheduler."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .base import Backbone, Conditions, Known

# Predictions of all branches (K B, ...) at a timestep -> the one that is stepped with (B, ...).
Combine = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Sampling:
    """How latents are sampled.

    Attributes:
        steps: of the scheduler.
        combine: guidance: what becomes of the branches' predictions.
        branches: K, how many rows of the conditions belong to one clip.
        in_turn: whether the branches are asked one after the other, which takes less memory; they are anyhow where
            there is too little for all at once.
        eta: DDIM's stochasticity.
        generator: of the noise; None: the global one.
        start: latents that sampling begins at, noised to the first timestep; None: pure noise.
        after_step: called as ``after_step(index, timestep, latents) -> latents``.
        bar: opens a progress bar over a number of steps.
    """

    steps: int
    combine: Combine
    branches: int = 1
    in_turn: bool = False
    eta: float = 0.0
    generator: torch.Generator | None = None
    start: Tensor | None = None
    after_step: Callable[[int, Tensor, Tensor], Tensor] | None = None
    bar: Callable[..., AbstractContextManager[Any]] | None = None


def sample(
    backbone: Backbone, scheduler: Any, conditions: Conditions, shape: Sequence[int], how: Sampling, still: bool = False
) -> Tensor:
    """Latents (B, C, T', h, w) from noise.

    Args:
        backbone: predicts, with the adapters that are active.
        scheduler: a diffusers scheduler.
        conditions: one row for each branch; known latents of one clip.
        shape: of the latents.
        how: settings.
        still: a single picture is wanted.
    """
    # Branches may differ in what they know of the clip; the last of them knows all.
    known = Known(conditions.known.latents[-1:], conditions.known.where[-1:])
    conditions = conditions.repeated(how.branches) if how.branches > 1 else conditions
    drawn = noise(shape, how.generator, known.latents)
    scheduler.set_timesteps(how.steps, device=drawn.device)
    if how.start is None:
        # Flow-matching schedulers know neither a first sigma nor a scaling: theirs are 1.
        latents = drawn * getattr(scheduler, "init_noise_sigma", 1.0)
    else:
        latents = scheduler.add_noise(how.start, drawn, scheduler.timesteps[:1])
    # A still's only slot is the wanted one, whatever is known beside it.
    hold = (lambda latents, known: latents) if still else backbone.hold
    latents = hold(latents, known)
    scaled = getattr(scheduler, "scale_model_input", lambda latents, t: latents)
    arguments = _step_arguments(scheduler, how)
    ask = _Asked(backbone, conditions, how, still)
    with how.bar(total=how.steps) if how.bar else _NoBar() as bar:
        for index, t in enumerate(scheduler.timesteps):
            # Some schedulers count their steps in it, whoever scales.
            seen = scaled(latents, t)
            seen = latents if backbone.scales_input else seen
            prediction = ask(seen, backbone.path.at(t))
            latents = scheduler.step(how.combine(prediction), t, latents, **arguments)[0]
            latents = hold(latents, known)
            if how.after_step is not None:
                latents = how.after_step(index, t, latents)
            bar.update()
    return latents


class _Asked:
    """The predictions of all branches, together or in turn."""

    def __init__(self, backbone: Backbone, conditions: Conditions, how: Sampling, still: bool):
        self.backbone, self.conditions, self.still = backbone, conditions, still
        self.branches, self.in_turn = how.branches, how.in_turn

    def __call__(self, seen: Tensor, level: Tensor) -> Tensor:
        """Noisy latents (B, ...) -> predictions (K B, ...)."""
        if not self.in_turn:
            try:
                rows = seen.expand(self.branches, *seen.shape[1:])
                return self.backbone.predict(rows, level, self.conditions, self.still)
            except torch.OutOfMemoryError:
                if self.branches == 1:
                    raise
                self.in_turn = True
        each = len(seen)
        parts = (self.conditions.rows(slice(k * each, (k + 1) * each)) for k in range(self.branches))
        return torch.cat([self.backbone.predict(seen, level, part, self.still) for part in parts])


def noise(shape: Sequence[int], generator: torch.Generator | None, like: Tensor) -> Tensor:
    """Noise of ``like``'s precision on its device, drawn where the generator is: a seed means the same on a GPU."""
    device = like.device if generator is None else generator.device
    return torch.randn(tuple(shape), generator=generator, device=device, dtype=like.dtype).to(like.device)


def _step_arguments(scheduler: Any, how: Sampling) -> dict[str, Any]:
    """eta and generator go only to schedulers that know them, so that any diffusers scheduler can be swapped in."""
    names = inspect.signature(scheduler.step).parameters
    known = {"eta": how.eta, "generator": how.generator, "return_dict": False}
    return {name: value for name, value in known.items() if name in names}


class _NoBar:
    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def update(self) -> None:
        """Nothing is shown."""
