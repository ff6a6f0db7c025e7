"""Chat models of transformers that see pictures: LLaVA, Qwen-VL, SmolVLM and whatever else has a chat template."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from ...errors import InputError
from ...pretrained import load_pretrained
from .answers import AnswerError
from .prompts import Prompt

# LEGO's bound; four states take a tenth of it.
MAX_NEW_TOKENS = 1024
_TEMPERATURE = 0.7
_NEEDED = "config.json, model.safetensors, the tokenizer's and the processor's files and a chat template"


class ChatModel:
    """A captioner: one picture and one question in the model's own chat template, one answer.

    The first attempt takes the likeliest token at every step; attempt n samples at a temperature of 0.7 with the seed
    n, so that a whole run says the same every time.

    Args:
        name: goes into the key of stored answers.
        network: an image-text-to-text network of transformers, on its device.
        processor: the one that belongs to it.
        max_new_tokens: longest answer.
    """

    def __init__(self, name: str, network: nn.Module, processor: Any, max_new_tokens: int = MAX_NEW_TOKENS):
        self.name = name
        self.network: Any = network.requires_grad_(False).eval()
        self.processor = processor
        self.max_new_tokens = max_new_tokens

    def answer(self, picture: Image.Image, prompt: Prompt, instruction: str, attempt: int = 0) -> str:
        """The raw answer, without control tokens.

        Args:
            picture: RGB.
            prompt: what is asked.
            instruction: what the clip shows.
            attempt: 0 for the likeliest answer, 1, 2, ... for sampled ones.

        Raises:
            AnswerError: the answer did not end within ``max_new_tokens``.
            InputError: the instruction is empty or holds one of the model's control tokens.
        """
        question = prompt.question(instruction)
        self._check_words(question)
        inputs = self._inputs(picture, question)
        settings = self._settings(attempt)
        devices = [self.network.device] if self.network.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices):
            torch.manual_seed(attempt)
            tokens = self.network.generate(**inputs, generation_config=settings)[0, inputs["input_ids"].shape[1] :]
        ends = torch.atleast_1d(torch.as_tensor(settings.eos_token_id, device=tokens.device))
        if not torch.isin(tokens, ends).any():
            raise AnswerError(f"it did not end within {self.max_new_tokens} tokens")
        return self.processor.decode(tokens, skip_special_tokens=True)

    def _check_words(self, question: str) -> None:
        """Refuse words that the tokenizer reads as control tokens: a picture that is not there, an end of the turn."""
        tokenizer = self.processor.tokenizer
        markers = {*tokenizer.all_special_tokens, getattr(self.processor, "image_token", None)}
        found = sorted(marker for marker in markers if marker and marker.strip() and str(marker) in question)
        if found:
            raise InputError(
                f"The instruction holds {found[0]!r}, which {self.name} reads as a control token: write it otherwise."
            )

    def _inputs(self, picture: Image.Image, question: str) -> Any:
        """Token ids and pixels on the network's device, pixels in its precision."""
        content = [{"type": "image", "image": picture}, {"type": "text", "text": question}]
        inputs = self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        return inputs.to(self.network.device, dtype=self.network.dtype)

    def _settings(self, attempt: int) -> Any:
        """The model's own settings for generating, but for how tokens are chosen and how many."""
        settings = copy.deepcopy(self.network.generation_config)
        sampled = attempt > 0
        settings.update(
            do_sample=sampled,
            temperature=_TEMPERATURE if sampled else 1.0,
            top_p=1.0,
            top_k=50,
            num_beams=1,
            max_length=None,
            max_new_tokens=self.max_new_tokens,
        )
        if settings.eos_token_id is None:
            settings.eos_token_id = self.processor.tokenizer.eos_token_id
        if settings.pad_token_id is None:
            first = settings.eos_token_id
            settings.pad_token_id = first[0] if isinstance(first, list) else first
        return settings

    @classmethod
    def from_pretrained(
        cls, name: str | Path, device: str | torch.device | None = None, max_new_tokens: int = MAX_NEW_TOKENS
    ) -> ChatModel:
        """A folder, or a model of the hub such as ``llava-hf/llava-1.5-7b-hf``, in the precision of its weights.

        The captioner's name holds a digest of the weights: other weights in the same folder give other answers.

        Args:
            name: folder, or name on the hub.
            device: one that this machine has; None: a GPU when there is one.
            max_new_tokens: longest answer.

        Raises:
            InputError: as :func:`showme.pretrained.load_pretrained`.
        """
        # Imported here: transformers' registries take seconds, and the other captioners need none of them.
        from transformers import AutoModelForImageTextToText, AutoProcessor

        from ...fingerprint import weights_digest

        what, parts = "chat model that sees pictures", ["image_processor", "chat_template"]
        network, processor = load_pretrained(
            name, AutoModelForImageTextToText, AutoProcessor, what, _NEEDED, parts=parts, dtype="auto"
        )
        digest = weights_digest(network)[:12]
        place = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(f"transformers:{name}@{digest}", network.to(place), processor, max_new_tokens)
