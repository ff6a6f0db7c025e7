"""What the objectives of all methods have in common: the networks of a backbone, as trainer and checkpoints ask."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from ..backbones.base import Backbone
from ..backbones.lora import silenced, trained_adapters
from ..backbones.waiting import bring
from .step import Step, denoising_step


class BackboneObjective(nn.Module):
    """Batch -> named terms, whose sum is minimised; a subclass has ``forward``.

    Args:
        backbone: its networks are trained, as far as their parameters take gradients.
        decodes: whether a term looks at pictures: the codec is then moved and counted with the others; its weights are
            frozen.
    """

    #: Whether single pictures are wanted.
    still = False

    def __init__(self, backbone: Backbone, decodes: bool):
        super().__init__()
        self.backbone = backbone
        self.networks = nn.ModuleDict(backbone.networks)
        self.codec = backbone.encoders["latents"] if decodes else None

    def place(self, device: torch.device) -> None:
        """Everything on a device, but for blocks that wait for their turn."""
        for network in (*self.networks.values(), *self.children()):
            if network is not self.networks:
                bring(network, device)

    def step(self, batch: Mapping[str, Tensor]) -> Step:
        """A batch's denoising step, which the terms are about."""
        return denoising_step(self.backbone, batch, self.still)

    @property
    def adapts(self) -> bool:
        """Whether adapters are trained, so that :meth:`unadapted` is another model."""
        return any(trained_adapters(network) for network in self.networks.values())

    @contextlib.contextmanager
    def unadapted(self) -> Iterator[None]:
        """While open, the networks run without the adapters that are trained."""
        with contextlib.ExitStack() as stack:
            for network in self.networks.values():
                stack.enter_context(silenced(network, trained_adapters(network)))
            yield

    @property
    def takes_turns(self) -> bool:
        """Whether a step leaves a part of what is trained without gradients: the expert whose levels were not drawn."""
        return len(self.backbone.experts) > 1

    @property
    def trained(self) -> dict[str, nn.Module]:
        """The modules that checkpoints keep."""
        return dict(self.networks.items())

    @property
    def shard_units(self) -> list[nn.Module]:
        """The network's layers: FSDP2 gathers one after the other."""
        return self.backbone.units
