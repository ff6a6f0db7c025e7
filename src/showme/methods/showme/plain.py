"""ShowMe's two tasks on plain components: for inference on a CPU, without diffusers, transformers and peft."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ...models.image_projector import ImageProjectorLayers
from ...models.video_unet.unet import VideoUNetLayers
from .pipeline import ShowMeSteps
from .tasks import ACTIVE_ADAPTERS


class Named(dict):
    """Settings by key and by attribute, as diffusers' configurations are."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


class PlainUNet(VideoUNetLayers):
    """The network with nothing but its weights.

    Args:
        settings: the arguments of :class:`VideoUNetLayers`.
    """

    def __init__(self, settings: Mapping[str, Any]):
        self.config = Named(settings)
        super().__init__(**settings)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.conv_in.weight.dtype


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


class _Pixels:
    """Pictures of the model's size as the codec takes them."""

    def preprocess(self, image: Image.Image) -> Tensor:
        """An RGB picture -> (1, 3, H, W) in [-1, 1]."""
        array = np.asarray(image, dtype=np.float32)[None] / 255.0
        return 2.0 * torch.from_numpy(array.transpose(0, 3, 1, 2)) - 1.0


# LoRA of one adapter: layer -> A (r, in), B (out, r), at scale 1.
Lora = Mapping[str, tuple[Tensor, Tensor]]


class PlainPipeline(ShowMeSteps):
    """What :class:`ShowMePipeline` makes of PIL images on a CPU in fp32, to the bit.

    Args:
        components: by their names in the pipeline, ``unet`` to ``scheduler``.
        config: the pipeline's settings.
        adapters: of the UNet, by name.
    """

    device = _execution_device = torch.device("cpu")

    def __init__(self, components: Mapping[str, Any], config: Mapping[str, Any], adapters: Mapping[str, Lora]):
        for name, component in components.items():
            setattr(self, name, component)
        self.config, self.adapters = Named(config), adapters
        self.image_processor = _Pixels()
        self.bar: dict[str, Any] = {}
        # Nothing here is trained: what was merged for one call serves the next.
        self.merged: dict[str, dict[Any, Tensor]] = {}

    def set_progress_bar_config(self, **settings: Any) -> None:
        """How the bar over denoising steps looks: arguments of tqdm."""
        self.bar = settings

    def progress_bar(self, total: int) -> Any:
        """A bar over ``total`` denoising steps."""
        from tqdm.auto import tqdm

        return tqdm(total=total, **self.bar)

    @contextlib.contextmanager
    def _adapted(self, task: str) -> Iterator[None]:
        if task not in self.merged:
            self.merged[task] = self._merge(task)
        merged = self.merged[task]
        old = {layer: layer.weight.data for layer in merged}
        for layer, weight in merged.items():
            layer.weight.data = weight
        try:
            yield
        finally:
            for layer, weight in old.items():
                layer.weight.data = weight

    def _merge(self, task: str) -> dict[Any, Tensor]:
        """The weights of adapted layers with a task's adapters added: W + B A."""
        weights: dict[Any, Tensor] = {}
        for name in ACTIVE_ADAPTERS[task]:
            for place, (a, b) in self.adapters.get(name, {}).items():
                layer = self.unet.get_submodule(place)
                weights[layer] = weights.get(layer, layer.weight.data) + b @ a
        return weights
