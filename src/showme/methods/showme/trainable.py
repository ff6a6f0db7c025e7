"""What a stage of ShowMe trains: its adapters are added, everything else is frozen."""

from __future__ import annotations

import warnings

import torch

from ...errors import InputError
from .adapters import STATE_IMAGE, STATE_VIDEO, add_fresh_adapter, lora_config, projector_lora_config
from .config import ShowMeConfig
from .saved import ShowMePipeline


def prepare(pipeline: ShowMePipeline, config: ShowMeConfig) -> None:
    """Add the stage's adapters to the pipeline's networks and make trainable what the settings train, nothing else.

    Raises:
        InputError: adapters that the settings do not expect.
    """
    unet, projector = pipeline.unet, pipeline.image_projector
    if config.image_temporal_convolutions is not None:
        unet.register_to_config(image_mode_temporal_conv=config.image_temporal_convolutions)
    present = getattr(unet, "peft_config", {})
    if config.tuning == "full":
        if present:
            raise InputError(f"{config.model} has adapters: tuning=full is for a model without any.")
        _train_everything(pipeline, temporal=config.stage == STATE_VIDEO)
        return
    # The second stage stands on the first: where that is trained on, the second is of no use any more.
    stale = {STATE_VIDEO} if config.stage == STATE_IMAGE else set()
    _drop_adapters(pipeline, stale | ({config.stage} if config.fresh else set()))
    # Its first weights are random, and a resumed run must begin with the same.
    torch.manual_seed(config.training.seed)
    _add_adapters(pipeline, config, config.stage in present)
    unet.set_adapters([name for name in (STATE_IMAGE, STATE_VIDEO) if name in unet.peft_config])
    train_projector = config.stage == STATE_IMAGE and config.adapter.projector != "frozen"
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_(f".{config.stage}." in name)
    for name, parameter in projector.named_parameters():
        parameter.requires_grad_(train_projector and (config.adapter.projector == "full" or f".{STATE_IMAGE}." in name))


def _drop_adapters(pipeline: ShowMePipeline, names: set[str]) -> None:
    for network in (pipeline.unet, pipeline.image_projector):
        for name in names & set(getattr(network, "peft_config", {})):
            with warnings.catch_warnings():
                # It was active: which are active is said below.
                warnings.filterwarnings("ignore", message="Adapter .* was active which is now deleted")
                network.delete_adapters(name)


def _add_adapters(pipeline: ShowMePipeline, config: ShowMeConfig, present: bool) -> None:
    unet, projector, adapter = pipeline.unet, pipeline.image_projector, config.adapter
    if not present:
        place = lora_config(unet, config.stage, config.rank, adapter.dropout, config.feed_forward_rank)
        add_fresh_adapter(unet, config.stage, place)
    wanted = config.stage == STATE_IMAGE and adapter.projector == "lora"
    if wanted and STATE_IMAGE not in getattr(projector, "peft_config", {}):
        place = projector_lora_config(projector, adapter.projector_rank, adapter.dropout)
        add_fresh_adapter(projector, STATE_IMAGE, place)


def _train_everything(pipeline: ShowMePipeline, temporal: bool) -> None:
    for name, parameter in pipeline.unet.named_parameters():
        parameter.requires_grad_(temporal or not ("temporal" in name or name.startswith("scalar_embedding")))
    pipeline.image_projector.requires_grad_(True)
