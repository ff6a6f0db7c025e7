"""What each phase of a run takes beside its weights: filling the cache, a step of training, validation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from diffusers.training_utils import EMAModel
from PIL import Image
from torch import Tensor, nn

from ..methods.base import Pipeline, Stage
from ..methods.cached import clip_parts
from ..run_config import RunConfig
from ..training.checkpoint import named_trainable
from ..training.trainer import make_optimizer
from .blank import BlankRows, Values, chunk_of, first_row
from .tracking import ACTIVATIONS, GRADIENTS, MemoryTracker

WEIGHTS, OPTIMIZER, AVERAGES = "weights", "optimizer", "averages"
# A step's parts beyond these hold what the second does: its own activations beside gradients that stay.
_PARTS = 2


@dataclass(frozen=True)
class Taken:
    """Bytes at the peak of a phase, weights aside."""

    activations: int
    gradients: int = 0
    optimizer: int = 0
    averages: int = 0


def networks_of(pipeline: Pipeline) -> dict[str, nn.Module]:
    """The components that have weights, those that the method has added with them, by name."""
    parts = {**pipeline.components, **pipeline.backbone.networks}
    return {name: part for name, part in parts.items() if isinstance(part, nn.Module)}


def fill_cache(stage: Stage, rows: BlankRows, clips: int, card: bool) -> tuple[Taken, dict[str, Values]]:
    """Encode blank clips as the cache is filled.

    Returns:
        What that takes, and part -> what it keeps of one clip.
    """
    backbone = stage.pipeline.backbone
    tracker = _tracker(networks_of(stage.pipeline).values(), _granularity(card))
    kept: dict[str, Values] = {}
    with tracker, torch.no_grad():
        for part in clip_parts(backbone, rows):
            # Of sentences there is the empty one beside every clip's.
            chosen = chunk_of(part, clips + 1 if part.name == "text" else clips)
            kept[part.name] = first_row(part.encode(chosen))
    return Taken(tracker.peak[ACTIVATIONS]), kept


def train(
    objective: nn.Module, batch: Mapping[str, Tensor], config: RunConfig, narrow: bool, parts: int, card: bool
) -> Taken:
    """One step of training, the second: optimiser and averages are there from the beginning.

    Args:
        objective: on networks of which it is said what is trained.
        batch: of one part of a step.
        config: of the run.
        narrow: whether under bf16 autocast.
        parts: that the step is taken in.
        card: whether on a graphics card.
    """
    settings = config.training
    modules: dict[str, nn.Module] = objective.trained  # type: ignore[assignment]
    parameters = named_trainable(modules)
    tracker = _tracker([objective], _granularity(card))
    with tracker:
        optimizer = make_optimizer(settings.optimizer, modules.values(), parameters.values(), foreach=card)
        for parameter in parameters.values():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average = EMAModel(parameters.values(), decay=settings.ema) if settings.ema else None
        tracker.count([dict(state) for state in optimizer.state.values()], OPTIMIZER)
        tracker.count([] if average is None else average.shadow_params, AVERAGES)
        handles = tracker.watch_gradients(parameters.values())
        tracker.forget_peak()
        for _ in range(min(parts, _PARTS)):
            with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
                terms = objective(batch)
            # As ``backward()``, which asks by another name than :mod:`.weightless` answers.
            torch.autograd.backward(torch.stack(list(terms.values())).sum() / parts)
            del terms
        _update(list(parameters.values()), optimizer, settings.optimizer.clip_norm)
        if average is not None:
            average.step(parameters.values())
    for handle in handles:
        handle.remove()
    peak = tracker.peak
    return Taken(peak[ACTIVATIONS], peak[GRADIENTS], peak[OPTIMIZER], peak[AVERAGES])


def validate(stage: Stage, frames: int, narrow: bool, card: bool) -> Taken:
    """One denoising step and the decoding of one scene by the public pipeline; narrow: whether weights are rounded."""
    pipeline, size = stage.pipeline, stage.pipeline.config
    tracker = _tracker(networks_of(pipeline).values(), _granularity(card))
    photo = Image.new("RGB", (size.width, size.height))
    pipeline.set_progress_bar_config(disable=True)
    for network in networks_of(pipeline).values():
        network.eval()
    if narrow:
        # Nothing can be added to weights that are rounded: adapters run beside them.
        pipeline.active_adapters = dict.fromkeys(pipeline.active_adapters, ())
    with tracker, torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=narrow):
        pipeline(
            photo, "a sentence", stage.task, num_frames=frames, num_inference_steps=1, seed=0,
            output_type="pt",
        )  # fmt: skip
    return Taken(tracker.peak[ACTIVATIONS])


def _update(parameters: list[Tensor], optimizer: torch.optim.Optimizer, clip_norm: float | None) -> None:
    """As the trainer's, without the norm being looked at."""
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if clip_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _tracker(networks: Iterable[nn.Module], granularity: int) -> MemoryTracker:
    tracker = MemoryTracker(granularity)
    for network in networks:
        tracker.count([*network.parameters(), *network.buffers()], WEIGHTS)
    return tracker


def _granularity(card: bool) -> int:
    # CUDA's allocator gives whole pieces of this.
    return 512 if card else 1
