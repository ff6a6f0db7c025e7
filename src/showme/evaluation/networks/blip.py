"""BLIP (arXiv 2201.12086): whether a picture and a sentence match, and what a picture shows in words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError
from ...long_text import TruncationNotice
from ...perception.similarity import _fingerprint, _prepared
from ...pretrained import load_pretrained

# What BLIP's image-text matching was trained and released with.
MATCHING_TOKENS = 35
# LEGO's captions: the prompt and the end count among the tokens.
PROMPT = "a picture of"
_BEAMS, _SHORTEST, _LONGEST = 3, 5, 20
_PARTS = ("image_processor", "tokenizer")
_FILES = "config.json, model.safetensors, preprocessor_config.json and the tokenizer's files"


class BlipMatching(nn.Module):
    """BLIP for retrieval: its matching head and its two unimodal features.

    Args:
        network: a BlipForImageTextRetrieval of transformers.
        processor: its BlipProcessor: pictures are resized to the network's square, without a crop.
        truncate: cut sentences of more than ``max_tokens``, with one warning, instead of refusing them.
        max_tokens: that a sentence may have, start and end among them. BLIP's release cuts at 35.
    """

    def __init__(self, network: nn.Module, processor: Any, truncate: bool = False, max_tokens: int = MATCHING_TOKENS):
        super().__init__()
        self.network: Any = network
        self.processor, self.truncate, self.max_tokens = processor, truncate, max_tokens
        self._cuts = TruncationNotice("BLIP", max_tokens)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> BlipMatching:
        """Nothing: a metric's mode does not turn dropout on."""
        return super().train(False)

    @torch.no_grad()
    def matching(self, pixels: np.ndarray, sentence: str) -> Tensor:
        """uint8 (N, H, W, 3), RGB -> (N,): the matching head's probability that the sentence fits each picture.

        Raises:
            InputError: the sentence is too long.
            ValueError: pictures of another type or shape, or none.
        """
        tokens = self._tokens(sentence)
        return torch.cat([self._head(patches, tokens) for patches in self._patches(pixels)])

    @torch.no_grad()
    def cosines(self, pixels: np.ndarray, sentence: str) -> Tensor:
        """uint8 (N, H, W, 3), RGB -> (N,): cosine of the projected class tokens of each picture and the sentence.

        Raises:
            InputError: the sentence is too long.
            ValueError: pictures of another type or shape, or none.
        """
        words = self.network.text_encoder(**self._tokens(sentence)).last_hidden_state[:, 0]
        words = F.normalize(self.network.text_proj(words), dim=-1)
        seen = [self.network.vision_proj(patches[:, 0]) for patches in self._patches(pixels)]
        return (F.normalize(torch.cat(seen), dim=-1) * words).sum(-1)

    def _patches(self, pixels: np.ndarray):
        for part in _prepared(pixels, self.processor.image_processor, self.network):
            yield self.network.vision_model(pixel_values=part).last_hidden_state

    def _head(self, patches: Tensor, tokens: dict[str, Tensor]) -> Tensor:
        repeated = {name: each.expand(len(patches), -1) for name, each in tokens.items()}
        read = self.network.text_encoder(**repeated, encoder_hidden_states=patches).last_hidden_state[:, 0]
        return self.network.itm_head(read).softmax(-1)[:, 1]

    def cuts(self, sentences: Sequence[str]) -> str | None:
        """What should be known of sentences that are cut, which the figures then say no more; None: all are read.

        Raises:
            InputError: a sentence is too long, and may not be cut.
        """
        return self._cuts.sentence(sentences, [self._encoded(sentence).encodings[0] for sentence in sentences])

    def _tokens(self, sentence: str) -> dict[str, Tensor]:
        tokens = self._encoded(sentence)
        self._cuts.warn([sentence], tokens.encodings)
        return {name: tokens[name].to(self.network.device) for name in ("input_ids", "attention_mask")}

    def _encoded(self, sentence: str) -> Any:
        cut = {"truncation": True, "max_length": self.max_tokens} if self.truncate else {}
        tokens = self.processor.tokenizer([sentence], return_attention_mask=True, return_tensors="pt", **cut)
        length = tokens["input_ids"].shape[1]
        if length > self.max_tokens:
            raise InputError(
                f"The instruction {sentence[:60]!r}... has {length} tokens and BLIP reads {self.max_tokens}: shorten "
                "it, or let long ones be cut (truncate)."
            )
        return tokens

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """All that decides the figures, as JSON."""
        return {
            **_blip_fingerprint(self.network, self.processor),
            "truncate": self.truncate,
            "max_tokens": self.max_tokens,
        }

    @classmethod
    def from_pretrained(
        cls, name: str | Path, truncate: bool = False, max_tokens: int = MATCHING_TOKENS
    ) -> BlipMatching:
        """A folder, or a model of the hub such as ``Salesforce/blip-itm-base-coco``, in fp32.

        Raises:
            InputError: as :func:`showme.pretrained.load_pretrained`.
        """
        from transformers import AutoProcessor, BlipForImageTextRetrieval

        what = "BLIP model for image-text matching"
        loaded = load_pretrained(name, BlipForImageTextRetrieval, AutoProcessor, what, _FILES, ["blip"], _PARTS)
        return cls(*loaded, truncate, max_tokens)


class BlipCaptioner(nn.Module):
    """BLIP's captions as LEGO takes them: "a picture of" is continued by beam search, 3 beams, 5 to 20 tokens in all.

    LEGO's release runs the captioner without switching dropout off, so that its captions depend on their order; here
    it is off.

    Args:
        network: a BlipForConditionalGeneration of transformers.
        processor: its BlipProcessor: pictures are resized to the network's square, without a crop.
    """

    def __init__(self, network: nn.Module, processor: Any):
        super().__init__()
        self.network: Any = network
        self.processor = processor
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> BlipCaptioner:
        """Nothing: a metric's mode does not turn dropout on."""
        return super().train(False)

    @torch.no_grad()
    def captions(self, pixels: np.ndarray) -> list[str]:
        """uint8 (N, H, W, 3), RGB -> N captions, without the prompt.

        Raises:
            ValueError: pictures of another type or shape, or none.
        """
        tokenizer, captions = self.processor.tokenizer, []
        prompt = tokenizer([PROMPT], return_tensors="pt")["input_ids"].to(self.network.device)
        for part in _prepared(pixels, self.processor.image_processor, self.network):
            tokens = self.network.generate(
                pixel_values=part,
                # The network overwrites the first of these with its own start, and drops the last.
                input_ids=prompt.repeat(len(part), 1),
                do_sample=False,
                num_beams=_BEAMS,
                min_length=_SHORTEST,
                max_length=_LONGEST,
                length_penalty=1.0,
                repetition_penalty=1.0,
            )
            words = tokenizer.batch_decode(tokens[:, prompt.shape[1] - 1 :], skip_special_tokens=True)
            captions += [each.strip() for each in words]
        return captions

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """All that decides the captions, as JSON."""
        search = {"prompt": PROMPT, "beams": _BEAMS, "tokens": [_SHORTEST, _LONGEST]}
        return _blip_fingerprint(self.network, self.processor) | search

    @classmethod
    def from_pretrained(cls, name: str | Path) -> BlipCaptioner:
        """A folder, or a model of the hub, in fp32: ``Salesforce/blip-image-captioning-base`` or ``-large``.

        Raises:
            InputError: as :func:`showme.pretrained.load_pretrained`.
        """
        from transformers import AutoProcessor, BlipForConditionalGeneration

        what = "BLIP model for captions"
        return cls(*load_pretrained(name, BlipForConditionalGeneration, AutoProcessor, what, _FILES, ["blip"], _PARTS))


def _blip_fingerprint(network: nn.Module, processor: Any) -> dict[str, Any]:
    return {
        **_fingerprint(network, processor.image_processor),
        "vocabulary": vocabulary_digest([processor.tokenizer]),
    }


def vocabulary_digest(tokenizers: Sequence[Any]) -> str:
    """SHA-256 over what tokenizers know: their words with numbers, and their kinds."""
    words = [(type(each).__name__, sorted(each.get_vocab().items())) for each in tokenizers]
    return hashlib.sha256(f"{words}".encode()).hexdigest()
