"""A network that answers questions about pictures: how likely it finds an answer."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ...errors import InputError
from ...perception.similarity import _fingerprint
from ...pretrained import load_pretrained
from .blip import vocabulary_digest

# Pictures that go through the network together: bounds the memory of networks of billions of weights.
_TOGETHER = 4
_FILES = "config.json, model.safetensors, the processor's and the tokenizer's files"


class QuestionAnswering(nn.Module):
    """Any image-text-to-text network of transformers: with a chat template, or InstructBLIP's kind without.

    Args:
        network: an image-text-to-text network, on its device.
        processor: the one that belongs to it.
    """

    def __init__(self, network: nn.Module, processor: Any):
        super().__init__()
        self.network: Any = network
        self.processor = processor
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> QuestionAnswering:
        """Nothing: a metric's mode does not turn dropout on."""
        return super().train(False)

    @torch.no_grad()
    def answer_log_probabilities(self, pixels: np.ndarray, question: str, answer: str) -> Tensor:
        """How likely the network finds an answer, token by token, each after those before it.

        Args:
            pixels: uint8 (N, H, W, 3), RGB.
            question: about each picture.
            answer: of L tokens.

        Returns:
            float64 (N, L + 1), log-probabilities; the last is that of the answer's end.

        Raises:
            InputError: the question holds one of the network's control tokens.
            ValueError: pictures of another type or shape, or none.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3 or 0 in pixels.shape:
            raise ValueError(f"pictures are uint8 (N, H, W, 3), not {pixels.dtype} {pixels.shape}.")
        self._check_words(question)
        tokenizer = self.processor.tokenizer
        answer_tokens = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        parts = range(0, len(pixels), _TOGETHER)
        return torch.cat([self._forced(pixels[n : n + _TOGETHER], question, answer_tokens) for n in parts])

    def _forced(self, pixels: np.ndarray, question: str, answer: list[int]) -> Tensor:
        """Generation that may say nothing but the answer, which does for every kind of network; what it thought."""
        from transformers import LogitsProcessorList

        generated = self.network.generate(
            **self._inputs([Image.fromarray(each) for each in pixels], question),
            logits_processor=LogitsProcessorList([_Force(answer)]),
            max_new_tokens=len(answer),
            max_length=None,
            num_beams=1,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
        thought = torch.stack(generated.logits, dim=1).double().log_softmax(-1)
        return thought[:, torch.arange(len(answer)), answer]

    def _inputs(self, pictures: list[Image.Image], question: str) -> Any:
        """Tokens and pixels on the network's device, pixels in its precision."""
        if getattr(self.processor, "chat_template", None):
            asked: Any = [
                [{"role": "user", "content": [{"type": "image", "image": each}, {"type": "text", "text": question}]}]
                for each in pictures
            ]
            inputs = self.processor.apply_chat_template(
                asked, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            )
        else:
            inputs = self.processor(images=pictures, text=[question] * len(pictures), return_tensors="pt")
        return inputs.to(self.network.device, dtype=self.network.dtype)

    def _check_words(self, question: str) -> None:
        """Refuse words that the tokenizer reads as control tokens: a picture that is not there, an end of the turn."""
        markers = {*self.processor.tokenizer.all_special_tokens, str(getattr(self.processor, "image_token", ""))}
        found = sorted(marker for marker in markers if marker.strip() and marker in question)
        if found:
            raise InputError(
                f"The question {question[:100]!r} holds {found[0]!r}, which the network reads as a control token: "
                "write the instruction otherwise."
            )

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """All that decides the answers, as JSON."""
        # InstructBLIP reads the question with two.
        parts = (getattr(self.processor, name, None) for name in ("tokenizer", "qformer_tokenizer"))
        tokenizers = [part for part in parts if part is not None]
        return {
            **_fingerprint(self.network, self.processor.image_processor),
            "chat_template": getattr(self.processor, "chat_template", None),
            "vocabulary": vocabulary_digest(tokenizers),
        }

    @classmethod
    def from_pretrained(cls, name: str | Path, dtype: torch.dtype = torch.float32) -> QuestionAnswering:
        """A folder, or a model of the hub such as ``Salesforce/instructblip-flan-t5-xl``.

        Args:
            name: folder, or name on the hub.
            dtype: of the weights; bfloat16 halves the memory and moves the figures; the record says which it is.

        Raises:
            InputError: as :func:`showme.pretrained.load_pretrained`.
        """
        from transformers import AutoModelForImageTextToText, AutoProcessor

        what, parts = "model that answers questions about pictures", ["image_processor", "tokenizer"]
        return cls(
            *load_pretrained(name, AutoModelForImageTextToText, AutoProcessor, what, _FILES, parts=parts, dtype=dtype)
        )


class _Force:
    """Lets generation say one sequence of tokens alone."""

    def __init__(self, tokens: list[int]):
        self.tokens = iter(tokens)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        forced = torch.full_like(scores, -torch.inf)
        forced[:, next(self.tokens)] = 0
        return forced
