"""Wan (arXiv 2503.20314): flow matching with a transformer whose attention spans places and time alike.

Two ways in which a known frame enters. In place (Wan 2.2 TI2V-5B): its slot holds its clean latent at level 0, and
every token has the level of its slot. Concatenated (Wan 2.1 I2V, Wan 2.2 I2V-A14B): beside the noisy latents lie four
channels of a mask, one for each frame of a slot, and the latents of a clip of the known frames with grey between them.
The codec holds four frames in a slot, the first frame alone in the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..errors import InputError
from ..models.wan_codec import decode_clips, encode_clips
from .base import Backbone, Conditions, Facts, Known, Site, Still
from .lora import active_adapters, kept_modules
from .paths import FlowPath
from .placing import frames_of_slots, in_slots

_TIMESTEPS, _TEXT_LENGTH = 1000, 512
_ATTENTION = r"attn[12]\.to_(q|k|v|out\.0)"
_FEED_FORWARD = r"ffn\.net\.(0\.proj|2)"
_ENTRANCE = "region_embedding"


class WanBackbone(Backbone):
    """``WanTransformer`` with diffusers' ``AutoencoderKLWan`` and the UMT5 encoder.

    A still is two slots, the given picture and the wanted one, each encoded alone. Its attention knows no temporal half
    that could be off.
    """

    denoiser = "transformer"
    trainable = ("transformer", "transformer_2")

    @property
    def experts(self) -> list[Any]:
        return [self.networks[name] for name in self.trainable if name in self.networks]

    @property
    def boundary(self) -> float | None:
        ratio = getattr(self.parts.config, "boundary_ratio", None)
        return None if len(self.experts) == 1 or ratio is None else float(ratio)

    @property
    def in_place(self) -> bool:
        """Whether known frames take the place of noisy latents; else they lie beside them."""
        return bool(self.parts.config.expand_timesteps)

    @property
    def knows_frames(self) -> bool:
        return not self.in_place

    @property
    def holds_known(self) -> bool:
        return self.in_place

    @property
    def blocks_wait(self) -> bool:
        return True

    @property
    def stills_beside(self) -> bool:
        return True

    @property
    def still(self) -> Still:
        """As the model was trained."""
        chosen = getattr(self.parts.config, "still", None) or {}
        return Still(**chosen | {"folded": tuple(chosen.get("folded", ()))})

    def check_still(self, choices: Still) -> None:
        if choices.slots == 1 and self.in_place:
            raise InputError(
                "still.slots 1: this Wan is told the given picture by a slot of its own: leave it out, or choose a "
                "model of the concatenating form."
            )
        if choices.position >= (most := self.parts.transformer.config.rope_max_seq_len):
            raise InputError(f"still.position {choices.position}: this network counts slots below {most}.")

    @property
    def facts(self) -> Facts:
        config = self.parts.vae.config
        space = 2 ** len(config.temperal_downsample) * (config.patch_size or 1)
        return Facts(space=space, time=2 ** sum(config.temperal_downsample))

    @property
    def path(self) -> FlowPath:
        return FlowPath(float(getattr(self.parts.scheduler.config, "flow_shift", None) or 1.0))

    @property
    def dtype(self) -> torch.dtype:
        return self.parts.vae.dtype

    @property
    def encoders(self) -> Mapping[str, nn.Module]:
        found = {"latents": self.parts.vae, "text": self.parts.text_encoder, "image": self.parts.image_encoder}
        return {name: encoder for name, encoder in found.items() if encoder is not None}

    @property
    def widths(self) -> tuple[int, int | None, int]:
        config = self.parts.transformer.config
        return config.text_dim, config.image_dim, config.text_dim

    @property
    def text_length(self) -> int:
        # Some copies of the tokenizer say that they have no end.
        return min(self.parts.tokenizer.model_max_length, _TEXT_LENGTH)

    @property
    def vocabulary(self) -> Any:
        tokenizer = self.parts.tokenizer
        return [sorted(tokenizer.get_vocab().items()), self.text_length]

    @property
    def units(self) -> list[nn.Module]:
        return [block for expert in self.experts for block in expert.blocks]

    def encode(self, pixels: Tensor) -> Tensor:
        self.facts.slots(pixels.shape[1])
        return encode_clips(self.parts.vae, pixels)

    def decode(self, latents: Tensor, together: int | None = None) -> Tensor:
        """As :meth:`Backbone.decode`; the codec decodes slot by slot in any case."""
        return decode_clips(self.parts.vae, latents) / 2 + 0.5

    def known(self, latents: Tensor, slots: Sequence[int], count: int) -> Known:
        """Raises:
        InputError: of a family that wants known frames encoded together with the grey ones between them.
        """
        if not self.in_place and count > 1:
            raise InputError("This Wan reads known frames among grey ones: give the frames, not their latents.")
        return in_slots(latents, slots, count)

    def known_frames(self, pixels: Tensor, frames: Sequence[int], count: int) -> Known:
        if self.in_place:
            return super().known_frames(pixels, frames, count)
        clip = pixels.new_zeros(len(pixels), count, *pixels.shape[2:])
        clip[:, list(frames)] = pixels
        slots = self.facts.slots(count)
        where = pixels.new_zeros(len(pixels), 1, slots, 1, 1)
        where[:, :, [self.facts.slot(frame % count) for frame in frames]] = 1
        return Known(self.encode(clip), where)

    def encode_text(self, sentences: Sequence[str], *, device: torch.device | None = None, **choices: Any) -> Tensor:
        """Sentences -> (n, L, D), zeros after their ends, as the network was trained."""
        tokens = self.parts.tokenizer(
            list(sentences), padding="max_length", truncation=True, max_length=self.text_length, return_tensors="pt"
        )
        device = device or self.device
        mask = tokens.attention_mask.to(device)
        states = self.parts.text_encoder(tokens.input_ids.to(device), mask).last_hidden_state
        return states * mask[..., None].to(states.dtype)

    def encode_image(self, pixels: Tensor) -> Tensor | None:
        """Pictures (n, 3, H, W) -> the last but one layer of CLIP (n, N, D_img), by its own processor."""
        encoder = self.parts.image_encoder
        if encoder is None:
            return None
        values = ((pixels.float() / 2 + 0.5).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        pictures = [Image.fromarray(np.ascontiguousarray(each)) for each in values]
        seen = self.parts.feature_extractor(images=pictures, return_tensors="pt").pixel_values
        return encoder(seen.to(pixels.device, encoder.dtype), output_hidden_states=True).hidden_states[-2]

    def encode_none_and_image(self, pixels: Tensor) -> Tensor | None:
        """The picture's own tokens twice: guidance is of text alone, as published."""
        tokens = self.encode_image(pixels)
        return None if tokens is None else torch.cat([tokens, tokens])

    def predict(self, noisy: Tensor, level: Tensor, conditions: Conditions, still: bool = False) -> Tensor:
        level = level.to(noisy.device).reshape(-1).expand(len(noisy)).float()
        known, positions, choices = conditions.known, None, self.still
        if still and noisy.shape[2] == 1:
            if choices.slots == 1:
                # As on a UNet: the given picture lies beside the wanted one, and is not it.
                known = Known(known.latents, torch.zeros_like(known.where))
            else:
                known, positions = _beside_itself(known), (0, choices.position)
                noisy = torch.cat([known.latents[:, :, :1].to(noisy.dtype), noisy], dim=2)
        region = conditions.region
        if self.in_place:
            seen, timestep = self._in_place(noisy, known, level)
        else:
            seen, timestep, region = self._beside(noisy, known, region), _TIMESTEPS * level, None
        network = self._network(level)
        # Frozen weights may be narrower than the latents.
        dtype = network.patch_embedding.weight.dtype
        seen, text = seen.to(dtype), conditions.text.to(dtype)
        image = None if conditions.image is None else conditions.image.to(dtype)
        out = network(seen, timestep, text, image, positions, region=region, apart=choices.folded).to(noisy.dtype)
        return out if positions is None else out[:, :, 1:]

    def _network(self, level: Tensor) -> Any:
        """Of two experts the one whose levels these are."""
        boundary = self.boundary
        if boundary is None or bool((level >= boundary).all()):
            return self.parts.transformer
        if bool((level >= boundary).any()):
            raise InputError("The levels of a batch lie on both sides of the experts' boundary: draw them on one.")
        return self.parts.transformer_2

    @staticmethod
    def _in_place(noisy: Tensor, known: Known, level: Tensor) -> tuple[Tensor, Tensor]:
        where = known.where.to(noisy.dtype)
        slots = (1 - known.where[:, 0, :, 0, 0].float()) * level[:, None]
        return where * known.latents.to(noisy.dtype) + (1 - where) * noisy, _TIMESTEPS * slots

    def _beside(self, noisy: Tensor, known: Known, region: Tensor | None) -> Tensor:
        """Where nothing moves, the mask says of every slot what it says of known ones."""
        mask = frames_of_slots(known.where, self.facts.time).expand(-1, -1, -1, *noisy.shape[-2:])
        if region is not None:
            mask = torch.maximum(mask, 1 - region.to(mask.dtype).expand(-1, 1, noisy.shape[2], -1, -1))
        return torch.cat([noisy, mask.to(noisy.dtype), known.latents.to(noisy.dtype)], dim=1)

    def hold(self, latents: Tensor, known: Known) -> Tensor:
        if not self.in_place:
            return latents
        return known.where * known.latents + (1 - known.where) * latents

    def targets(self, half: str, feed_forward: bool = True) -> list[str]:
        """As :meth:`Backbone.targets`: ``spatial``, ``temporal`` and ``all`` name the same layers."""
        pattern = re.compile(rf"blocks\.\d+\.({_ATTENTION}|{_FEED_FORWARD if feed_forward else _ATTENTION})")
        return [name for name, _ in self.parts.transformer.named_modules() if pattern.fullmatch(name)]

    @property
    def takes_region(self) -> bool:
        return not self.in_place or self.parts.transformer.region_embedding is not None

    def add_region(self, adapter: str) -> None:
        """As :meth:`Backbone.add_region`: in place one more input; else the mask that is there says it."""
        if self.in_place and self.parts.transformer.region_embedding is None:
            self.parts.transformer.add_region_entrance()
            kept_modules(self.parts.transformer)[adapter] = (_ENTRANCE,)

    def sites(self, kind: str) -> dict[str, Site]:
        """As :meth:`Backbone.sites`: self-attention is of places and time at once, so that both kinds stand beside it;
        there are no convolutions, and what ends them stands before each block."""
        network = self.parts.transformer
        width = network.config.num_attention_heads * network.config.attention_head_dim
        place = {"spatial": "of_space", "long_term": "of_time", "short_term": "of_pictures"}[kind]
        frames = _slots_of if kind == "short_term" else None
        return {f"blocks.{number}.{place}": Site(width, frames) for number in range(len(network.blocks))}

    def cross_attention_targets(self) -> list[str]:
        pattern = re.compile(r"blocks\.\d+\.attn2\.to_(q|k|v|out\.0)")
        return [name for name, _ in self.parts.transformer.named_modules() if pattern.fullmatch(name)]

    @contextmanager
    def adapted(self, names: Sequence[str]) -> Iterator[None]:
        # Those that act on attention of their own cannot be added to the weights of all attention.
        beside = bool(set(names) & set(self.still.folded))
        with ExitStack() as stack:
            for network in self.networks.values():
                stack.enter_context(active_adapters(network, names, beside))
            yield


def _slots_of(arguments: Sequence[Any], result: Tensor) -> int:
    """T', which a place is handed beside what it reads."""
    return arguments[1]


def _beside_itself(known: Known) -> Known:
    """What is known of a still (B, C, 1, h, w) as that of two slots, of which the first is known."""
    nothing = torch.zeros_like(known.latents)
    return Known(torch.cat([known.latents, nothing], 2), torch.cat([known.where, torch.zeros_like(known.where)], 2))
