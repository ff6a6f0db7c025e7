"""ShowMe's training objective (arXiv 2511.17839): a denoising step of either stage, and rewards on what it foretells.

Nothing is drawn here (see :mod:`.samples`): a batch decides its loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ...models.video_unet.blocks import VideoLayer
from .denoising import denoise
from .rewards import motion_terms, structure_terms


class ShowMeObjective(nn.Module):
    """Batch -> named terms, whose sum is minimised: ``noise``, and ``edge``, ``depth``, ``motion`` where tuned.

    Args:
        unet, projector: what is trained, as far as their parameters take gradients.
        scheduler: the noise schedule.
        temporal: False for stage 1 (the temporal half off, T = 1), True for stage 2.
        vae: the frozen codec, for the structure reward.
        eyes: frozen eyes of the structure reward, ``edge`` and ``depth``.
        motion: whether the motion reward is tuned; its target is the batch's ``flow``.
        weights: of the terms; 1 where absent.
    """

    def __init__(
        self,
        unet: nn.Module,
        projector: nn.Module,
        scheduler,
        temporal: bool,
        vae: nn.Module | None = None,
        eyes: Mapping[str, nn.Module] | None = None,
        motion: bool = False,
        weights: Mapping[str, float] | None = None,
    ):
        super().__init__()
        self.unet, self.projector, self.vae = unet, projector, vae
        self.frozen_eyes = nn.ModuleDict(dict(eyes or {}))
        self.scheduler, self.temporal, self.motion = scheduler, temporal, motion
        self.weights = dict(weights or {})
        if eyes and vae is None:
            raise ValueError("the structure reward looks at pictures: it needs the codec.")

    @property
    def trained(self) -> dict[str, nn.Module]:
        """The modules that checkpoints keep."""
        return {"unet": self.unet, "projector": self.projector}

    @property
    def shard_units(self) -> list[nn.Module]:
        """The UNet's layers: FSDP2 gathers one after the other."""
        return [module for module in self.unet.modules() if isinstance(module, VideoLayer)]

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        denoised = denoise(self.unet, self.projector, self.scheduler, batch, self.temporal)
        terms = {"noise": denoised.loss}
        if self.frozen_eyes:
            terms |= structure_terms(denoised, self.scheduler, self.decode, dict(self.frozen_eyes.items()), batch)
        if self.motion:
            terms |= motion_terms(denoised, self.scheduler, batch["flow"])
        return {name: self.weights.get(name, 1.0) * term for name, term in terms.items()}

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents (N, C, h, w) -> pictures (N, 3, H, W), about [0, 1], with gradient. Nothing is cut off at 0
        and 1: there the gradient would end."""
        vae: Any = self.vae
        return vae.decode(latents / vae.config.scaling_factor).sample / 2 + 0.5
