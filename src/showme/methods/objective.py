"""What the objectives of all methods have in common: the networks of a backbone, as trainer and checkpoints ask."""

from __future__ import annotations

from torch import nn

from ..backbones.base import Backbone


class BackboneObjective(nn.Module):
    """Batch -> named terms, whose sum is minimised; a subclass has ``forward``.

    Args:
        backbone: its networks are trained, as far as their parameters take gradients.
        decodes: whether a term looks at pictures: the codec is then moved and counted with the others; its weights are
            frozen.
    """

    def __init__(self, backbone: Backbone, decodes: bool):
        super().__init__()
        self.backbone = backbone
        self.networks = nn.ModuleDict(backbone.networks)
        self.codec = backbone.encoders["latents"] if decodes else None

    @property
    def trained(self) -> dict[str, nn.Module]:
        """The modules that checkpoints keep."""
        return dict(self.networks.items())

    @property
    def shard_units(self) -> list[nn.Module]:
        """The network's layers: FSDP2 gathers one after the other."""
        return self.backbone.units
