"""One run of AID's training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ...backbones.base import Backbone
from ...backbones.lora import add_fresh_adapter, drop_adapter, lora_config
from ...bundle import BundleInfo
from ...data.cache import Part
from ...data.clips import Look
from ...data.rows import ClipRows
from ...errors import InputError
from ...models.bottlenecks import Bottlenecks
from ...models.dqformer import DQFormer
from ..base import Stage
from ..cached import CachedClips, clip_parts
from ..samples import Draw
from .config import AIDConfig
from .known import grey_latent, known_slots, references_part
from .objective import AIDObjective
from .samples import AIDSamples
from .states import blank_states, states_part
from .tasks import ADAPTER


class AIDStage(Stage):
    """A frozen base, and what is added to it."""

    config: AIDConfig
    task = "video"

    def __init__(self, config: AIDConfig, pipeline: Any):
        super().__init__(config, pipeline)
        self.backbone: Backbone = pipeline.backbone
        # Refused before anything is cached.
        if len(self.backbone.experts) > 1:
            raise InputError(
                f"AID's adapters stand beside one network, and {config.model} has two, by level: choose a model of "
                "one, such as Wan 2.2 TI2V-5B or Wan 2.1 I2V."
            )
        if config.unknown == "zeros" and self.backbone.knows_frames:
            raise InputError(
                f"unknown zeros: {config.model} reads known frames among grey ones, as it was made: set it to grey."
            )
        if config.null_context == "base" and config.dqformer.decomposed:
            self._check_queries(config.dqformer.queries)
        self.known = known_slots(self.backbone, config.references)

    def _check_queries(self, queries: int | None) -> None:
        """Refuse numbers that the base's own tokens of an empty text, repeated, cannot stand for."""
        if queries is not None and queries % self.backbone.text_length:
            whole = self.backbone.text_length
            raise InputError(
                f"dqformer.queries {queries}: an empty text of {self.config.model} has {whole} tokens, which do not "
                f"fill them: choose {whole} or a multiple, or set null_context to dqformer."
            )

    def parts(self, rows: ClipRows) -> list[Part]:
        _, image, _ = self.backbone.widths  # refused here: a base without a text encoder
        parts = clip_parts(self.backbone, rows)
        if self.config.dqformer.multimodal and image is None:
            raise InputError(
                f"dqformer.multimodal reads image tokens, and {self.config.model} has no image encoder: set it to "
                "false."
            )
        if self.backbone.knows_frames:
            parts.append(references_part(self.backbone, rows, self.config.references))
        return parts if self.config.states is None else [*parts, states_part(self.backbone, rows, self.config.states)]

    def blank(self, look: Look, latents: Tensor) -> dict[str, Tensor]:
        known = {"references": torch.zeros_like(latents)} if self.backbone.knows_frames else {}
        return known if self.config.states is None else known | blank_states(self.backbone, self.config.states)

    def prepare(self) -> None:
        denoiser: Any = self.backbone.networks[self.backbone.denoiser]
        for network in self.backbone.networks.values():
            # Adapters of other methods belong to what was made with them.
            for name in list(getattr(network, "peft_config", {})):
                if name != ADAPTER:
                    drop_adapter(network, name)  # type: ignore[arg-type]
            network.requires_grad_(False)
        # Its first weights are random, and a resumed run must begin with the same.
        torch.manual_seed(self.config.training.seed)
        self.pipeline.add_networks(
            dqformer=self.pipeline.dqformer or self._dqformer(),
            bottlenecks=self.pipeline.bottlenecks or self._bottlenecks(),
        )
        for name in ("dqformer", "bottlenecks"):
            if name in self.backbone.networks:
                self.backbone.networks[name].requires_grad_(True)
        self._open_cross_attention(denoiser)
        self._register()

    def _dqformer(self) -> DQFormer | None:
        settings, backbone = self.config.dqformer, self.backbone
        if not (settings.multimodal or settings.decomposed):
            return None
        text, image, context = backbone.widths
        try:
            return DQFormer(
                text_width=text,
                image_width=image,
                context_width=context,
                frames=backbone.facts.slots(self.config.data.frames),
                channels=settings.channels,
                layers=settings.layers,
                heads=settings.heads,
                queries=settings.queries or backbone.text_length,
                multimodal=settings.multimodal,
                decomposed=settings.decomposed,
            ).to(self.backbone.device)
        except ValueError as error:
            raise InputError(f"dqformer: {error}") from error

    def _bottlenecks(self) -> Bottlenecks | None:
        settings = self.config.adapters
        if not settings.kinds:
            return None
        sites = {
            kind: {name: site.width for name, site in self.backbone.sites(kind).items()} for kind in settings.kinds
        }
        return Bottlenecks(
            sites={kind: places for kind, places in sites.items() if places},
            spatial_ratio=settings.spatial_ratio,
            short_term_ratio=settings.short_term_ratio,
            long_term_ratio=settings.long_term_ratio,
            kernel=list(settings.kernel),
            head_dim=settings.head_dim,
        ).to(self.backbone.device)

    def _open_cross_attention(self, denoiser: Any) -> None:
        choice = self.config.cross_attention
        if choice.train == "frozen":
            return
        targets = self.backbone.cross_attention_targets()
        if choice.train == "lora":
            if ADAPTER not in getattr(denoiser, "peft_config", {}):
                add_fresh_adapter(denoiser, ADAPTER, lora_config(targets, choice.rank, 0.0))
            denoiser.set_adapters([ADAPTER])
        opened = tuple(f"{name}." for name in targets)
        for name, parameter in denoiser.named_parameters():
            if choice.train == "full":
                parameter.requires_grad_(name.startswith(opened))
            else:
                parameter.requires_grad_(f".{ADAPTER}." in name)

    def samples(self, clips: CachedClips) -> Dataset:
        config = self.config
        draw = Draw(config.training.seed, self.backbone.path, config.dropout, config.timestep_power)
        return AIDSamples(clips, draw, self.known, self._grey(), config.drop_known)

    def _grey(self) -> Tensor | None:
        """What stands for unknown frames, of the clips' size; None where zeros do."""
        if self.config.unknown == "zeros":
            return None
        size = self.pipeline.config.height, self.pipeline.config.width
        return grey_latent(self.backbone, *size, self.config.data.frames)[0].float().cpu()

    def objective(self) -> nn.Module:
        networks: dict[str, Any] = self.backbone.networks
        if self.config.training.gradient_checkpointing:
            networks[self.backbone.denoiser].enable_gradient_checkpointing()
        objective = AIDObjective(self.backbone, self.config.judge_known, self.config.null_context == "base")
        for network in networks.values():
            network.train()
        return objective

    def finish(self, info: BundleInfo) -> BundleInfo:
        return info.model_copy(update={"num_frames": self.config.data.frames})

    def _register(self) -> None:
        """Have the pipeline ask as the model is trained: at validation, and wherever it is used."""
        config = self.config
        self.pipeline.register_to_config(
            num_frames=config.data.frames,
            repeat_first_frame=False,
            references=config.references,
            unknown=config.unknown,
            null_context=config.null_context,
            drop_known=config.drop_known,
            states=config.states if config.states == "tabletop" else None,
            guidance_scale=config.text_guidance,
            visual_guidance=config.visual_guidance,
        )
