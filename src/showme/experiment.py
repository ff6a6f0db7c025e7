"""A run of training from its settings to a finished model: what puts a method, its data and the trainer together.

The settings walk down once: the run's own fields here, ``data`` into the rows of clips, ``validation`` into the
validator, ``training`` into the trainer, and the whole into the method's stage, which reads what is the method's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .backbones.lora import is_of_an_adapter
from .backbones.waiting import bring
from .base_model import record_base
from .bundle import BundleFiles, BundleInfo, open_bundle
from .data.cache import Part, build_parts, missing_shards
from .data.cache.build import Progress
from .data.clips import Look
from .data.rows import ClipRows
from .data.sources import Record
from .errors import InputError
from .methods import find_method
from .methods.base import Stage
from .methods.cached import CachedClips, check_lengths, open_cache
from .methods.objective import BackboneObjective
from .methods.strength import adapter_strength
from .pipelines import Thin, load_pipeline, save_bundle
from .preparation.on_ray import build_on_ray
from .quantization import Base, Precision
from .run_clips import RunClips
from .run_config import RunConfig
from .run_folder import MODEL, begin_folder
from .run_input import RunInput, find_input, find_records
from .run_validation import Validator
from .training import CHECKPOINTS, Trainer
from .training.checkpoint import load_weights, newest_checkpoint
from .training.distributed import own


@dataclass(frozen=True)
class Run:
    """A run whose model and clips are there; nothing is computed yet.

    Attributes:
        config: its settings.
        files: of the model that is tuned.
        rows: the clips, as the model sees them, with instructions as it reads them.
        stage: the method's part of it, on the model's pipeline.
    """

    config: RunConfig
    files: BundleFiles
    rows: ClipRows
    stage: Stage

    def clips(self, progress: Progress | None = None) -> CachedClips:
        """What training reads of the clips; what is missing is computed first.

        Raises:
            InputError: a clip that cannot be read, or one of several processes that would have to wait for the cache.
        """
        data, parts = self.config.data, self.stage.parts(self.rows)
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 and missing_shards(data.cache, parts):
            raise InputError(
                f"The cache {data.cache} is not complete: run `showme data cache` with these settings first, so "
                "that the processes need not wait for one."
            )
        return open_cache(data.cache, self.rows, parts, data.frame_stride, progress)


def open_run(config: RunConfig, found: RunInput | None = None, device: str | None = None) -> Run:
    """Load the model of a run and find its clips.

    Args:
        config: the run's settings.
        found: its model and clips, where they were found already.
        device: of the networks; None: whatever there is.

    Raises:
        InputError: no such model or clips, wrong annotations, or a model that the method cannot be run on.
    """
    if found is None:
        files = open_bundle(config.model)
        found = RunInput(files, find_records(config, files.info))
    return _run(config, found, clip_rows(config, found.files.info, found.records), device)


def _run(config: RunConfig, found: RunInput, rows: ClipRows, device: str | None) -> Run:
    return Run(config, found.files, rows, _stage(config, found.files, device))


def train(config: RunConfig, progress: Progress | None = None, found: RunInput | None = None) -> Path:
    """Train or resume; returns the folder of the finished model (None of it is written before the end).

    Args:
        config: the run's settings.
        progress: called for the rows that are cached before training.
        found: of :func:`showme.run_input.find_input`, where it was called already.

    Raises:
        InputError: the settings do not fit the model, the clips, or the run that is to be resumed, which was begun with
            other clips or instructions.
    """
    _check_processes(config)
    found = found or find_input(config)
    files, rows = found.files, clip_rows(config, found.files.info, found.records)
    # What needs no network is refused before one is loaded.
    run_clips = RunClips(config.out, rows, files.hash)
    run = _run(config, found, rows, _own_device())
    clips = run.clips(progress)
    run_clips.check_pixels(clips.checksum, run.stage.pipeline.backbone.device)
    _prepare(run.stage)
    objective = run.stage.objective()
    _check_trained(config.method, objective, run.stage)
    trainer = Trainer(objective, run.stage.samples(clips), config.training_here, config.out, config.title)
    validator = Validator(config, run.stage.task, (files.info.height, files.info.width))
    if config.validation.source is not None:
        check_lengths(run.stage.pipeline.backbone, validator.records)
    if validator.records:
        trainer.validate = lambda step: _validate(validator, step, trainer, run.stage, files)
    else:
        run.stage.pipeline.backbone.release_encoders()
    begin_folder(config.out, config)
    run_clips.keep()
    trainer.run()
    if trainer.accelerator.is_main_process:
        export(config, files)
    trainer.accelerator.wait_for_everyone()
    return config.out / MODEL


def _validate(validator: Validator, step: int, trainer: Trainer, stage: Stage, files: BundleFiles) -> None:
    """Show the scenes, and measure how much the adapters do."""
    objective = trainer.objective
    if trainer.sharded:
        # A sharded network cannot be run by one process: there the checkpoint is looked at.
        stage = _tuned_stage(stage.config, files)
        stage.finish(files.info)
        objective = stage.objective().eval()
    strengths = []
    if isinstance(objective, BackboneObjective):
        strengths = adapter_strength(objective, trainer.samples, trainer.narrow)
    validator.run(step, stage.pipeline, strengths)


def _check_processes(config: RunConfig) -> None:
    """Refuse what one process alone can do.

    Raises:
        InputError: names the field.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return
    if config.memory.offload:
        raise InputError("memory.offload is for one process: leave it out, and let FSDP2 share the weights out.")
    if config.memory.base != "fp32" and os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("true", "1"):
        raise InputError("FSDP2 shards weights of one precision: set memory.base to fp32, or launch without it.")


def _prepare(stage: Stage) -> None:
    """The networks as they are trained; what trains is in fp32, however narrow the rest."""
    stage.prepare()
    for network in stage.pipeline.backbone.networks.values():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()


def _check_trained(method: str, objective: nn.Module, stage: Stage) -> None:
    """Refuse an objective whose checkpoints nobody could put back into the model, before a step is taken.

    Raises:
        InputError: names the module.
    """
    networks = stage.pipeline.backbone.networks
    trained = own(objective, "trained", {"objective": objective})
    for name, module in trained.items():
        if module is not networks.get(name):
            raise InputError(
                f"The method {method} trains a module {name!r} that is no component of its backbone: its objective's "
                f"`trained` must name {', '.join(networks)} as the backbone does."
            )


def fill_cache(config: RunConfig, progress: Progress | None = None, ray: str | None = None) -> int:
    """Compute what training with these settings reads; returns the number of rows.

    Args:
        config: the run's settings.
        progress: called with how far each part is.
        ray: address of a Ray cluster that computes it; None: this process does.

    Raises:
        InputError: no such model or clips, or a clip that cannot be read.
    """
    rows, parts = cache_parts(config)
    if config.validation.source is not None:
        # Only the training reads them: a set that is not there should not be found out hours later.
        config.validation.source.records(config.validation.scenes)
    if ray is None:
        build_parts(config.data.cache, parts, progress)
    else:
        build_on_ray(config.data.cache, parts, CacheMaker(config), ray, progress)
    return len(rows)


def cache_parts(config: RunConfig) -> tuple[ClipRows, list[Part]]:
    """The clips of a run, and what is kept of them; nothing is computed yet."""
    run = open_run(config)
    return run.rows, run.stage.parts(run.rows)


class CacheMaker:
    """Makes the parts of a run's cache anew, in another process."""

    def __init__(self, config: RunConfig):
        self.config = config

    def __call__(self) -> list[Part]:
        return cache_parts(self.config)[1]


def check_clips(config: RunConfig) -> None:
    """Refuse a run that was begun with other clips than it reads now; nothing is trained.

    Raises:
        InputError: as :func:`train`.
    """
    files = open_bundle(config.model)
    found = RunInput(files, find_records(config, files.info))
    rows = clip_rows(config, files.info, found.records)
    run_clips = RunClips(config.out, rows, files.hash)
    if run_clips.written:
        run = _run(config, found, rows, _own_device())
        run_clips.check_pixels(run.clips().checksum, run.stage.pipeline.backbone.device)


def clip_rows(config: RunConfig, info: BundleInfo, records: list[Record] | None = None) -> ClipRows:
    """The clips of a run, as the model sees them, with instructions as it reads them.

    Args:
        config: the run's settings.
        info: of the model.
        records: of :func:`showme.run_input.find_records`, where they were found already.

    Raises:
        InputError: wrong annotations, or a clip that is missing.
    """
    data = config.data
    look = Look(info.height, info.width, data.frames, data.sampling, data.fit, config.training.seed)
    return ClipRows(find_records(config, info) if records is None else records, look, data.draws)


def export(config: RunConfig, files: BundleFiles) -> str:
    """Write the model of the newest checkpoint to ``out``/model; returns its hash."""
    stage = _tuned_stage(config, files)
    pipeline = stage.pipeline
    # What a thin model below holds as a whole is none of the base's: it comes along.
    held = {name for name in pipeline.components if files.base is not None and files.path(name) != files.base / name}
    trained = tuple(sorted({*_trained_whole(pipeline), *held, *stage.rewritten}))
    _narrow_frozen(pipeline, files)
    info = stage.finish(files.info).model_copy(update={"name": config.out.name, "method": config.method})
    thin = None
    if config.bundle == "thin":
        thin = Thin(files.info.base or record_base(config.model, files.folder), trained)
    return save_bundle(pipeline, info, config.out / MODEL, thin=thin)


def _tuned_stage(config: RunConfig, files: BundleFiles) -> Stage:
    newest = newest_checkpoint(config.out / CHECKPOINTS)
    if newest is None:
        raise InputError(f"{config.out} has no checkpoint yet: train first.")
    # Packed weights cannot be written, and a whole model is to have those that it came with.
    base: Precision = "fp32" if config.bundle == "whole" or config.memory.base == "fp32" else "bf16"
    stage = _stage(config, files, "cpu", base)
    _prepare(stage)
    load_weights(newest, stage.pipeline.backbone.networks)
    return stage


def _stage(config: RunConfig, files: BundleFiles, device: str | None, base: Precision | None = None) -> Stage:
    """The method's part of a run, with the run's choice of what becomes of long instructions.

    Args:
        config: the run's settings.
        files: of the model.
        device: of the networks; None: whatever there is.
        base: precision of frozen weights, in place of the settings' and without anything that waits.
    """
    kept = Base(config.memory.base, config.memory.offload) if base is None else Base(base)
    pipeline = load_pipeline(files, device, method=config.method, base=kept)
    if config.data.long_instructions is not None:
        pipeline.register_to_config(long_instructions=config.data.long_instructions)
    stage = find_method(config.method).stage(config, pipeline)
    if stage.caches_predictions:
        for network in pipeline.backbone.networks.values():
            bring(network, pipeline.backbone.device)
    return stage


def _trained_whole(pipeline: Any) -> tuple[str, ...]:
    """Components whose own weights take gradients, not only those of their adapters."""
    return tuple(
        name
        for name, component in pipeline.components.items()
        if isinstance(component, nn.Module)
        and any(p.requires_grad and not is_of_an_adapter(component, key) for key, p in component.named_parameters())
    )


def _narrow_frozen(pipeline: Any, files: BundleFiles) -> None:
    """Give weights that were not trained the precision that they were stored in; the others keep their own."""
    from .pipeline_files import stored_dtype

    for component_name, component in pipeline.components.items():
        # What the method has added was never stored.
        if isinstance(component, nn.Module) and files.path(component_name).is_dir():
            dtype = stored_dtype(files.path(component_name))
            for name, parameter in component.named_parameters():
                if not parameter.requires_grad and not is_of_an_adapter(component, name):
                    parameter.data = parameter.data.to(dtype)


def _own_device() -> str | None:
    """The device of this one of several processes; None: whatever there is."""
    if os.environ.get("ACCELERATE_USE_CPU"):
        return "cpu"
    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{local}" if local is not None and torch.cuda.is_available() else None
