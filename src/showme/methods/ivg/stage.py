"""One run of one of IVG's two stages."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ...backbones.base import Backbone
from ...backbones.lora import add_fresh_adapter, drop_adapter, kept_modules, lora_config
from ...bundle import BundleInfo
from ...data.cache import Part
from ...data.clips import Look
from ...data.rows import ClipRows
from ...errors import InputError, ShowMeWarning
from ...perception import hand_landmarks
from ...preparation.labels import label_parts
from ...staged_files import staged
from ..base import Stage
from ..cached import CachedClips, clip_parts
from ..gates import check_gate
from ..samples import Draw
from .cached import blank_regions, mask_video, predicted_regions, true_regions
from .config import IVGConfig
from .hands import HandTerm
from .objective import IVGObjective
from .regions import as_picture, packed
from .samples import RegionSamples, VideoSamples
from .tasks import REGION, VIDEO

_NAMED = 3
# The union of all clips' regions, in the run's folder.
PRIOR = "prior.png"


class IVGStage(Stage):
    """Stage 1, where the action happens, or stage 2, the video in it."""

    config: IVGConfig

    def __init__(self, config: IVGConfig, pipeline: Any):
        super().__init__(config, pipeline)
        self.backbone: Backbone = pipeline.backbone
        self.video = config.stage == "video"
        self.task = "video" if self.video else "region"
        self.adapter = VIDEO if self.video else REGION
        # Refused before anything is cached.
        if config.hands.estimator is not None:
            least = config.hands.least_log10_snr * math.log(10)
            check_gate(self.backbone.path, least, math.inf, f"hands.least_log10_snr {config.hands.least_log10_snr:g}")

    @property
    def caches_predictions(self) -> bool:
        return self.video and self.config.region == "predicted"

    def parts(self, rows: ClipRows) -> list[Part]:
        parts, config = clip_parts(self.backbone, rows), self.config
        if not self.video:
            if config.region_frames is not None and self.backbone.facts.time > 1:
                raise InputError(
                    f"region_frames: {config.model} keeps several frames in a latent, of which none can be left out: "
                    "set it to null."
                )
            truth = true_regions(rows, config)
            return [*parts, truth, mask_video(self.backbone, rows, truth, config.target)]
        if config.hands.estimator is not None:
            self._check_slots()
            parts += label_parts(rows, ["hands"], config.estimators)
        if config.region == "predicted":
            return [*parts, predicted_regions(self.pipeline, rows, config)]
        return parts if config.region == "white" else [*parts, true_regions(rows, config)]

    def blank(self, look: Look, latents: Tensor) -> dict[str, Tensor]:
        return blank_regions(look, latents, self.config)

    def _check_slots(self) -> None:
        """Refuse hands where a latent holds several frames: which of them one would be sought in is not said.

        Raises:
            InputError: it does, or no frame would be looked at.
        """
        if self.backbone.facts.time > 1:
            raise InputError(f"hands.estimator: {self.config.model} keeps several frames in a latent: leave it out.")
        if self.config.hands.every >= self.config.data.frames:
            raise InputError(
                f"hands.every {self.config.hands.every}: of {self.config.data.frames} frames none would be looked at: "
                "choose a smaller number."
            )

    def prepare(self) -> None:
        denoiser: Any = self.backbone.networks[self.backbone.denoiser]
        mine = self.adapter in getattr(denoiser, "peft_config", {})
        networks: dict[str, Any] = self.backbone.networks
        # Adapters of other methods belong to what was made with them; the stage's own may be begun anew.
        stale = {self.adapter} if self.config.fresh else set()
        for network in networks.values():
            for name in list(getattr(network, "peft_config", {})):
                if name in stale or name not in (REGION, VIDEO):
                    drop_adapter(network, name)
        for name, network in networks.items():
            if name != self.backbone.denoiser:
                network.requires_grad_(False)
        # Its first weights are random, and a resumed run must begin with the same.
        torch.manual_seed(self.config.training.seed)
        if not mine or self.config.fresh:
            for expert in self.backbone.experts:
                add_fresh_adapter(expert, self.adapter, self._lora())
            if self.video:
                self.backbone.add_region(self.adapter)
        for expert in self.backbone.experts:
            expert.set_adapters([self.adapter])
            own = tuple(f"{name}." for name in kept_modules(expert).get(self.adapter, ()))
            for name, parameter in expert.named_parameters():
                parameter.requires_grad_(f".{self.adapter}." in name or name.startswith(own))

    def _lora(self) -> Any:
        adapter, backbone = self.config.adapter, self.backbone
        wide = adapter.rank if adapter.feed_forward_rank is None else adapter.feed_forward_rank
        names = backbone.targets("all", feed_forward=wide > 0)
        attention = set(backbone.targets("all", feed_forward=False))
        other = [name for name in names if name not in attention]
        return lora_config(names, adapter.rank, adapter.dropout, (other, wide))

    def samples(self, clips: CachedClips) -> Dataset:
        config = self.config
        draw = Draw(
            config.training.seed, self.backbone.path, config.dropout, config.timestep_power,
            boundary=self.backbone.boundary, batch=config.training.batch_size,
        )  # fmt: skip
        if not self.video:
            _check_filled(clips)
            loss = config.mask_loss
            decoded = loss.frames if loss.weight else 0
            slots = None if config.region_frames is None else self.backbone.facts.slots(config.region_frames)
            return RegionSamples(clips, draw, config.target, decoded, slots)
        freeze = config.freeze_outside and config.region != "white"
        every = None if config.hands.estimator is None else config.hands.every
        denoiser: Any = self.backbone.networks[self.backbone.denoiser]
        strength = denoiser.config.get("scalar_condition") == "motion_strength"
        return VideoSamples(clips, draw, freeze, self._shared_region(clips), every, strength)

    def _shared_region(self, clips: CachedClips) -> Tensor | None:
        """The region that all clips have; None: each has its own."""
        if self.config.region == "white":
            latents = clips[0]["latents"]
            return torch.ones(latents.shape[-2:], dtype=torch.bool)
        if self.config.region == "prior":
            prior = torch.stack([clips[row]["region"] for row in range(len(clips.ids))]).any(0)
            self.config.out.mkdir(parents=True, exist_ok=True)
            with staged(self.config.out / PRIOR) as path:
                as_picture(prior.numpy()).save(path, "PNG")
            return prior
        _check_filled(clips)
        return None

    def objective(self) -> nn.Module:
        networks: dict[str, Any] = self.backbone.networks
        if self.config.training.gradient_checkpointing:
            for expert in self.backbone.experts:
                expert.enable_gradient_checkpointing()
        loss, hands = self.config.mask_loss, self.config.hands
        term = None if hands.estimator is None else HandTerm(hand_landmarks(hands.estimator), hands)
        mask = None if self.video or not loss.weight else loss
        objective = IVGObjective(self.backbone, mask, self.config.motion_strength_weight, term)
        for network in networks.values():
            network.train()
        return objective

    def finish(self, info: BundleInfo) -> BundleInfo:
        clean, frames = self.config.clean_up, self.config.data.frames
        self.pipeline.register_to_config(num_frames=frames, repeat_first_frame=False)
        if self.video:
            # What the network saw in training is what it is given when nobody paints a region.
            prior = packed(self.config.out / PRIOR) if self.config.region == "prior" else None
            self.pipeline.register_to_config(region_prior=prior)
        else:
            self.pipeline.register_to_config(
                region_frames=self.config.region_frames,
                region_threshold=clean.threshold,
                region_least_area=clean.least_area,
                region_closing=clean.closing,
                region_margin=clean.margin,
            )
        return info.model_copy(update={"num_frames": frames})


def _check_filled(clips: CachedClips) -> None:
    """Warn of clips whose region is empty.

    Raises:
        InputError: all are, or all are the whole picture.
    """
    if all(clips[row]["region"].all() for row in range(len(clips.ids))):
        raise InputError(
            "The region of every clip is the whole picture, which says nothing of where hands move: mend the labels, "
            "or set region to white."
        )
    empty = [name for row, name in enumerate(clips.ids) if not clips[row]["region"].any()]
    if len(empty) == len(clips.ids):
        raise InputError(
            "No clip has a region: no hands were found in any. Choose another estimator (estimators.hands=...), or a "
            "lower estimators.hand_confidence."
        )
    if empty:
        names = ", ".join(map(repr, empty[:_NAMED]))
        warnings.warn(
            f"{len(empty)} of {len(clips.ids)} clips have an empty region ({names} first): in them nothing is to move.",
            ShowMeWarning,
            stacklevel=3,
        )
