"""A toy video model: a few convolutions over blocks of pixels, flow matching, and two frames in a latent slot."""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from showme.backbones.base import Backbone, Facts
from showme.backbones.paths import FlowPath
from showme.backbones.placing import in_slots

SPACE, TIME, WIDTH, WORDS = 8, 2, 16, 64


class ToyCodec(ModelMixin, ConfigMixin):
    """Blocks of 8 x 8 pixels as channels, two frames averaged in every slot but the first."""

    config_name = "config.json"

    @register_to_config
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))


class ToyText(ModelMixin, ConfigMixin):
    """A vector for each word, by its letters."""

    config_name = "config.json"

    @register_to_config
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(WORDS, WIDTH)


class ToyDenoiser(ModelMixin, ConfigMixin):
    """Two convolutions over time and space; the words and the level shift what lies between them."""

    config_name = "config.json"

    @register_to_config
    def __init__(self):
        super().__init__()
        channels = 3 * SPACE**2
        self.enter = nn.Conv3d(channels + 1, 32, 3, padding=1)
        self.shift = nn.Linear(WIDTH + 1, 32)
        self.leave = nn.Conv3d(32, channels, 3, padding=1)

    def forward(self, latents, level, words):
        shift = self.shift(torch.cat([words.mean(1), level.mean((1, 2, 3, 4))[:, None]], dim=1))
        hidden = self.enter(torch.cat([latents, level.expand(-1, -1, -1, *latents.shape[-2:])], dim=1))
        return self.leave(torch.tanh(hidden + shift[:, :, None, None, None]))


class ToyBackbone(Backbone):
    """Known slots stand in place, at level 0."""

    denoiser = "transformer"
    trainable = ("transformer",)

    @property
    def facts(self):
        return Facts(space=SPACE, time=TIME)

    @property
    def path(self):
        return FlowPath(shift=2.0)

    @property
    def dtype(self):
        return self.parts.codec.scale.dtype

    @property
    def encoders(self):
        return {"latents": self.parts.codec, "text": self.parts.text}

    @property
    def vocabulary(self):
        return WORDS

    def encode(self, pixels):
        slots = self.facts.slots(pixels.shape[1])
        blocks = self.parts.codec.scale * pixel_unshuffle(pixels, SPACE)
        pairs = blocks[:, 1:].unflatten(1, (slots - 1, TIME)).mean(2) if slots > 1 else blocks[:, 1:]
        return torch.cat([blocks[:, :1], pairs], dim=1).transpose(1, 2)

    def decode(self, latents, together=None):
        blocks = latents.transpose(1, 2)
        frames = torch.cat([blocks[:, :1], blocks[:, 1:].repeat_interleave(TIME, dim=1)], dim=1)
        return pixel_shuffle(frames / self.parts.codec.scale, SPACE) / 2 + 0.5

    def known(self, latents, slots, count):
        return in_slots(latents, slots, count)

    def encode_text(self, sentences, **choices):
        numbers = [[sum(map(ord, word)) % WORDS for word in (text.split() + [""] * 8)[:8]] for text in sentences]
        return self.parts.text.table(torch.tensor(numbers, device=self.device))

    def predict(self, noisy, level, conditions, still=False):
        where = conditions.known.where
        level = level.to(noisy.dtype).reshape(-1, 1, 1, 1, 1).expand(len(noisy), 1, noisy.shape[2], 1, 1)
        placed = torch.where(where > 0, conditions.known.latents, noisy)
        return self.parts.transformer(placed, torch.where(where > 0, 0, level), conditions.text)

    def hold(self, latents, known):
        return torch.where(known.where > 0, known.latents, latents)
