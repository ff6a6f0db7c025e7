"""A model's pipeline of networks without values, as :func:`showme.pipelines.load_pipeline` would load it."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..backbones.lora import place_adapter, read_adapter
from ..methods.base import Method, Pipeline
from ..run_config import RunConfig
from .shapes import Component, ModelShapes

# Tokens of Wan's sentences, whose text encoder has no end.
_TEXT_LENGTH = 512


class BlankTokenizer:
    """Stands for a tokenizer where every text is as long as its encoder reads: to memory one is like another."""

    def __init__(self, length: int):
        self.model_max_length = length

    def __call__(self, texts: list[str], **options: Any) -> SimpleNamespace:
        """Ids and mask (n, L), L being ``max_length`` where that is given."""
        length = options.get("max_length", self.model_max_length)
        ids: Tensor = torch.zeros(len(texts), length, dtype=torch.long)
        encodings = [SimpleNamespace(overflowing=[], offsets=[], tokens=[]) for _ in texts]
        return SimpleNamespace(input_ids=ids, attention_mask=torch.ones_like(ids), encodings=encodings)

    def get_vocab(self) -> dict[str, int]:
        """No words: none is looked for."""
        return {}


def plain_parts(shapes: ModelShapes) -> dict[str, Any]:
    """Components without weights, with their values: made before tensors lose theirs."""
    made: dict[str, Any] = {}
    for name, part in shapes.components.items():
        if name == "tokenizer":
            made[name] = BlankTokenizer(_text_length(shapes))
        elif not issubclass(part.cls, nn.Module):
            from_config = getattr(part.cls, "from_config", None)
            made[name] = from_config(part.config) if from_config else part.cls(**_settings_of(part))
    return made


def read_adapters(shapes: ModelShapes) -> list[tuple[str, Path, Any]]:
    """Component, file, and what was read of it, of every adapter that the model has."""
    return [(name, path, read_adapter(path)) for name, paths in shapes.adapters.items() for path in paths]


def build_pipeline(
    shapes: ModelShapes, method: Method, config: RunConfig, plain: dict[str, Any], adapters: list[tuple[str, Path, Any]]
) -> Pipeline:
    """The pipeline in fp32, with the adapters that the model has; called while tensors have no values.

    Args:
        shapes: of the model.
        method: whose pipeline it is.
        config: of the run.
        plain: of :func:`plain_parts`.
        adapters: of :func:`read_adapters`.
    """
    cls = method.pipeline()
    networks = {name: _network(part) for name, part in shapes.components.items() if issubclass(part.cls, nn.Module)}
    known = inspect.signature(cls).parameters
    components = {name: value for name, value in (plain | networks).items() if name in known}
    pipeline = cls(**components, **{name: value for name, value in shapes.settings.items() if name in known})
    for name, path, (state, settings) in adapters:
        place_adapter(getattr(pipeline, name), dict(state), dict(settings), path)
    for network in networks.values():
        network.requires_grad_(False).eval()
    pipeline.register_to_config(height=shapes.info.height, width=shapes.info.width)
    if config.data.long_instructions is not None:
        pipeline.register_to_config(long_instructions=config.data.long_instructions)
    pipeline.backbone_name = shapes.info.backbone
    tasks = (*method.tasks, *method.parts)
    pipeline.active_adapters = {task: list(method.active_adapters(task)) for task in tasks}
    return pipeline


def _network(part: Component) -> nn.Module:
    if issubclass(part.cls, PreTrainedModel):
        network = part.cls._from_config(part.cls.config_class(**part.config))
        # Embeddings that are one with others are tied when weights are loaded.
        network.tie_weights()
        return network
    return part.cls.from_config(part.config)


def _text_length(shapes: ModelShapes) -> int:
    config = shapes.components["text_encoder"].config if "text_encoder" in shapes.components else {}
    return config.get("max_position_embeddings", _TEXT_LENGTH)


def _settings_of(part: Component) -> dict[str, Any]:
    """Without the names of classes, which files of settings hold besides."""
    return {key: value for key, value in part.config.items() if not key.endswith(("_type", "_class"))}
