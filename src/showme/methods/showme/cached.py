"""What ShowMe's rewards compare with, computed once of every clip by the frozen estimators."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ...backbones.base import Backbone
from ...data.cache import Part
from ...data.clips import Look
from ...data.rows import ClipRows
from ...data.sampling import LAST_FRAMES
from ...fingerprint import code_digest, weights_digest
from ...losses import motion
from ...perception import depth_estimator, edge_estimator, flow_estimator
from ..cached import ClipEncoder
from .config import RewardConfig

ESTIMATORS: dict[str, Callable[[str], nn.Module]] = {"edge": edge_estimator, "depth": depth_estimator}


def reward_parts(backbone: Backbone, rows: ClipRows, rewards: RewardConfig) -> list[Part]:
    """``edge`` and ``depth`` of the last three frames (3, 1, H, W), and pooled ``flow`` (T' - 1, h, w)."""
    targets, fingerprint = RewardTargets(backbone, rows), rows.fingerprint | _code_of(sys.modules[__name__], motion)
    parts = []
    for name, estimator_name in rewards.structure.items():
        estimator = ESTIMATORS[name](estimator_name).to(backbone.device)
        identity = fingerprint | {"last": LAST_FRAMES} | _identity(estimator_name, estimator)
        parts.append(Part(name, identity, rows.identities, partial(targets.structure, name, estimator)))
    if rewards.motion:
        flow = flow_estimator(rewards.motion)
        size = [side // backbone.facts.space for side in (rows.look.height, rows.look.width)]
        identity = fingerprint | {"latent size": size} | _identity(rewards.motion, flow)
        if (frames := backbone.facts.time) > 1:
            identity |= {"frames of a latent": frames}
        parts.append(Part("flow", identity, rows.identities, partial(targets.flow, flow, size)))
    return parts


def blank_targets(look: Look, latents: Tensor, rewards: RewardConfig) -> dict[str, Tensor]:
    """What :func:`reward_parts` keep of one clip with latents (T', C, h, w), in zeros."""
    blank = {name: torch.zeros(LAST_FRAMES, 1, look.height, look.width, dtype=torch.half) for name in rewards.structure}
    if rewards.motion:
        blank["flow"] = torch.zeros(len(latents) - 1, *latents.shape[2:], dtype=torch.half)
    return blank


class RewardTargets(ClipEncoder):
    """Rows of clips -> what estimators say of their frames, in half precision."""

    @torch.no_grad()
    def structure(self, name: str, estimator: nn.Module, rows: Sequence[int]) -> dict[str, Tensor]:
        pixels = self.pixels(rows, slice(-LAST_FRAMES, None))
        return {name: estimator(pixels.flatten(0, 1)).half().unflatten(0, pixels.shape[:2])}

    @torch.no_grad()
    def flow(self, estimator, size: list[int], rows: Sequence[int]) -> dict[str, Tensor]:
        pooled = motion.pooled_flow_magnitude(estimator(self.pixels(rows)), (size[0], size[1]))
        # Slots that hold several frames move as far as these do together.
        frames = self.backbone.facts.time
        return {"flow": (pooled if frames == 1 else pooled.unflatten(1, (-1, frames)).sum(2)).half()}


def _identity(name: str, estimator: object) -> dict[str, object]:
    weights = weights_digest(estimator) if isinstance(estimator, nn.Module) else None
    return {"estimator": name, "weights": weights, **_code_of(sys.modules[type(estimator).__module__])}


def _code_of(*modules) -> dict[str, str]:
    return {f"code of {', '.join(module.__name__ for module in modules)}": code_digest(modules)}
