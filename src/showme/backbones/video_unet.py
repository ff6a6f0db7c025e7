"""The factorised UNets: the embedded model, DynamiCrafter and AnimateAnything, whole or in torch alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from ..models import split_image_tokens
from ..models.video_unet.blocks import VideoLayer
from .base import Conditions, Facts, Known, Site
from .clip_text import ClipText
from .paths import DiscretePath
from .placing import beside, in_slots
from .plain_video_unet import PlainUNet

# q, k, v of every attention (not to_out) and both feed-forward projections.
_ATTENTION = r"attn[12]\.to_(q|k|v|k_ip|v_ip)"
_FEED_FORWARD = r"ff\.proj_(in|out)"
_HALVES: dict[str, tuple[str, ...]] = {
    "spatial": (r".*spatial_attention\.",),
    "temporal": (r".*temporal_(attention|in)\.",),
}
_HALVES["all"] = _HALVES["spatial"] + _HALVES["temporal"]
_PROJECTOR = r"attentions\.\d+\.to_(q|kv)"
# Where a region comes in.
_ENTRANCE = "conv_in_masked"
# Arguments and result of what ends a layer's convolutions -> T.
_FRAMES = {
    "temporal_conv": lambda arguments, result: arguments[1],
    "resnet": lambda arguments, result: len(result) // len(arguments[1]),
}
# Pictures that the codec encodes at a time.
_TOGETHER = 16


class VideoUNetBackbone(ClipText):
    """A ``VideoUNet`` with diffusers' ``AutoencoderKL`` and CLIP's text encoder; image encoder and projector are None
    where a model has none (AnimateAnything).

    Known slots enter as further channels (``condition_axis: channel``) or as a slot in front (``time``).
    """

    denoiser = "unet"
    trainable = ("unet", "image_projector")

    @property
    def facts(self) -> Facts:
        return Facts(space=2 ** (len(self.parts.vae.config.block_out_channels) - 1))

    @property
    def path(self) -> DiscretePath:
        return DiscretePath(self.parts.scheduler)

    @property
    def dtype(self) -> torch.dtype:
        return self.parts.vae.dtype

    @property
    def encoders(self) -> dict[str, nn.Module]:
        found = {"latents": self.parts.vae, "text": self.parts.text_encoder, "image": self.parts.image_encoder}
        return {name: encoder for name, encoder in found.items() if encoder is not None}

    @property
    def widths(self) -> tuple[int, int | None, int]:
        parts = self.parts
        image = None if parts.image_encoder is None else parts.image_encoder.config.hidden_size
        return parts.text_encoder.config.hidden_size, image, parts.unet.config.cross_attention_dim

    @property
    def units(self) -> list[nn.Module]:
        return [module for module in self.parts.unet.modules() if isinstance(module, VideoLayer)]

    def encode(self, pixels: Tensor) -> Tensor:
        parts = [self.encode_pictures(part) for part in pixels.flatten(0, 1).split(_TOGETHER)]
        return torch.cat(parts).unflatten(0, pixels.shape[:2]).transpose(1, 2)

    def encode_pictures(self, pixels: Tensor) -> Tensor:
        """Pictures (n, 3, H, W) -> normalised latents (n, C, h, w), all at once."""
        vae = self.parts.vae
        return vae.encode(pixels).latent_dist.mode() * vae.config.scaling_factor

    def decode(self, latents: Tensor, together: int | None = None) -> Tensor:
        flat = latents.transpose(1, 2).flatten(0, 1)
        return self.decode_pictures(flat, together).unflatten(0, (latents.shape[0], latents.shape[2]))

    def decode_pictures(self, latents: Tensor, together: int | None = None) -> Tensor:
        """Normalised latents (n, C, h, w) -> pictures (n, 3, H, W), ``together`` at a time."""
        vae = self.parts.vae
        parts = latents.to(vae.dtype).split(together or len(latents))
        return torch.cat([vae.decode(part / vae.config.scaling_factor).sample for part in parts]) / 2 + 0.5

    def known(self, latents: Tensor, slots: Sequence[int], count: int) -> Known:
        return in_slots(latents, slots, count, self.parts.config.repeat_first_frame)

    def encode_image(self, pixels: Tensor) -> Tensor | None:
        """Pictures (n, 3, H, W) -> the image encoder's tokens (n, 1 + patches, D_img)."""
        if self.parts.image_encoder is None:
            return None
        encoder, extractor = self.parts.image_encoder, self.parts.feature_extractor
        size = encoder.config.image_size
        mean, std = (
            torch.tensor(getattr(extractor, name), device=pixels.device, dtype=pixels.dtype)
            for name in ("image_mean", "image_std")
        )
        if pixels.shape[-2:] != (size, size):
            pixels = torch.nn.functional.interpolate(
                pixels.float(), (size, size), mode="bicubic", align_corners=True, antialias=True
            ).to(pixels.dtype)
        pixels = (pixels / 2 + 0.5 - mean[:, None, None]) / std[:, None, None]
        return encoder(pixels.to(encoder.dtype)).last_hidden_state

    def project(self, image: Tensor | None) -> Tensor | None:
        return None if image is None else self.parts.image_projector(image)

    def predict(self, noisy: Tensor, level: Tensor, conditions: Conditions, still: bool = False) -> Tensor:
        unet: Any = self.parts.unet
        sample, extra = noisy, {}
        if unet.config.condition_axis == "channel":
            sample = beside(noisy, conditions.known)
        else:
            extra["condition_latent"] = conditions.known.latents[:, :, :1]
        if conditions.region is not None:
            extra["mask"] = conditions.region
        elif unet.config.mask_channel and unet.config.condition_axis == "time":
            # AnimateAnything never ran without one: where nothing is known, everything may move.
            extra["mask"] = noisy.new_ones(len(noisy), 1, 1, *noisy.shape[-2:])
        image = None if conditions.image is None else split_image_tokens(conditions.image, noisy.shape[2])
        return unet(sample, level, conditions.text, image, conditions.scalar, temporal=not still, **extra)

    def targets(self, half: str, feed_forward: bool = True) -> list[str]:
        leaf = f"({_ATTENTION}|{_FEED_FORWARD})" if feed_forward else _ATTENTION
        pattern = re.compile("|".join(f"({place}{leaf})" for place in _HALVES[half]))
        return [name for name, _ in self.parts.unet.named_modules() if pattern.fullmatch(name)]

    def sites(self, kind: str) -> dict[str, Site]:
        found: dict[str, Site] = {}
        for name, layer in self.parts.unet.named_modules():
            if not isinstance(layer, VideoLayer):
                continue
            if kind == "short_term":
                last = "resnet" if layer.temporal_conv is None else "temporal_conv"
                found[f"{name}.{last}"] = Site(layer.resnet.conv2.out_channels, _FRAMES[last])
                continue
            half = "spatial_attention" if kind == "spatial" else "temporal_attention"
            transformer = getattr(layer, half)
            if transformer is not None:
                found[f"{name}.{half}.attn1"] = Site(transformer.attn1.to_q.in_features)
        return found

    def cross_attention_targets(self) -> list[str]:
        pattern = re.compile(r".*spatial_attention\.attn2\.to_(q|k|v|out)")
        return [name for name, _ in self.parts.unet.named_modules() if pattern.fullmatch(name)]

    @property
    def takes_region(self) -> bool:
        return self.parts.unet.conv_in_masked is not None

    def add_region(self, adapter: str) -> None:
        from .lora import kept_modules

        unet = self.parts.unet
        if not unet.config.mask_channel:
            unet.add_mask_entrance()
            kept_modules(unet)[adapter] = (_ENTRANCE,)

    def projector_targets(self) -> dict[str, int]:
        if self.parts.image_projector is None:
            return {}
        names = [name for name, _ in self.parts.image_projector.named_modules() if re.fullmatch(_PROJECTOR, name)]
        # Keys and values are one matrix here.
        return {name: 2 if name.endswith("to_kv") else 1 for name in names}

    def adapted(self, names: Sequence[str]) -> AbstractContextManager[None]:
        unet = self.parts.unet
        if isinstance(unet, PlainUNet):
            return unet.adapted(names)
        # peft takes a second to import.
        from .lora import active_adapters

        return active_adapters(unet, names)
