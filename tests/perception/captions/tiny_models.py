"""Tiny chat models of two real families, whose weights are set so that they say a sentence that is known beforehand.

Tokens are embedded as unit vectors, the layers add nothing to them, and the head leads from each token to the next one
of a chain. With ``noisy`` the head is flat, so that sampled answers differ.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch

SENTENCES = (
    "1. The ball lies on the table.",
    "2. The hand takes hold of the ball.",
    "3. The hand lifts the ball.",
    "4. The hand holds the ball in the air.",
)
_START = "ASSISTANT:"
_CONTROL = ["<pad>", "<unk>", "<s>", "</s>"]
_QWEN = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
_WORDS = ["USER:", _START, *SENTENCES, "lift", "drop", "process", "properly", "person"]
_TEMPLATE = (
    "{{% for message in messages %}}{{{{ message['role'].upper() }}}}: {{% for part in message['content'] %}}"
    "{{% if part['type'] == 'image' %}}{image} {{% else %}}{{{{ part['text'] }}}} {{% endif %}}{{% endfor %}}"
    "{{% endfor %}}{{% if add_generation_prompt %}}" + _START + "{{% endif %}}"
)


def save_llava(folder: Path, noisy: bool = False) -> None:
    """A LLaVA of CLIP and Llama with its processor."""
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    words = [*_CONTROL, "<image>", *_WORDS]
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8
    )
    text = LlamaConfig(**_text_settings(words))
    network = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=words.index("<image>"))
    )
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}),
        _tokenizer(words, ["<image>"]),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_TEMPLATE.format(image="<image>"),
    )
    _save(network, processor, words, folder, noisy)


def save_qwen(folder: Path, noisy: bool = False) -> None:
    """A Qwen2-VL with its processor; it sees pictures at their own size."""
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    words = [*_CONTROL, *_QWEN, *_WORDS]
    places = {f"{name}_token_id": words.index(token) for name, token in zip(_QWEN_NAMES, _QWEN, strict=True)}
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10_000.0}
    network = Qwen2VLForConditionalGeneration(
        Qwen2VLConfig(
            text_config={**_text_settings(words), "rope_parameters": rope},
            vision_config={"depth": 1, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 1},
            **places,
        )
    )
    sizes = {"patch_size": 14, "temporal_patch_size": 2, "merge_size": 2, "min_pixels": 56 * 56, "max_pixels": 84 * 84}
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(**sizes),
        _tokenizer(words, _QWEN),
        Qwen2VLVideoProcessor(**sizes),
        chat_template=_TEMPLATE.format(image="<|vision_start|><|image_pad|><|vision_end|>"),
    )
    _save(network, processor, words, folder, noisy)


_QWEN_NAMES = ("image", "video", "vision_start", "vision_end")


def _text_settings(words: list[str]) -> dict:
    return {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 512,
        "tie_word_embeddings": False,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }


def _tokenizer(words: list[str], special: list[str]):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=special,
        clean_up_tokenization_spaces=False,
    )


@torch.no_grad()
def _save(network, processor, words: list[str], folder: Path, noisy: bool) -> None:
    language = network.model.language_model
    language.embed_tokens.weight.copy_(torch.eye(len(words), 32))
    for layer in language.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    network.lm_head.weight.zero_()
    chain = [words.index(word) for word in (_START, *SENTENCES, "</s>")]
    for here, there in pairwise(chain):
        network.lm_head.weight[there, here] = 0.02 if noisy else 20.0
    # Settings with which the model would sample, if it were asked to go by its own.
    network.generation_config.update(do_sample=True, temperature=50.0, top_p=0.9)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
