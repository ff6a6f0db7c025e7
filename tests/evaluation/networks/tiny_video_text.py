"""Small random networks for videos and sentences, with tokenizers whose words are letters."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPTokenizer, DistilBertConfig, DistilBertModel, DistilBertTokenizer

from showme.evaluation.networks.egovlp import EgoVLP, FrozenInTime, SpaceTimeTransformer
from showme.evaluation.networks.viclip import TextTransformer, ViCLIP, VideoClip, VisionTransformer

Module = TypeVar("Module", bound=nn.Module)

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Of attention, in every tower.
HEAD_WIDTH = 8
LONGEST = 12


def randomised(module: Module, seed: int = 0, spread: float = 0.3) -> Module:
    """Every weight drawn anew: none is a zero that hides a mistake."""
    generator = torch.Generator().manual_seed(seed)
    for weight in module.parameters():
        weight.data.copy_(spread * torch.randn(weight.shape, generator=generator))
    return module.eval()


def bert_tokenizer() -> DistilBertTokenizer:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    return DistilBertTokenizer(vocab={word: number for number, word in enumerate(words)})


def clip_tokenizer() -> CLIPTokenizer:
    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[])


def tiny_frozen_in_time(frames: int = 4, seed: int = 0) -> FrozenInTime:
    text = DistilBertConfig(
        vocab_size=len(bert_tokenizer()), dim=16, n_heads=2, n_layers=2, hidden_dim=24, max_position_embeddings=LONGEST
    )
    video = SpaceTimeTransformer(side=32, patch=8, width=24, depth=2, heads=3, frames=frames)
    return randomised(FrozenInTime(video, DistilBertModel(text), features=10), seed)


def tiny_video_clip(frames: int = 8, seed: int = 0) -> VideoClip:
    vision = VisionTransformer(side=32, patch=8, width=24, layers=2, heads=3, features=10, frames=frames)
    text = TextTransformer(words=len(clip_tokenizer()), context=LONGEST, width=16, layers=2, heads=2, features=10)
    return randomised(VideoClip(vision, text), seed)


def tiny_egovlp(frames: int = 4, seed: int = 0) -> EgoVLP:
    return EgoVLP(tiny_frozen_in_time(frames, seed), bert_tokenizer())


def tiny_viclip(seed: int = 0) -> ViCLIP:
    return ViCLIP(tiny_video_clip(seed=seed), clip_tokenizer())


def save_weights(network: nn.Module, path: Path) -> Path:
    """The weights alone, as safetensors."""
    save_file({name: value.clone() for name, value in network.state_dict().items()}, path)
    return path
