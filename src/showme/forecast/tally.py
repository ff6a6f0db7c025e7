"""A run's forecast: what each phase takes on the accelerator, in main memory and on disk, part by part."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..errors import InputError
from ..run_config import RunConfig
from .blank import row_bytes
from .phases import Taken
from .run import CACHE, TRAINING, VALIDATION, Cached, Looker, Stepped, per_part
from .tracking import GRADIENTS
from .weights import Weights

GB = 10**9
# The CUDA context with its kernels, and what cuBLAS and cuDNN work in: 0.5 to 1 GB, by the card and the driver.
ALLOWANCE = GB
# A process with torch, diffusers and transformers imported; and what a reading process has of its own.
PROGRAM, WORKER = GB, GB // 4
# Batches that each reading process has ready.
_AHEAD = 2


@dataclass(frozen=True)
class Place:
    """Main memory, or the accelerator in one phase. parts: what for -> bytes."""

    name: str
    parts: dict[str, int]

    @property
    def total(self) -> int:
        """Bytes."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class Forecast:
    """What a run takes, in bytes; of several processes what each does.

    Attributes:
        model: its name. height, width, frames: of its clips. samples: that are computed with at a time.
        phases: on the accelerator, in their order.
        main: what main memory holds when it holds most.
        clip, sentence: on disk, of each in the cache.
        clips: how many rows there are; None: that is not known.
    """

    model: str
    height: int
    width: int
    frames: int
    samples: int
    phases: list[Place]
    main: Place
    clip: int
    sentence: int
    clips: int | None = field(default=None)

    @property
    def largest(self) -> Place:
        """The phase that takes most."""
        return max(self.phases, key=lambda phase: phase.total)

    @property
    def cache(self) -> int | None:
        """Bytes on disk, as if every clip had a sentence of its own; None: the clips are not known."""
        return None if self.clips is None else self.clips * self.clip + (self.clips + 1) * self.sentence


def forecast(config: RunConfig, looker: Looker, sharded: bool = False) -> Forecast:
    """What a run takes.

    Args:
        config: of the run.
        looker: at its model.
        sharded: whether processes hold shards of what is trained (FSDP2), else all of it each (DDP).

    Raises:
        InputError: as :class:`Looker`'s methods.
    """
    cached, stepped = looker.cached(config), looker.stepped(config)
    memory, processes = (config.memory.base, config.memory.offload), looker.processes
    then = stepped.weights[memory]
    phases = [filling(config, looker)]
    if sharded and processes > 1:
        shared = _shared(_weights(then) | _states(stepped.taken), processes)
        gathered = {"layers that are gathered": 2 * stepped.unit}
        phases.append(Place(TRAINING, shared | gathered | _beside(stepped.taken, then)))
    else:
        copies = {"buckets of DDP": then.trained} if processes > 1 else {}
        phases.append(Place(TRAINING, _weights(then) | _states(stepped.taken) | copies | _beside(stepped.taken, then)))
    if (showing := showing_scenes(config, looker, _states(stepped.taken), sharded)) is not None:
        phases.append(showing)
    info = looker.shapes.info
    return Forecast(
        info.name, info.height, info.width, config.data.frames, per_part(config, processes),
        [Place(each.name, {what: size for what, size in each.parts.items() if size}) for each in phases],
        _main(config, cached, stepped), *_on_disk(cached), _count(config),
    )  # fmt: skip


def filling(config: RunConfig, looker: Looker) -> Place:
    """What filling the cache takes on the accelerator; known sooner than the rest."""
    cached = looker.cached(config)
    base, offload = config.memory.base, config.memory.offload
    # Blocks that wait are there already, and int4 is packed on the card itself.
    there = offload or base == "int4"
    weights = cached.weights[base, offload] if there else cached.encoding[base]
    return Place(CACHE, _weights(weights) | _beside(cached.taken, weights))


def showing_scenes(config: RunConfig, looker: Looker, states: dict[str, int], sharded: bool = False) -> Place | None:
    """What validation takes on the accelerator beside the states of a training; None: there is none."""
    validated = looker.validated(config)
    if validated is None:
        return None
    weights = validated.weights[config.memory.base, config.memory.offload]
    resting = {what: size for what, size in states.items() if what != GRADIENTS}
    if sharded and looker.processes > 1:
        resting = _shared(resting, looker.processes)
    return Place(VALIDATION, _weights(weights) | resting | _beside(validated.taken, weights))


def _weights(weights: Weights) -> dict[str, int]:
    return {
        "frozen weights": weights.frozen,
        "encoders and codec": weights.encoders,
        "trained weights": weights.trained,
    }


def _states(taken: Taken) -> dict[str, int]:
    return {GRADIENTS: taken.gradients, "optimiser state": taken.optimizer, "averaged weights": taken.averages}


def _beside(taken: Taken, weights: Weights) -> dict[str, int]:
    return {
        "activations": taken.activations,
        "a layer widened to 16 bits": weights.widened,
        "allowance for CUDA and its libraries": ALLOWANCE,
    }


def _shared(parts: dict[str, int], processes: int) -> dict[str, int]:
    """Of shards: the encoders alone are whole in every process."""
    whole = "encoders and codec"
    return {what: size if what == whole else math.ceil(size / processes) for what, size in parts.items()}


def _main(config: RunConfig, cached: Cached, stepped: Stepped) -> Place:
    workers = config.training.workers
    parts = {
        "the program": PROGRAM,
        # What waits stays there; the rest is there until it is moved, and again when the model is written.
        "weights as they are read": cached.weights[config.memory.base, False].loaded,
        "reading processes": workers * (WORKER + _AHEAD * stepped.batch),
    }
    return Place("main memory", {what: size for what, size in parts.items() if size})


def _on_disk(cached: Cached) -> tuple[int, int]:
    once = ("text", "null_image")
    clip = {name: values for name, values in cached.kept.items() if name not in once}
    return row_bytes(clip), row_bytes({"text": cached.kept["text"]})


def _count(config: RunConfig) -> int | None:
    """Rows of the training; None where the clips are not here yet."""
    try:
        return len(config.data.source.records(config.data.clips)) * config.data.draws
    except InputError:
        return None if config.data.clips is None else config.data.clips * config.data.draws
