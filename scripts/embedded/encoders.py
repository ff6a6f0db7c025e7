"""Stage "encoders": tokenizer, text encoder and image encoder, trained to tell which change fits which instruction.

The objective is CLIP's (arXiv 2103.00020, section 2.3) with one difference: an instruction speaks of a change, so its
partner is the pair of first and last frame instead of one picture. A batch holds other ends of the same first frame
at times: what they differ in is what the words say.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    PreTrainedTokenizerFast,
)

from showme.data.stream import shuffled
from showme.worlds.tabletop.vocabulary import all_words

from .frames import to_unit
from .pairs import Pairs, load_pairs
from .settings import Settings
from .stage import round_to_bf16, run_stage

_HEAD_WIDTH = 32

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[BOS]", "[EOS]")
# The statistics that CLIPImageProcessor normalises by: plain [-1, 1].
_HALF = [0.5, 0.5, 0.5]


def build_tokenizer(settings: Settings) -> PreTrainedTokenizerFast:
    """One token per word of the world's instructions; other words become [UNK]."""
    vocabulary = {word: index for index, word in enumerate((*SPECIAL_TOKENS, *all_words()))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    # Punctuation says nothing here, and as [UNK] it would say something wrong.
    letters = normalizers.Replace(Regex(r"[^a-z0-9]+"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), letters])
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[(name, vocabulary[name]) for name in ("[BOS]", "[EOS]")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=settings.text_tokens,
        pad_token="[PAD]",
        unk_token="[UNK]",
        bos_token="[BOS]",
        eos_token="[EOS]",
    )


def build_encoders(settings: Settings) -> tuple[CLIPTextModel, CLIPVisionModel]:
    """Untrained encoders."""
    text = CLIPTextConfig(
        vocab_size=len(SPECIAL_TOKENS) + len(all_words()),
        hidden_size=settings.text_width,
        intermediate_size=4 * settings.text_width,
        num_hidden_layers=settings.text_layers,
        num_attention_heads=max(settings.text_width // _HEAD_WIDTH, 1),
        max_position_embeddings=settings.text_tokens,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
    )
    image = CLIPVisionConfig(
        image_size=settings.size,
        patch_size=16,
        hidden_size=settings.image_width,
        intermediate_size=4 * settings.image_width,
        num_hidden_layers=settings.image_layers,
        num_attention_heads=max(settings.image_width // _HEAD_WIDTH, 1),
    )
    return CLIPTextModel(text), CLIPVisionModel(image)


def build_feature_extractor(settings: Settings) -> CLIPImageProcessor:
    """The preparation of pictures for the image encoder."""
    size = {"height": settings.size, "width": settings.size}
    return CLIPImageProcessor(size=size, crop_size=size, image_mean=_HALF, image_std=_HALF)


class ChangeHead(nn.Module):
    """Projections of text and of (first, last) pictures to one space; used for this training alone."""

    def __init__(self, text_width: int, image_width: int, dim: int = 128):
        super().__init__()
        self.text = nn.Linear(text_width, dim)
        self.change = nn.Sequential(nn.Linear(2 * image_width, 256), nn.GELU(), nn.Linear(256, dim))
        self.log_scale = nn.Parameter(torch.tensor(2.66))

    def forward(self, text: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """Sentence (B, D) and pooled pictures (B, D_img) each -> scaled cosine similarities (B, B)."""
        words = F.normalize(self.text(text), dim=-1)
        change = F.normalize(self.change(torch.cat([first, last], dim=-1)), dim=-1)
        return self.log_scale.exp().clamp(max=100) * words @ change.T


class ContrastiveObjective(nn.Module):
    """Batch of ``ids`` (B, L) and ``pictures`` (B, 2, 3, H, W), first and last -> CLIP's loss."""

    def __init__(self, settings: Settings):
        super().__init__()
        torch.manual_seed(settings.seed)
        self.text, self.image = build_encoders(settings)
        self.head = ChangeHead(settings.text_width, settings.image_width)

    @property
    def trained(self) -> dict[str, nn.Module]:
        """By the names that checkpoints use."""
        return {"text": self.text, "image": self.image, "head": self.head}

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        tokens = self.image(batch["pictures"].flatten(0, 1)).last_hidden_state.mean(dim=1).unflatten(0, (-1, 2))
        similarity = self.head(self.text(batch["ids"]).pooler_output, tokens[:, 0], tokens[:, 1])
        return {"contrastive": contrastive_loss(similarity.float(), batch["ids"])}


class Changes(Dataset):
    """Position -> a pair's instruction as ids and its two pictures in [-1, 1]."""

    def __init__(self, pairs: Pairs, ids: Tensor, seed: int):
        self.pairs, self.ids, self.seed = pairs, ids, seed

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        row = shuffled(position, len(self.ids), self.seed)
        pictures = [self.pairs.first[self.pairs.scene[row]], self.pairs.end[row]]
        return {"ids": self.ids[row], "pictures": to_unit(torch.stack(pictures))}


def train_encoders(folder: Path, settings: Settings, device: torch.device) -> dict:
    """Train both encoders for the stage's minutes and save them with the tokenizer under ``folder``."""
    pairs = load_pairs(folder, settings)
    tokenizer = build_tokenizer(settings)
    ids = tokenizer(list(pairs.instructions), padding="max_length", truncation=True, return_tensors="pt").input_ids
    objective = ContrastiveObjective(settings)
    changes = Changes(pairs, ids, settings.seed)
    state = run_stage("encoders", objective, changes, folder, settings, settings.encoder_batch)
    # The image encoder is final; the text encoder goes on learning.
    round_to_bf16(objective.image)
    tokenizer.save_pretrained(folder / "tokenizer")
    objective.text.save_pretrained(folder / "text-encoder")
    objective.image.save_pretrained(folder / "image-encoder")
    return state


def contrastive_loss(similarity: Tensor, ids: Tensor) -> Tensor:
    """Symmetric cross-entropy over (B, B) similarities, where equal sentences (rows of ids) are all right answers."""
    same = (ids[:, None] == ids[None]).all(-1).float()
    target = same / same.sum(dim=1, keepdim=True)
    return (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2
