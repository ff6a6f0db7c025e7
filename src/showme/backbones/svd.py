"""Stable Video Diffusion (arXiv 2311.15127): one picture to a video, by EDM; with a text encoder where it has one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import _resize_with_antialiasing
from torch import Tensor, nn

from ..errors import InputError
from ..models.svd_unet import heads_of_images
from .base import Conditions, Facts, Known, Site
from .clip_text import ClipText
from .lora import active_adapters
from .paths import EDMPath
from .placing import in_slots

# Pictures that the codec encodes at a time.
_TOGETHER = 8
_CLIP_SIZE = 224
# As diffusers' pipeline is called: frames per second, and how much moves.
FPS, MOTION_BUCKET = 7, 127.0
_ATTENTION = r"attn[12]\.to_(q|k|v)"
_FEED_FORWARD = r"ff(_in)?\.net\.(0\.proj|2)"
_HALVES = {"spatial": r"\.transformer_blocks\.\d+\.", "temporal": r"\.temporal_transformer_blocks\.\d+\."}
_HALVES["all"] = rf"({_HALVES['spatial']}|{_HALVES['temporal']})"


class SVDBackbone(ClipText):
    """``SVDUNet`` with diffusers' ``AutoencoderKLTemporalDecoder`` and CLIP's image encoder.

    Known slots enter as further channels, their latents unscaled. Cross-attention reads the picture's embedding, and
    the text's tokens after it where there is a text encoder; a context of each frame's own takes the place of both.
    """

    denoiser = "unet"
    trainable = ("unet",)

    @property
    def facts(self) -> Facts:
        return Facts(space=2 ** (len(self.parts.vae.config.block_out_channels) - 1))

    @property
    def path(self) -> EDMPath:
        return EDMPath()

    @property
    def scales_input(self) -> bool:
        return True

    @property
    def dtype(self) -> torch.dtype:
        return self.parts.vae.dtype

    @property
    def encoders(self) -> Mapping[str, nn.Module]:
        found = {"latents": self.parts.vae, "text": self.parts.text_encoder, "image": self.parts.image_encoder}
        return {name: encoder for name, encoder in found.items() if encoder is not None}

    def release_encoders(self) -> None:
        # The image encoder's head is part of every step.
        if self.parts.text_encoder is not None:
            self.parts.register_modules(text_encoder=None)

    @property
    def vocabulary(self) -> Any:
        return None if self.parts.tokenizer is None else super().vocabulary

    @property
    def widths(self) -> tuple[int, int | None, int]:
        if self.parts.text_encoder is None:
            raise InputError(
                "This Stable Video Diffusion has no text encoder, and instructions are read by one: convert it with "
                "--text-encoder."
            )
        image = self.parts.image_encoder.config.hidden_size
        return self.parts.text_encoder.config.hidden_size, image, self._context_width

    @property
    def _context_width(self) -> int:
        width = self.parts.unet.config.cross_attention_dim
        return width if isinstance(width, int) else width[0]

    @property
    def units(self) -> list[nn.Module]:
        unet = self.parts.unet
        return [*unet.down_blocks, unet.mid_block, *unet.up_blocks]

    def encode(self, pixels: Tensor) -> Tensor:
        vae = self.parts.vae
        parts = [vae.encode(part).latent_dist.mode() for part in pixels.flatten(0, 1).split(_TOGETHER)]
        return (torch.cat(parts) * vae.config.scaling_factor).unflatten(0, pixels.shape[:2]).transpose(1, 2)

    def decode(self, latents: Tensor, together: int | None = None) -> Tensor:
        """As :meth:`Backbone.decode`. Its decoder mixes neighbouring frames, so that ``together`` changes pixels at the
        seams: None is the truth."""
        vae = self.parts.vae
        clips = []
        for clip in latents.to(vae.dtype).transpose(1, 2):
            pieces = (clip / vae.config.scaling_factor).split(together or len(clip))
            clips.append(torch.cat([vae.decode(piece, num_frames=len(piece)).sample for piece in pieces]))
        return torch.stack(clips) / 2 + 0.5

    def known(self, latents: Tensor, slots: Sequence[int], count: int) -> Known:
        return in_slots(latents, slots, count, self.parts.config.repeat_first_frame)

    def encode_text(self, sentences: Sequence[str], **choices: Any) -> Tensor:  # type: ignore[override]
        """As :class:`ClipText`; without a text encoder no tokens at all (n, 0, D)."""
        if self.parts.text_encoder is None:
            return torch.zeros(len(sentences), 0, self._context_width, device=self.device, dtype=self.dtype)
        return super().encode_text(sentences, **choices)

    def text_choices(self, sentences: Sequence[str]) -> dict[str, Any]:
        return {} if self.parts.text_encoder is None else super().text_choices(sentences)

    def check_lengths(self, sentences: Sequence[str], places: Any = None, long_instructions: Any = None) -> None:
        if self.parts.tokenizer is not None:
            super().check_lengths(sentences, places, long_instructions)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Pictures (n, 3, H, W) -> the image encoder's last tokens (n, 1 + patches, D_img), resized as published."""
        encoder, extractor = self.parts.image_encoder, self.parts.feature_extractor
        small = _resize_with_antialiasing(pixels.float(), (_CLIP_SIZE, _CLIP_SIZE)) / 2 + 0.5
        mean, std = (
            torch.tensor(getattr(extractor, name), device=pixels.device) for name in ("image_mean", "image_std")
        )
        small = (small - mean[:, None, None]) / std[:, None, None]
        return encoder.vision_model(small.to(encoder.dtype)).last_hidden_state

    def encode_none_and_image(self, pixels: Tensor) -> Tensor:
        """Zeros stand for no picture, as in diffusers' pipeline."""
        tokens = self.encode_image(pixels)
        return torch.cat([torch.zeros_like(tokens), tokens])

    def project(self, image: Tensor | None) -> Tensor | None:
        return None if image is None else heads_of_images(image, self.parts.image_encoder)

    def predict(self, noisy: Tensor, level: Tensor, conditions: Conditions, still: bool = False) -> Tensor:
        sigma = level.to(noisy.device).reshape(-1).expand(len(noisy)).float()
        scale = (sigma.square() + 1).rsqrt().to(noisy.dtype).view(-1, 1, 1, 1, 1)
        known = conditions.known.latents.to(noisy.dtype) / self.parts.vae.config.scaling_factor
        motion = (
            sigma.new_full((len(noisy),), MOTION_BUCKET) if conditions.scalar is None else conditions.scalar.float()
        )
        ids = torch.stack([torch.full_like(motion, FPS - 1), motion, torch.zeros_like(motion)], dim=1)
        return self.parts.unet(
            torch.cat([noisy * scale, known], dim=1), sigma.log() / 4, self._context(conditions), ids.to(noisy.dtype),
            temporal=not still,
        )  # fmt: skip

    def _context(self, conditions: Conditions) -> Tensor:
        if conditions.text.ndim == 4 or conditions.image is None:
            return conditions.text
        return torch.cat([conditions.image.to(conditions.text.dtype), conditions.text], dim=1)

    def targets(self, half: str, feed_forward: bool = True) -> list[str]:
        leaf = f"({_ATTENTION}|{_FEED_FORWARD})" if feed_forward else _ATTENTION
        return self._named(_HALVES[half] + leaf)

    def sites(self, kind: str) -> dict[str, Site]:
        if kind == "short_term":
            names = self._named(r"\.resnets\.\d+")
            modules = {name: self.parts.unet.get_submodule(name) for name in names}
            return {name: Site(module.spatial_res_block.out_channels, _frames_of) for name, module in modules.items()}
        half = "spatial" if kind == "spatial" else "temporal"
        names = self._named(rf"{_HALVES[half]}attn1")
        return {name: Site(self.parts.unet.get_submodule(name).to_q.in_features) for name in names}

    def cross_attention_targets(self) -> list[str]:
        return self._named(_HALVES["all"] + r"attn2\.to_(q|k|v|out\.0)")

    def _named(self, ending: str) -> list[str]:
        pattern = re.compile(rf".*{ending}")
        return [name for name, _ in self.parts.unet.named_modules() if pattern.fullmatch(name)]

    def adapted(self, names: Sequence[str]) -> AbstractContextManager[None]:
        return active_adapters(self.parts.unet, names)


def _frames_of(arguments: Sequence[Tensor], result: Tensor) -> int:
    """T, of the switch (B, T) that every block is handed last."""
    return arguments[-1].shape[-1]
