"""Consistency within the phases of a sampler. Nothing is drawn here: a batch decides its loss."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ....backbones.base import Backbone, Conditions, Known
from ....backbones.lora import silenced
from ....backbones.paths import jump
from ....losses.noise_prediction import noise_prediction_loss
from ...objective import BackboneObjective
from ...step import Step, denoising_step
from ..tasks import FAST, STATE_VIDEO


class FastObjective(BackboneObjective):
    """Batch -> ``consistency``: the squared error of what the network predicts, as :class:`FastSamples` collated.

    Args:
        backbone: whose adapter ``fast`` is trained.
        guidance: w in e_uncond + w (e_cond - e_uncond), of the network without it.
    """

    takes_turns = True

    def __init__(self, backbone: Backbone, guidance: float):
        super().__init__(backbone, decodes=False)
        self.guidance, self.left_out = guidance, frozenset[str]()

    def step(self, batch: Mapping[str, Tensor]) -> Step:
        with self._of_its_task(batch) as still:
            return denoising_step(self.backbone, batch, still)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        path = self.backbone.path
        step = self.step(batch)
        noisy, level, edge = step.noisy.float(), batch["level"], batch["edge"]
        with torch.no_grad(), self._of_its_task(batch) as still:
            target = self._target(noisy, batch, still)
        # Divided by what a unit of prediction moves: the error is the prediction's.
        shape = (len(noisy), *[1] * (noisy.ndim - 1))
        unit = jump(path, noisy.new_zeros(shape), noisy.new_ones(shape), level, edge)
        there = jump(path, noisy, step.prediction.float(), level, edge)
        unknown = None if step.held is None else 1 - step.held.where
        return {"consistency": noise_prediction_loss(there / unit, target / unit, unknown)}

    def _target(self, noisy: Tensor, batch: Mapping[str, Tensor], still: bool) -> Tensor:
        """Where the phase ends from one substep further on."""
        path, level, following, edge = self.backbone.path, batch["level"], batch["next"], batch["edge"]
        with self._without({FAST}):
            guided = self._guided(noisy, batch, still).float()
        further = jump(path, noisy, guided, level, following)
        # Whoever has arrived goes no further; what is asked of them there is not used.
        arrived = following == edge
        at = torch.where(arrived, level, following)
        asked = self.backbone.predict(further, at, self._conditions(batch, batch["text"], "image"), still).float()
        onward = jump(path, further, asked, at, edge)
        return torch.where(arrived.view(-1, *[1] * (noisy.ndim - 1)), further, onward)

    def _guided(self, noisy: Tensor, batch: Mapping[str, Tensor], still: bool) -> Tensor:
        said = self.backbone.predict(noisy, batch["level"], self._conditions(batch, batch["text"], "image"), still)
        if self.guidance == 1:
            return said
        empty = self._conditions(batch, batch["null_text"], "null_image")
        unsaid = self.backbone.predict(noisy, batch["level"], empty, still)
        return unsaid + self.guidance * (said - unsaid)

    def _conditions(self, batch: Mapping[str, Tensor], text: Tensor, image: str) -> Conditions:
        known = Known(batch["known"], batch["where"])
        return Conditions(text, self.backbone.project(batch.get(image)), known, batch.get("scalar"))

    def checkpointed(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """As diffusers checkpoints: what the backward pass computes again is computed with the adapters of the forward
        pass, whose context is closed by then."""
        names = self.left_out

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return contextlib.nullcontext(), self._without(names)

        return checkpoint(function, *arguments, use_reentrant=False, context_fn=contexts)

    @contextlib.contextmanager
    def _of_its_task(self, batch: Mapping[str, Tensor]) -> Iterator[bool]:
        """While open, the experts run as for the task of a batch; gives whether it is a still, which knows nothing of
        the video's adapter."""
        still = batch["latents"].shape[2] == 1
        self.left_out = frozenset({STATE_VIDEO} if still else ())
        with self._without(self.left_out):
            yield still

    def _without(self, names: Iterable[str]) -> AbstractContextManager[None]:
        """While open, the experts run without some adapters."""
        return silenced(nn.ModuleList(self.backbone.experts), names)
