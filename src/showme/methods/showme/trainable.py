"""What a stage of ShowMe trains (figure 2): its adapters are added, everything else is frozen."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig
from torch import nn

from ...backbones.base import Backbone
from ...backbones.lora import add_fresh_adapter, drop_adapter, lora_config
from ...errors import InputError
from .config import ShowMeConfig
from .tasks import FAST, STATE_IMAGE, STATE_VIDEO

# Of the image projector, beside the backbone's denoiser.
_PROJECTOR = "image_projector"


def prepare(backbone: Backbone, config: ShowMeConfig) -> None:
    """Add the stage's adapters to the networks and make trainable what the settings train, nothing else.

    Raises:
        InputError: adapters that the settings do not expect.
    """
    networks: dict[str, Any] = dict(backbone.networks)
    denoiser, experts = networks[backbone.denoiser], backbone.experts
    if config.image_temporal_convolutions is not None:
        denoiser.register_to_config(image_mode_temporal_conv=config.image_temporal_convolutions)
    present = getattr(denoiser, "peft_config", {})
    if config.tuning == "full":
        if present:
            raise InputError(f"{config.model} has adapters: tuning=full is for a model without any.")
        _train_everything(backbone, temporal=config.stage == STATE_VIDEO)
        return
    # The second stage stands on the first: where that is trained on, the second is of no use any more.
    stale = {STATE_VIDEO} if config.stage == STATE_IMAGE else set()
    _drop_adapters(networks.values(), stale | ({config.stage} if config.fresh else set()))
    # Its first weights are random, and a resumed run must begin with the same.
    torch.manual_seed(config.training.seed)
    _add_adapters(backbone, config, config.stage in present)
    for expert in experts:
        # Beside what others trained for fewer steps nothing is trained but that.
        active = (STATE_IMAGE, STATE_VIDEO, *((FAST,) if config.stage == FAST else ()))
        expert.set_adapters([name for name in active if name in expert.peft_config])
        for name, parameter in expert.named_parameters():
            parameter.requires_grad_(f".{config.stage}." in name)
    train_projector = config.stage == STATE_IMAGE and config.adapter.projector != "frozen"
    for name, parameter in networks[_PROJECTOR].named_parameters() if _PROJECTOR in networks else ():
        parameter.requires_grad_(train_projector and (config.adapter.projector == "full" or f".{STATE_IMAGE}." in name))


def adapter_config(
    backbone: Backbone, adapter: str, rank: int, dropout: float, feed_forward_rank: int | None = None
) -> LoraConfig:
    """An adapter's places: spatial layers for ``state_image``, spatial and temporal ones for the others.

    Args:
        backbone: whose experts it adapts.
        adapter: its name.
        rank: of attention.
        dropout: on the adapter's input.
        feed_forward_rank: of feed-forward layers; as ``rank`` when None, left out when 0.

    Raises:
        ValueError: another adapter name.
    """
    halves = {STATE_IMAGE: "spatial", STATE_VIDEO: "all", FAST: "all"}
    if adapter not in halves:
        raise ValueError(f"adapter {adapter!r}: choose {', '.join(halves)}.")
    feed_forward_rank = rank if feed_forward_rank is None else feed_forward_rank
    names = backbone.targets(halves[adapter], feed_forward=feed_forward_rank > 0)
    attention = set(backbone.targets(halves[adapter], feed_forward=False))
    return lora_config(names, rank, dropout, ([name for name in names if name not in attention], feed_forward_rank))


def projector_config(backbone: Backbone, rank: int, dropout: float) -> LoraConfig:
    """LoRA on the attentions of the image projector ("Q-Former")."""
    places = backbone.projector_targets()
    doubled = [name for name, times in places.items() if times == 2]
    return lora_config(list(places), rank, dropout, (doubled, 2 * rank))


def _drop_adapters(networks, names: set[str]) -> None:
    for network in networks:
        for name in names & set(getattr(network, "peft_config", {})):
            drop_adapter(network, name)


def _add_adapters(backbone: Backbone, config: ShowMeConfig, present: bool) -> None:
    networks, adapter = backbone.networks, config.adapter
    if not present:
        for expert in backbone.experts:
            place = adapter_config(backbone, config.stage, config.rank, adapter.dropout, config.feed_forward_rank)
            add_fresh_adapter(expert, config.stage, place)
    wanted = config.stage == STATE_IMAGE and adapter.projector == "lora" and _PROJECTOR in networks
    if wanted and STATE_IMAGE not in getattr(networks[_PROJECTOR], "peft_config", {}):
        add_fresh_adapter(
            networks[_PROJECTOR], STATE_IMAGE, projector_config(backbone, adapter.projector_rank, adapter.dropout)
        )


def _train_everything(backbone: Backbone, temporal: bool) -> None:
    networks: dict[str, nn.Module] = dict(backbone.networks)
    for name, parameter in networks.pop(backbone.denoiser).named_parameters():
        parameter.requires_grad_(temporal or not ("temporal" in name or name.startswith("scalar_embedding")))
    for network in networks.values():
        network.requires_grad_(True)
