"""A run of training from its settings to a finished model: what puts a method, its data and the trainer together."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from .bundle import BundleFiles, BundleInfo, load_pipeline, open_bundle, save_bundle
from .bundle_weights import stored_dtype
from .data.cache import Part, build_parts, missing_shards
from .data.clips import Look
from .data.rows import ClipRows
from .data.sources import Record
from .errors import InputError
from .methods.showme import ShowMePipeline
from .methods.showme.adapters import STATE_VIDEO
from .methods.showme.cache import CachedClips, Progress, check_lengths, clip_parts, open_cache
from .methods.showme.config import ShowMeConfig
from .methods.showme.objective import ShowMeObjective
from .methods.showme.samples import Draw, StateImageSamples, StateVideoSamples
from .methods.showme.trainable import prepare
from .methods.showme.validation import Validator
from .perception import depth_eye, edge_eye
from .preparation.on_ray import build_on_ray
from .run_clips import RunClips
from .run_folder import MODEL, begin_folder
from .run_input import RunInput, find_input, find_records
from .training import CHECKPOINTS, Trainer
from .training.checkpoint import load_weights, newest_checkpoint


def train(config: ShowMeConfig, progress: Progress | None = None, found: RunInput | None = None) -> Path:
    """Train or resume; returns the folder of the finished model (None of it is written before the end).

    Args:
        config: the run's settings.
        progress: told of the rows that are cached before training.
        found: of :func:`showme.run_input.find_input`, where it was called already.

    Raises:
        InputError: the settings do not fit the model, the clips, or the run that is to be resumed, which was begun with
            other clips or instructions.
    """
    found = found or find_input(config)
    files = found.files
    rows = clip_rows(config, files.info, found.records)
    run_clips = RunClips(config.out, rows, files.hash)
    pipeline = pipeline_for(config, files, _own_device())
    clips = _open(config, rows, clip_parts(pipeline, rows, config.rewards), progress)
    run_clips.check_pixels(clips.checksum, pipeline.device)
    prepare(pipeline, config)
    objective = build_objective(pipeline, config)
    samples = build_samples(clips, pipeline, config)
    trainer = Trainer(objective, samples, config.training, config.out, f"{config.stage} of {config.out.name}")
    validator = Validator(config, (files.info.height, files.info.width))
    if config.validation.source is not None:
        check_lengths(pipeline, validator.records)
    if validator.records:
        # A sharded network cannot be run by one process: there the checkpoint is looked at.
        trainer.validate = lambda step: validator.run(
            step, tuned_pipeline(config, files) if trainer.sharded else pipeline
        )
    begin_folder(config.out, config)
    run_clips.keep()
    trainer.run()
    if trainer.accelerator.is_main_process:
        export(config, files)
    trainer.accelerator.wait_for_everyone()
    return config.out / MODEL


def fill_cache(config: ShowMeConfig, progress: Progress | None = None, ray: str | None = None) -> int:
    """Compute what training with these settings reads; returns the number of rows.

    Args:
        config: the run's settings.
        progress: told how far each part is.
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


def cache_parts(config: ShowMeConfig) -> tuple[ClipRows, list[Part]]:
    """The clips of a run, and what is kept of them; nothing is computed yet."""
    files = open_bundle(config.model)
    rows = clip_rows(config, files.info)
    return rows, clip_parts(pipeline_for(config, files), rows, config.rewards)


def pipeline_for(config: ShowMeConfig, files: BundleFiles, device: str | None = None) -> ShowMePipeline:
    """The model that is tuned, in fp32, with the run's choice of what becomes of long instructions."""
    pipeline = load_pipeline(files, device, torch.float32)
    if config.data.long_instructions is not None:
        pipeline.register_to_config(long_instructions=config.data.long_instructions)
    return pipeline


class CacheMaker:
    """Makes the parts of a run's cache anew, in another process."""

    def __init__(self, config: ShowMeConfig):
        self.config = config

    def __call__(self) -> list[Part]:
        return cache_parts(self.config)[1]


def check_clips(config: ShowMeConfig) -> None:
    """Refuse a run that was begun with other clips than it reads now; nothing is trained.

    Raises:
        InputError: as :func:`train`.
    """
    files = open_bundle(config.model)
    rows = clip_rows(config, files.info)
    run_clips = RunClips(config.out, rows, files.hash)
    if run_clips.written:
        pipeline = pipeline_for(config, files, _own_device())
        clips = _open(config, rows, clip_parts(pipeline, rows), None)
        run_clips.check_pixels(clips.checksum, pipeline.device)


def clip_rows(config: ShowMeConfig, info: BundleInfo, records: list[Record] | None = None) -> ClipRows:
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


def build_objective(pipeline: ShowMePipeline, config: ShowMeConfig) -> ShowMeObjective:
    """The stage's objective on the pipeline's networks, which are put into training mode."""
    makers = {"edge": edge_eye, "depth": depth_eye}
    eyes: dict[str, nn.Module] = {name: makers[name](eye) for name, eye in config.rewards.structure.items()}
    if config.training.gradient_checkpointing:
        pipeline.unet.enable_gradient_checkpointing()
    objective = ShowMeObjective(
        pipeline.unet,
        pipeline.image_projector,
        pipeline.scheduler,
        temporal=config.stage == STATE_VIDEO,
        vae=pipeline.vae if eyes else None,
        eyes=eyes,
        motion=config.rewards.motion is not None,
        weights=config.rewards.weights,
    )
    pipeline.unet.train()
    pipeline.image_projector.train()
    return objective


def build_samples(clips: CachedClips, pipeline: ShowMePipeline, config: ShowMeConfig):
    """The stage's samples of cached clips."""
    draw = Draw(
        seed=config.training.seed,
        dropout=config.dropout,
        timesteps=pipeline.scheduler.config.num_train_timesteps,
        timestep_power=config.timestep_power,
        goal_share=config.goal_share,
    )
    return (StateVideoSamples if config.stage == STATE_VIDEO else StateImageSamples)(clips, draw)


def export(config: ShowMeConfig, files: BundleFiles) -> str:
    """Write the model of the newest checkpoint to ``out``/model; returns its hash."""
    pipeline = tuned_pipeline(config, files)
    _narrow_frozen(pipeline, stored_dtype(files.folder / "unet"))
    info = files.info.model_dump() | {"name": config.out.name}
    if config.stage == STATE_VIDEO:
        info["num_frames"] = config.data.frames
    return save_bundle(pipeline, BundleInfo(**info), config.out / MODEL)


def _narrow_frozen(pipeline: ShowMePipeline, dtype: torch.dtype) -> None:
    """Give base weights that were not trained the precision that they were stored in; the others keep their own."""
    for component in pipeline.components.values():
        if isinstance(component, nn.Module):
            for name, parameter in component.named_parameters():
                if not parameter.requires_grad and ".lora_" not in name:
                    parameter.data = parameter.data.to(dtype)


def tuned_pipeline(config: ShowMeConfig, files: BundleFiles) -> ShowMePipeline:
    """The model that was tuned with the weights of the run's newest checkpoint in place."""
    pipeline = pipeline_for(config, files, "cpu")
    prepare(pipeline, config)
    newest = newest_checkpoint(config.out / CHECKPOINTS)
    if newest is None:
        raise InputError(f"{config.out} has no checkpoint yet: train first.")
    load_weights(newest, {"unet": pipeline.unet, "projector": pipeline.image_projector})
    if config.stage == STATE_VIDEO:
        pipeline.register_to_config(
            num_frames=config.data.frames,
            repeat_first_frame=False,
            goal_conditioning=config.goal_share > 0 or pipeline.config.goal_conditioning,
        )
    return pipeline


def _open(config: ShowMeConfig, rows: ClipRows, parts: list[Part], progress: Progress | None) -> CachedClips:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and missing_shards(config.data.cache, parts):
        raise InputError(
            f"The cache {config.data.cache} is not complete: run `showme data cache` with these settings first, so "
            "that the processes need not wait for one."
        )
    return open_cache(config.data.cache, rows, parts, config.data.frame_stride, progress)


def _own_device() -> str | None:
    """The device of this one of several processes; None: whatever there is."""
    if os.environ.get("ACCELERATE_USE_CPU"):
        return "cpu"
    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{local}" if local is not None and torch.cuda.is_available() else None
