"""Components of the factorised UNets in torch alone, for inference without diffusers, transformers and peft."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..models.image_projector import ImageProjectorLayers
from ..models.video_unet.unet import VideoUNetLayers

# LoRA of one adapter: layer -> A (r, in), B (out, r), at scale 1.
Lora = Mapping[str, tuple[Tensor, Tensor]]


class Named(dict):
    """Settings by key and by attribute, as diffusers' configurations are."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


class PlainUNet(VideoUNetLayers):
    """The network with nothing but its weights, and its adapters beside them.

    Args:
        settings: the arguments of :class:`VideoUNetLayers`.
    """

    adapters: Mapping[str, Lora]

    def __init__(self, settings: Mapping[str, Any]):
        self.config = Named(settings)
        super().__init__(**settings)
        self.adapters = {}
        # Nothing here is trained: what was merged for one call serves the next.
        self._merged: dict[tuple[str, ...], dict[Any, Tensor]] = {}

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.conv_in.weight.dtype

    @contextlib.contextmanager
    def adapted(self, names: Sequence[str]) -> Iterator[None]:
        """While open, the network runs with those of the named adapters that it has, and no others."""
        present = tuple(name for name in names if name in self.adapters)
        if present not in self._merged:
            self._merged[present] = self._merge(present)
        merged = self._merged[present]
        old = {layer: layer.weight.data for layer in merged}
        for layer, weight in merged.items():
            layer.weight.data = weight
        try:
            yield
        finally:
            for layer, weight in old.items():
                layer.weight.data = weight

    def _merge(self, names: Sequence[str]) -> dict[Any, Tensor]:
        """The weights of adapted layers with adapters added: W + B A."""
        weights: dict[Any, Tensor] = {}
        for name in names:
            for place, (a, b) in self.adapters[name].items():
                layer: Any = self.get_submodule(place)
                weights[layer] = weights.get(layer, layer.weight.data) + b @ a
        return weights


class PlainProjector(ImageProjectorLayers):
    """The resampler with nothing but its weights.

    Args:
        settings: the arguments of :class:`ImageProjectorLayers`.
    """

    def __init__(self, settings: Mapping[str, Any]):
        super().__init__(**settings)


class LoraLinear(nn.Module):
    """A linear layer with an adapter beside it: y = W x + b + B (A x), added in peft's order.

    Args:
        layer: holds W and b.
        a, b: (r, in) and (out, r).
    """

    def __init__(self, layer: nn.Linear, a: Tensor, b: Tensor):
        super().__init__()
        self.layer, self.a, self.b = layer, a, b

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + nn.functional.linear(nn.functional.linear(x, self.a), self.b)


class PlainTokenizer:
    """Sentences to token ids, by the tokenizers library alone.

    Args:
        tokenizer: of that library; padding and truncation are set anew at each call.
        model_max_length: tokens that the encoder reads.
        pad_token: what shorter sentences are filled up with.
    """

    def __init__(self, tokenizer: Any, model_max_length: int, pad_token: str):
        self.tokenizer, self.model_max_length, self.pad_token = tokenizer, model_max_length, pad_token

    def __call__(
        self, texts: Sequence[str], padding: str, truncation: bool, max_length: int, return_tensors: str = "pt"
    ) -> SimpleNamespace:
        """As transformers' tokenizers with these arguments: ``input_ids`` (B, max_length), and their ``encodings``."""
        self.tokenizer.enable_truncation(max_length)
        pad = self.tokenizer.token_to_id(self.pad_token)
        self.tokenizer.enable_padding(length=max_length, pad_id=pad, pad_token=self.pad_token)
        encodings = self.tokenizer.encode_batch(list(texts))
        return SimpleNamespace(input_ids=torch.tensor([each.ids for each in encodings]), encodings=encodings)


class PlainPixels:
    """Pictures of the model's size as the codec takes them."""

    def preprocess(self, image: Image.Image) -> Tensor:
        """An RGB picture -> (1, 3, H, W) in [-1, 1]."""
        array = np.asarray(image, dtype=np.float32)[None] / 255.0
        return 2.0 * torch.from_numpy(array.transpose(0, 3, 1, 2)) - 1.0
