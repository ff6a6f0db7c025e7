"""Tiny random BLIPs and an InstructBLIP with the files that the published ones have."""

from __future__ import annotations

from pathlib import Path

import torch

WORDS = (
    "a",
    "picture",
    "of",
    "the",
    "hand",
    "lifts",
    "mug",
    "opens",
    "jar",
    "cup",
    "on",
    "table",
    "turns",
    "yes",
    "no",
)
QUESTION_WORDS = ("Does", "this", "figure", "show", "Please", "answer", "yes", "or", "no.", "lift", "jar", "Yes")
SIDE = 32
_BLOCK = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]")


def save_blip(folder: Path, task: str, seed: int = 0) -> None:
    """``task`` ``matching`` or ``captions``."""
    from transformers import (
        BlipConfig,
        BlipForConditionalGeneration,
        BlipForImageTextRetrieval,
        BlipProcessor,
        BlipTextConfig,
        BlipVisionConfig,
    )

    words = [*_SPECIAL, *WORDS]
    numbers = {"pad_token_id": 0, "sep_token_id": 3, "bos_token_id": 5, "eos_token_id": 3}
    text = BlipTextConfig(
        **_BLOCK,
        vocab_size=len(words),
        encoder_hidden_size=16,
        max_position_embeddings=64,
        initializer_range=0.4,
        **numbers,
    )
    vision = BlipVisionConfig(**_BLOCK, image_size=SIDE, patch_size=8, initializer_range=0.4)
    config = BlipConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), image_text_hidden_size=8)
    torch.manual_seed(seed)
    network = (BlipForImageTextRetrieval if task == "matching" else BlipForConditionalGeneration)(config)
    _randomise(network)
    network.save_pretrained(folder)
    BlipProcessor(_pictures(), _bert(words)).save_pretrained(folder)


def save_instructblip(folder: Path) -> None:
    """With a T5 as its language model, as InstructBLIP-FlanT5 has."""
    from transformers import (
        InstructBlipConfig,
        InstructBlipForConditionalGeneration,
        InstructBlipProcessor,
        InstructBlipQFormerConfig,
        InstructBlipVisionConfig,
        T5Config,
    )

    # Its processor gives the tokenizer one token more, that of a picture.
    tokenizer = _word_level(["<pad>", "</s>", "<unk>", *QUESTION_WORDS])
    questions = _bert([*_SPECIAL, *(word.lower() for word in QUESTION_WORDS)])
    vision = InstructBlipVisionConfig(**_BLOCK, image_size=SIDE, patch_size=8)
    reader = InstructBlipQFormerConfig(**_BLOCK, vocab_size=len(questions), max_position_embeddings=64)
    text = T5Config(
        vocab_size=len(tokenizer) + 1, d_model=16, d_kv=8, d_ff=16, num_layers=2, num_heads=2, decoder_start_token_id=0
    )
    torch.manual_seed(0)
    network = InstructBlipForConditionalGeneration(
        InstructBlipConfig(
            vision_config=vision.to_dict(),
            qformer_config=reader.to_dict(),
            text_config=text.to_dict(),
            num_query_tokens=4,
            image_token_index=len(tokenizer),
        )
    )
    _randomise(network)
    # Published settings ask for beams, and must not matter.
    network.generation_config.update(num_beams=5, max_length=256, min_length=8)
    network.save_pretrained(folder)
    InstructBlipProcessor(_pictures(), tokenizer, questions, num_query_tokens=4).save_pretrained(folder)


@torch.no_grad()
def _randomise(network: torch.nn.Module) -> None:
    for name, weight in network.named_parameters():
        if weight.ndim > 1:
            weight.normal_(std=0.4)
        elif not name.endswith("weight"):
            weight.normal_(std=0.2)


def _pictures():
    from transformers import BlipImageProcessor

    return BlipImageProcessor(size={"height": SIDE, "width": SIDE})


def _bert(words: list[str]):
    from transformers import BertTokenizer

    return BertTokenizer(vocab={word: n for n, word in enumerate(dict.fromkeys(words))}, bos_token="[DEC]")


def _word_level(words: list[str]):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    )
