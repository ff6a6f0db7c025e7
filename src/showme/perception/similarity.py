"""How alike pictures are, and pictures and sentences: OpenAI's CLIP (arXiv 2103.00020) and DINOv2 (arXiv 2304.07193).

Both eyes are frozen networks of transformers and give unit features, so that the cosine of two is their dot product.
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
from ..hub import DAMAGED, split_revision

# Pictures and sentences that go through a network together: bounds the memory.
_TOGETHER = 32
_FILES = "config.json, model.safetensors, preprocessor_config.json"


class ClipSimilarity(nn.Module):
    """CLIP of any size: features of pictures and of sentences in one space.

    Args:
        network: a CLIPModel of transformers.
        processor: its CLIPProcessor: image processor and tokenizer.
        truncate: cut sentences that are longer than the network reads, 77 tokens in OpenAI's, instead of refusing them.
    """

    def __init__(self, network: nn.Module, processor: Any, truncate: bool = False):
        super().__init__()
        self.network: Any = network
        self.processor, self.truncate = processor, truncate
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

    def _tokens(self, sentences: list[str]) -> dict[str, Tensor]:
        tokenizer, longest = self.processor.tokenizer, self.network.config.text_config.max_position_embeddings
        cut = {"truncation": True, "max_length": longest} if self.truncate else {}
        tokens = tokenizer(sentences, padding=True, return_attention_mask=True, return_tensors="pt", **cut)
        lengths = tokens["attention_mask"].sum(1).tolist()
        for sentence, length in zip(sentences, lengths, strict=True):
            if length > longest:
                raise InputError(
                    f"The instruction {sentence[:60]!r}... has {length} tokens and CLIP reads {longest}: shorten it, "
                    "or let long ones be cut (truncate)."
                )
        return {name: tokens[name].to(self.network.device) for name in ("input_ids", "attention_mask")}

    @property
    def made_of(self) -> dict[str, Any]:
        """All that decides the features, as JSON; where the files lie does not."""
        tokenizer = self.processor.tokenizer
        words = f"{sorted(tokenizer.get_vocab().items())}"
        return {
            **_made_of(self.network, self.processor.image_processor),
            "tokenizer": type(tokenizer).__name__,
            "vocabulary": hashlib.sha256(words.encode()).hexdigest(),
            "truncate": self.truncate,
        }

    @classmethod
    def from_pretrained(cls, name: str | Path, truncate: bool = False) -> ClipSimilarity:
        """A folder, or a model of the hub such as ``openai/clip-vit-large-patch14``, in fp32.

        A name may have a revision, as :func:`showme.hub.split_revision` takes it. What is on this disk
        already is taken without asking the hub. Weights are safetensors, or read weights only.

        Raises:
            InputError: nothing there, the hub cannot be reached, another network, or weights that are damaged.
        """
        return cls(
            *_from_pretrained(str(name), "clip", f"CLIP model with {_FILES} and the tokenizer's files"), truncate
        )


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
    def made_of(self) -> dict[str, Any]:
        """All that decides the features, as JSON; where the files lie does not."""
        return _made_of(self.network, self.processor)

    @classmethod
    def from_pretrained(cls, name: str | Path) -> DinoSimilarity:
        """A folder, or a model of the hub such as ``facebook/dinov2-base``, in fp32.

        A name may have a revision, as :func:`showme.hub.split_revision` takes it. What is on this disk
        already is taken without asking the hub. Weights are safetensors, or read weights only.

        Raises:
            InputError: nothing there, the hub cannot be reached, another network, or weights that are damaged.
        """
        return cls(*_from_pretrained(str(name), "dinov2", f"DINOv2 model with {_FILES}"))


def _prepared(pixels: np.ndarray, processor: Any, network: Any):
    """What the network takes, a few pictures at a time."""
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3 or 0 in pixels.shape:
        raise ValueError(f"pictures are uint8 (N, H, W, 3), not {pixels.dtype} {pixels.shape}.")
    for start in range(0, len(pixels), _TOGETHER):
        part = list(pixels[start : start + _TOGETHER])
        # Said, because a picture three pixels high could be taken for one with its channels first.
        inputs = processor(images=part, input_data_format="channels_last", return_tensors="pt")
        yield inputs["pixel_values"].to(network.device, network.dtype)


def _made_of(network: nn.Module, processor: Any) -> dict[str, Any]:
    from ..data.cache import weights_digest

    settings = json.loads(processor.to_json_string())
    return {"network": type(network).__name__, "weights": weights_digest(network), "processor": settings}


def _from_pretrained(name: str, family: str, wanted: str) -> tuple[nn.Module, Any]:
    """The network with its processor, from this disk or else from the hub."""
    name, revision = split_revision(name)
    nothing = f"{name} does not hold a {family} network: give the folder of a {wanted}."
    if Path(name).is_dir() and not (Path(name) / "config.json").is_file():
        raise InputError(nothing)
    try:
        return _load(name, family, wanted, revision, local_files_only=True)
    except OSError as error:
        if Path(name).is_dir():
            raise InputError(nothing) from error
    try:
        return _load(name, family, wanted, revision, local_files_only=False)
    except OSError as error:
        raise InputError(
            f"The {family} network {name} at revision {revision} is not on this disk and could not be fetched from the "
            "hub: check its name and the connection, or give the folder of a copy."
        ) from error


def _load(name: str, family: str, wanted: str, revision: str, local_files_only: bool) -> tuple[nn.Module, Any]:
    """As :func:`_from_pretrained`.

    Raises:
        OSError: files that are not there.
        InputError: files that are there and cannot be used.
    """
    # Imported here: transformers' registries take seconds.
    from transformers import AutoConfig, AutoImageProcessor, CLIPModel, CLIPProcessor, Dinov2Model

    network_class: Any = CLIPModel if family == "clip" else Dinov2Model
    processor_class: Any = CLIPProcessor if family == "clip" else AutoImageProcessor
    # Code from the hub is never run, and nobody is asked whether it should be.
    common: dict[str, Any] = {"revision": revision, "local_files_only": local_files_only, "trust_remote_code": False}
    try:
        found = AutoConfig.from_pretrained(name, **common).model_type
        if found != family:
            raise InputError(f"{name} is a {found} network, not a {family} one: choose a {wanted}.")
        processor = processor_class.from_pretrained(name, **common)
        network, report = network_class.from_pretrained(
            name, weights_only=True, dtype=torch.float32, output_loading_info=True, **common
        )
    except InputError:
        raise
    except DAMAGED as error:
        reason = str(error).strip().splitlines()[0][:200].rstrip(".") if str(error).strip() else type(error).__name__
        raise InputError(f"{name} cannot be loaded ({reason}): give a {wanted}, or fetch its files again.") from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise InputError(f"{name} lacks {len(missing)} of its weights, {missing[0]} among them: fetch its files again.")
    if family == "clip":
        check_vocabulary(name, processor.tokenizer, network.config.text_config.vocab_size)
    return network, processor


def check_vocabulary(name: str, tokenizer: Any, words: int) -> None:
    """Refuse a tokenizer that transformers made up, of hardly a word, because its files are missing.

    Raises:
        InputError: it knows less than half of the network's words.
    """
    if 2 * len(tokenizer) < words:
        raise InputError(
            f"The tokenizer of {name} knows {len(tokenizer)} words and the network {words}: add the tokenizer's files, "
            "tokenizer.json among them."
        )
