"""How alike pictures are, and pictures and sentences: OpenAI's CLIP (arXiv 2103.00020) and DINOv2 (arXiv 2304.07193).

Both are frozen networks of transformers and give unit features, so that the cosine of two is their dot product.
Pictures are resized, cropped and normalised by the processor that comes with a network, not by a copy of its rules.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from ..long_text import TruncationNotice
from ..pretrained import load_pretrained

# Pictures and sentences that go through a network together: bounds the memory.
_TOGETHER = 32
_FILES = "config.json, model.safetensors, preprocessor_config.json"


class ClipSimilarity(nn.Module):
    """CLIP of any size: features of pictures and of sentences in one space.

    Args:
        network: a CLIPModel of transformers.
        processor: its CLIPProcessor: image processor and tokenizer.
        truncate: cut sentences that are longer than the network reads, 77 tokens in OpenAI's, with one warning, instead
            of refusing them.
    """

    def __init__(self, network: nn.Module, processor: Any, truncate: bool = False):
        super().__init__()
        self.network: Any = network
        self.processor, self.truncate = processor, truncate
        config: Any = network.config
        self._cuts = TruncationNotice("CLIP", config.text_config.max_position_embeddings)
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def pictures(self, pixels: np.ndarray) -> Tensor:
        """uint8 (N, H, W, 3), RGB -> features (N, D) of length 1.

        Raises:
            ValueError: pictures of another type or shape, or none.
        """
        parts = [
            self.network.visual_projection(self.network.vision_model(pixel_values=part).pooler_output)
            for part in _prepared(pixels, self.processor.image_processor, self.network)
        ]
        return F.normalize(torch.cat(parts), dim=-1)

    @torch.no_grad()
    def texts(self, sentences: Sequence[str]) -> Tensor:
        """M sentences, at least one -> features (M, D) of length 1.

        Raises:
            InputError: a sentence is longer than the network reads, and ``truncate`` is not set.
        """
        parts = []
        for start in range(0, len(sentences), _TOGETHER):
            tokens = self._tokens(list(sentences[start : start + _TOGETHER]))
            parts.append(self.network.text_projection(self.network.text_model(**tokens).pooler_output))
        return F.normalize(torch.cat(parts), dim=-1)

    def cuts(self, sentences: Sequence[str]) -> str | None:
        """What should be known of sentences that are cut, which :meth:`texts` then says no more; None: all are read.

        Raises:
            InputError: as :meth:`texts`.
        """
        return self._cuts.sentence(sentences, self._encoded(sentences).encodings)

    def _encoded(self, sentences: Sequence[str]) -> Any:
        cut = {"truncation": True, "max_length": self._cuts.longest} if self.truncate else {}
        return self.processor.tokenizer(
            list(sentences), padding=True, return_attention_mask=True, return_tensors="pt", **cut
        )

    def _tokens(self, sentences: list[str]) -> dict[str, Tensor]:
        tokens, longest = self._encoded(sentences), self._cuts.longest
        self._cuts.warn(sentences, tokens.encodings)
        lengths = tokens["attention_mask"].sum(1).tolist()
        for sentence, length in zip(sentences, lengths, strict=True):
            if length > longest:
                raise InputError(
                    f"The instruction {sentence[:60]!r}... has {length} tokens and CLIP reads {longest}: shorten it, "
                    "or let long ones be cut (truncate)."
                )
        return {name: tokens[name].to(self.network.device) for name in ("input_ids", "attention_mask")}

    @property
    def fingerprint(self) -> dict[str, Any]:
        """All that decides the features, as JSON; where the files lie does not."""
        tokenizer = self.processor.tokenizer
        words = f"{sorted(tokenizer.get_vocab().items())}"
        return {
            **_fingerprint(self.network, self.processor.image_processor),
            "tokenizer": type(tokenizer).__name__,
            "vocabulary": hashlib.sha256(words.encode()).hexdigest(),
            "truncate": self.truncate,
        }

    @classmethod
    def from_pretrained(cls, name: str | Path, truncate: bool = False) -> ClipSimilarity:
        """A folder, or a model of the hub such as ``openai/clip-vit-large-patch14``, in fp32.

        Raises:
            InputError: as :func:`showme.pretrained.load_pretrained`.
        """
        from transformers import CLIPModel, CLIPProcessor

        files = f"{_FILES} and the tokenizer's files"
        return cls(*load_pretrained(name, CLIPModel, CLIPProcessor, "CLIP model", files, ["clip"]), truncate)


class DinoSimilarity(nn.Module):
    """DINOv2 of any size: the feature of a picture is the class token after the last layer's normalisation.

    Args:
        network: a Dinov2Model of transformers.
        processor: its image processor.
    """

    def __init__(self, network: nn.Module, processor: Any):
        super().__init__()
        self.network: Any = network
        self.processor = processor
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def pictures(self, pixels: np.ndarray) -> Tensor:
        """uint8 (N, H, W, 3), RGB -> features (N, D) of length 1.

        Raises:
            ValueError: pictures of another type or shape, or none.
        """
        prepared = _prepared(pixels, self.processor, self.network)
        return F.normalize(torch.cat([self.network(pixel_values=part).pooler_output for part in prepared]), dim=-1)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """All that decides the features, as JSON; where the files lie does not."""
        return _fingerprint(self.network, self.processor)

    @classmethod
    def from_pretrained(cls, name: str | Path) -> DinoSimilarity:
        """A folder, or a model of the hub such as ``facebook/dinov2-base``, in fp32.

        Raises:
            InputError: as :func:`showme.pretrained.load_pretrained`.
        """
        from transformers import AutoImageProcessor, Dinov2Model

        return cls(*load_pretrained(name, Dinov2Model, AutoImageProcessor, "DINOv2 model", _FILES, ["dinov2"]))


def _prepared(pixels: np.ndarray, processor: Any, network: Any):
    """What the network takes, a few pictures at a time."""
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3 or 0 in pixels.shape:
        raise ValueError(f"pictures are uint8 (N, H, W, 3), not {pixels.dtype} {pixels.shape}.")
    for start in range(0, len(pixels), _TOGETHER):
        part = list(pixels[start : start + _TOGETHER])
        # Said, because a picture three pixels high could be taken for one with its channels first.
        inputs = processor(images=part, input_data_format="channels_last", return_tensors="pt")
        yield inputs["pixel_values"].to(network.device, network.dtype)


def _fingerprint(network: nn.Module, processor: Any) -> dict[str, Any]:
    from ..fingerprint import weights_digest

    settings = json.loads(processor.to_json_string())
    return {"network": type(network).__name__, "weights": weights_digest(network), "processor": settings}
