"""A run without weights: its model goes through the phases of a training, on clips that show nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, get_args

from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from ..backbones.base import Facts
from ..bundle import EXPERTS
from ..data.clips import Look
from ..errors import InputError
from ..methods import find_method
from ..methods.base import Stage
from ..run_config import MemoryConfig, RunConfig
from .blank import BlankRows, Values, blank_batch, blank_clips
from .networks import build_pipeline, plain_parts, read_adapters
from .phases import Taken, fill_cache, networks_of, train, validate
from .shapes import ModelShapes
from .weightless import Weightless, without_values
from .weights import Weights, narrow, weigh

CACHE, TRAINING, VALIDATION = "filling the cache", "training", "validation"
_BASES = get_args(MemoryConfig.model_fields["base"].annotation)
# base, offload -> weights.
ByMemory = dict[tuple[str, bool], Weights]


@dataclass(frozen=True)
class Cached:
    """The filling of the cache.

    Attributes:
        weights: of all networks.
        encoding: by base, of those networks that fill it, where the denoiser can stay in main memory.
        taken: beside the weights.
        kept: part -> what it keeps of one clip.
        facts: of the model's latents.
        waits: whether its blocks can.
    """

    weights: ByMemory
    encoding: dict[str, Weights]
    taken: Taken
    kept: dict[str, Values]
    facts: Facts
    waits: bool = False


@dataclass(frozen=True)
class Stepped:
    """A step of training. unit: bytes of the largest module that shards gather. batch: of the samples of one part."""

    weights: ByMemory
    taken: Taken
    unit: int
    batch: int


@dataclass(frozen=True)
class Validated:
    """A scene of validation."""

    weights: ByMemory
    taken: Taken


@dataclass
class Looker:
    """Looks at runs that differ in a few settings; what they have in common is looked at once.

    Attributes:
        shapes: of the model.
        processes: that share a batch.
        card: whether they train on a graphics card.
    """

    shapes: ModelShapes
    processes: int = 1
    card: bool = True
    seen: dict[tuple, Any] = field(default_factory=dict)

    def cached(self, config: RunConfig) -> Cached:
        """The filling of the cache.

        Raises:
            InputError: a model that the method cannot be run on, or settings that do not go together.
        """
        key = self._key(CACHE, config)
        if key not in self.seen:
            with self._stage(config) as (stage, mode):
                self.seen[key] = self._cached(stage, mode)
        found = self.seen[key]
        if config.memory.offload and not found.waits:
            raise InputError(f"memory.offload: {self.shapes.info.name} has no blocks that can wait: it is for Wan.")
        return found

    def stepped(self, config: RunConfig) -> Stepped:
        """A step of training; raises as :meth:`cached`."""
        training = config.training
        samples = per_part(config, self.processes)
        scenes, parts = bool(config.validation.scenes), min(training.accumulation, 2)
        key = self._key(TRAINING, config, training.gradient_checkpointing, samples, parts, scenes)
        if key not in self.seen:
            kept = self.cached(config).kept
            with self._stage(config) as (stage, mode):
                self.seen[key] = self._stepped(stage, mode, kept, samples)
        return self.seen[key]

    def validated(self, config: RunConfig) -> Validated | None:
        """A scene of validation; None: there are none. Raises as :meth:`cached`."""
        key = self._key(VALIDATION, config)
        if config.validation.scenes and key not in self.seen:
            with self._stage(config) as (stage, _):
                stage.prepare()
                self._narrow(stage)
                weights = _by_memory(stage.pipeline.backbone, networks_of(stage.pipeline))
                taken = validate(stage, config.data.frames, _computes_narrow(config), self.card)
                self.seen[key] = Validated(weights, taken)
        return self.seen.get(key) if config.validation.scenes else None

    @staticmethod
    def _key(phase: str, config: RunConfig, *others: Any) -> tuple:
        return phase, config.data.frames, _computes_narrow(config), *others

    @contextmanager
    def _stage(self, config: RunConfig) -> Iterator[tuple[Stage, Weightless]]:
        method = find_method(config.method)
        method.check_backbone(self.shapes)  # type: ignore[arg-type]  # it looks at the description
        plain, adapters = plain_parts(self.shapes), read_adapters(self.shapes)
        with tempfile.TemporaryDirectory() as folder, without_values(self.card) as mode:
            # What a stage writes, it writes into the run's folder.
            config = config.model_copy(update={"out": Path(folder)})
            yield method.stage(config, build_pipeline(self.shapes, method, config, plain, adapters)), mode

    def _cached(self, stage: Stage, mode: Weightless) -> Cached:
        config, backbone, info = stage.config, stage.pipeline.backbone, self.shapes.info
        data, networks = config.data, networks_of(stage.pipeline)
        weights = _by_memory(backbone, networks)
        there = networks
        if not stage.caches_predictions:
            there = {name: network for name, network in networks.items() if name not in EXPERTS}
        encoding = {base: weigh(backbone, there, MemoryConfig(base=base)) for base in _BASES}
        self._narrow(stage)
        rows = BlankRows(Look(info.height, info.width, data.frames, data.sampling, data.fit))
        taken, kept = fill_cache(stage, rows, data.clips or len(rows), self.card)
        with mode.apart():
            # Under the method's own name: what it adds.
            kept[config.method] = stage.blank(rows.look, kept["latents"]["latents"])
        return Cached(weights, encoding, taken, kept, backbone.facts, backbone.blocks_wait)

    def _stepped(self, stage: Stage, mode: Weightless, kept: Mapping[str, Values], samples: int) -> Stepped:
        config, backbone, info = stage.config, stage.pipeline.backbone, self.shapes.info
        rows = BlankRows(Look(info.height, info.width, config.data.frames))
        stage.prepare()
        self._narrow(stage)
        objective = _objective(stage, mode)
        batch = blank_batch(stage, blank_clips(rows, kept, config.data.frame_stride), samples)
        if not config.validation.scenes:
            backbone.release_encoders()
        networks = networks_of(stage.pipeline)
        weights = _by_memory(backbone, {**networks, "": _apart(objective, networks)})
        narrow_step = config.training.precision != "fp32" and (self.card or config.training.precision == "bf16")
        taken = train(objective, batch, config, narrow_step, config.training.accumulation, self.card)
        units = [sum(p.numel() * p.element_size() for p in unit.parameters()) for unit in backbone.units]
        size = sum(value.numel() * value.element_size() for value in batch.values())
        return Stepped(weights, taken, max(units, default=0), size)

    def _narrow(self, stage: Stage) -> None:
        if _computes_narrow(stage.config):
            narrow(networks_of(stage.pipeline).values())


def _computes_narrow(config: RunConfig) -> bool:
    """Whether frozen weights compute in 16 bits, whatever they are kept in; in fp32 they are widened layer by layer."""
    return config.memory.base != "fp32" and config.training.precision != "fp32"


def per_part(config: RunConfig, processes: int) -> int:
    """Samples of one part of a step in one process.

    Raises:
        InputError: they cannot be shared equally.
    """
    parts = processes * config.training.accumulation
    if config.training.batch_size % parts:
        raise InputError(
            f"training.batch_size {config.training.batch_size} does not divide into {parts} parts ({processes} "
            f"processes, {config.training.accumulation} accumulation): change one."
        )
    return config.training.batch_size // parts


def _by_memory(backbone: Any, networks: Mapping[str, nn.Module]) -> ByMemory:
    return {
        (base, offload): weigh(backbone, networks, MemoryConfig(base=base, offload=offload))
        for base, offload in product(_BASES, (False, True))
    }


def _objective(stage: Stage, mode: Weightless) -> nn.Module:
    """The stage's objective; estimators are read from their files and lose their values afterwards."""
    with mode.apart():
        objective = stage.objective()
    for module in objective.modules():
        tables: list[dict[str, Any]] = [module._parameters, module._buffers]
        for table in tables:
            for name, value in table.items():
                if value is not None and not isinstance(value, FakeTensor):
                    table[name] = mode.like(value)
    return objective


def _apart(objective: nn.Module, networks: Mapping[str, nn.Module]) -> nn.Module:
    """What an objective holds beside the pipeline's networks."""
    known = {id(module) for network in networks.values() for module in network.modules()}
    children = {name: child for name, child in objective.named_children() if name != "networks"}
    return nn.ModuleList(child for child in children.values() if id(child) not in known)
