"""EgoVLP (arXiv 2206.01670): videos as somebody sees them who acts, and sentences, in one space of features.

The network is that of Frozen in Time (arXiv 2104.00650): a ViT-B/16 with divided attention over space and time, and
DistilBERT. Names of weights are those of the released checkpoints, ``egovlp.pth`` (Ego4D, trained on 4 frames;
by its settings there are embeddings of 16 times, of which training reached 4) and ``epic_mir_plus.pth``
(EPIC-KITCHENS-100, 16 frames). Beside weights these hold an object of the trainer's settings, which is never made here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as pictures

from ...conversion.keys import count_heads, shape_of
from ...weight_files.checkpoint_file import read_weights
from .checkpoint import published_file
from .video_text import VideoText
from .video_text_files import check_sizes, count_blocks, load_tokenizer, network_from

MEAN, SPREAD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
TOKENIZER = "distilbert-base-uncased"

_PUBLISHED = "egovlp.pth or epic_mir_plus.pth from EgoVLP's or LEGO's release"
_HEAD_WIDTH = 64
# Buffers that older versions of transformers saved.
_INERT = "text_model.embeddings.position_ids"


class DividedAttention(nn.Module):
    """Attention of each patch to those of its frame, or to those of its place, and to the class token.

    The class token attends to everything.

    Args:
        width: D.
        heads: that D is divided into.
        zero: start as a layer that adds nothing, as attention over time does.
    """

    def __init__(self, width: int, heads: int, zero: bool = False):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        if zero:
            nn.init.zeros_(self.qkv.weight)
            nn.init.zeros_(self.qkv.bias)
            # Not zeros, which twice in a row would leave nothing to learn from.
            nn.init.ones_(self.proj.weight)
            nn.init.zeros_(self.proj.bias)

    def forward(self, x: Tensor, frames: int, along: Literal["space", "time"]) -> Tensor:
        """Class token and the patches of one frame after the other, (B, 1 + T N, D) -> the same shape."""
        queries, keys, values = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        first = F.scaled_dot_product_attention(queries[:, :, :1], keys, values)
        grouped = [self._groups(each, frames, along) for each in (queries, keys, values)]
        query, key, value = grouped[0][..., 1:, :], grouped[1], grouped[2]
        rest = F.scaled_dot_product_attention(query, key, value)
        rest = rest.transpose(2, 3) if along == "time" else rest
        joined = torch.cat([first, rest.flatten(2, 3)], dim=2)
        return self.proj(joined.transpose(1, 2).flatten(2))

    @staticmethod
    def _groups(x: Tensor, frames: int, along: str) -> Tensor:
        """(B, heads, 1 + T N, d) -> (B, heads, groups, 1 + members, d): T groups of N patches, or N groups of T."""
        patches = x[:, :, 1:].unflatten(2, (frames, -1))
        patches = patches.transpose(2, 3) if along == "time" else patches
        token = x[:, :, None, :1].expand(-1, -1, patches.shape[2], -1, -1)
        return torch.cat([token, patches], dim=3)


class SpaceTimeBlock(nn.Module):
    """Attention over time, then over space, then two layers for each token alone.

    What time gives is seen by space and goes no further by itself: the sum leaves it out (Frozen in Time, section 3).
    """

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = DividedAttention(width, heads)
        self.timeattn = DividedAttention(width, heads, zero=True)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, hidden), "fc2": nn.Linear(hidden, width)})
        self.norm3 = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """(B, 1 + T N, D) -> the same shape."""
        moved = x + self.timeattn(self.norm3(x), frames, "time")
        x = x + self.attn(self.norm1(moved), frames, "space")
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class SpaceTimeTransformer(nn.Module):
    """The video tower, with random weights.

    Args:
        side: pixels of the square frames.
        patch: pixels of the square patches.
        width: D.
        depth: blocks.
        heads: of attention.
        frames: the most that it takes.
        hidden: width between the two layers for each token; None: 4 D.
    """

    def __init__(
        self,
        side: int = 224,
        patch: int = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        frames: int = 4,
        hidden: int | None = None,
    ):
        super().__init__()
        self.side, self.frames = side, frames
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, patch)})
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, (side // patch) ** 2 + 1, width))
        self.temporal_embed = nn.Parameter(torch.zeros(1, frames, width))
        hidden = 4 * width if hidden is None else hidden
        self.blocks = nn.ModuleList(SpaceTimeBlock(width, heads, hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, clips: Tensor) -> Tensor:
        """(B, T, 3, side, side), normalised -> the class token after the last block, (B, D)."""
        count = clips.shape[1]
        patches = self.patch_embed["proj"](clips.flatten(0, 1)).flatten(2).transpose(1, 2).unflatten(0, (-1, count))
        patches = patches + self.pos_embed[:, None, 1:] + self.temporal_embed[:, :count, None]
        token = (self.cls_token + self.pos_embed[:, :1]).expand(len(clips), -1, -1)
        x = torch.cat([token, patches.flatten(1, 2)], dim=1)
        for block in self.blocks:
            x = block(x, count)
        return self.norm(x)[:, 0]


class FrozenInTime(nn.Module):
    """Both towers, each with a projection to features that compare.

    Args:
        video_model: of width D.
        text_model: a DistilBertModel of transformers.
        features: that both projections give.
    """

    def __init__(self, video_model: SpaceTimeTransformer, text_model: nn.Module, features: int = 256):
        super().__init__()
        self.video_model, self.text_model = video_model, text_model
        config: Any = text_model.config
        self.txt_proj = nn.Sequential(nn.ReLU(), nn.Linear(config.dim, features))
        self.vid_proj = nn.Sequential(nn.Linear(video_model.norm.normalized_shape[0], features))

    def videos(self, clips: Tensor) -> Tensor:
        """(B, T, 3, side, side), normalised -> (B, F)."""
        return self.vid_proj(self.video_model(clips))

    def texts(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """``input_ids`` and ``attention_mask`` (M, L) -> (M, F), of the first token."""
        return self.txt_proj(self.text_model(**tokens).last_hidden_state[:, 0])


class EgoVLP(VideoText):
    """Features of clips and of sentences (256 of each), which compare by their cosine.

    Frames are brought to 224 pixels at the short side, bilinearly and without smoothing as the releases did it, and
    the square in the middle is taken.

    Args:
        network: both towers.
        tokenizer: DistilBERT's.
        truncate: cut sentences that are longer than the network reads, 512 tokens, with one warning, instead of
            refusing them.
        temporal: how the embeddings of time came to be as many as the frames, for the record.
    """

    name = "EgoVLP"
    together = 32
    padding = True

    def __init__(
        self, network: FrozenInTime, tokenizer: Any, truncate: bool = False, temporal: str = "as they were trained"
    ):
        model: Any = network.text_model
        super().__init__(network, tokenizer, network.video_model.frames, model.config.max_position_embeddings, truncate)
        self.temporal = temporal

    @classmethod
    def from_file(
        cls,
        checkpoint: str | Path,
        tokenizer: str | Path = TOKENIZER,
        frames: int = 4,
        truncate: bool = False,
        head_width: int = _HEAD_WIDTH,
    ) -> EgoVLP:
        """The trained network, in fp32.

        Where it was trained on another number of frames than it is to look at, embeddings of time are cut off behind
        or filled up with zeros, as the releases do it, and the record says so.

        Args:
            checkpoint: as published, or the weights alone as safetensors.
            tokenizer: folder, or name on the hub.
            frames: 4 for Ego4D, 16 for EPIC-KITCHENS-100.
            truncate: as in :class:`EgoVLP`.
            head_width: of attention, in both towers; 64 in every released checkpoint.

        Raises:
            InputError: no such file, one with other things than weights, other weights, or no tokenizer.
        """
        path = published_file(checkpoint, "EgoVLP", _PUBLISHED)
        weights, temporal = fit_time(_read(path), frames)
        network = network_from(lambda known: _network(known, head_width), weights, path, "EgoVLP")
        from transformers import DistilBertTokenizer

        words = weights["text_model.embeddings.word_embeddings.weight"].shape[0]
        loaded = load_tokenizer(tokenizer, DistilBertTokenizer, words, f"the tokenizer of {TOKENIZER}")
        return cls(network, loaded, truncate, temporal)

    def _fingerprint(self) -> dict[str, Any]:
        return {
            "temporal_embeddings": self.temporal,
            "resize": f"short side {self.network.video_model.side}, bilinear without antialiasing, middle",
        }

    def _videos(self, clips: Tensor) -> Tensor:
        side, weight = self.network.video_model.side, self.network.video_model.cls_token
        frames = clips.flatten(0, 1).to(weight.device, weight.dtype)
        frames = pictures.center_crop(pictures.resize(frames, [side], antialias=False), [side])
        return self.network.videos(pictures.normalize(frames, MEAN, SPREAD).unflatten(0, clips.shape[:2]))

    def _texts(self, tokens: Any) -> Tensor:
        device = self.network.text_model.device
        rows = {name: torch.tensor(tokens[name], device=device) for name in ("input_ids", "attention_mask")}
        return self.network.texts(rows)


def fit_time(weights: Mapping[str, Tensor], frames: int) -> tuple[dict[str, Tensor], str]:
    """The weights with ``frames`` embeddings of time, and how they came to be so many.

    Raises:
        ValueError: no frames.
    """
    if frames < 1:
        raise ValueError(f"EgoVLP looks at least at one frame, not {frames}.")
    key = "video_model.temporal_embed"
    trained = weights.get(key)
    if trained is None or trained.ndim != 3 or trained.shape[1] == frames:
        return dict(weights), "as they were trained"
    count = trained.shape[1]
    if count > frames:
        return {**weights, key: trained[:, :frames]}, f"the first {frames} of {count}"
    filled = torch.cat([trained, trained.new_zeros(trained.shape[0], frames - count, trained.shape[2])], dim=1)
    return {**weights, key: filled}, f"{count}, then zeros"


def _read(path: Path) -> dict[str, Tensor]:
    """Name -> weight, without what training in several processes put before the names."""
    weights = read_weights(path)
    check_sizes(weights, path, "EgoVLP")
    return {key.removeprefix("module."): value for key, value in weights.items() if not key.endswith(_INERT)}


def _network(weights: Mapping[str, Tensor], head_width: int) -> FrozenInTime:
    """The network whose sizes the weights have."""
    from transformers import DistilBertConfig, DistilBertModel

    width, _, patch, _ = shape_of(weights, "video_model.patch_embed.proj.weight")
    video = SpaceTimeTransformer(
        side=patch * math.isqrt(shape_of(weights, "video_model.pos_embed")[1] - 1),
        patch=patch,
        width=width,
        depth=count_blocks(weights, "video_model.blocks."),
        heads=count_heads(width, head_width),
        frames=shape_of(weights, "video_model.temporal_embed")[1],
        hidden=shape_of(weights, "video_model.blocks.0.mlp.fc1.weight")[0],
    )
    words, text_width = shape_of(weights, "text_model.embeddings.word_embeddings.weight")
    text = DistilBertConfig(
        vocab_size=words,
        max_position_embeddings=shape_of(weights, "text_model.embeddings.position_embeddings.weight")[0],
        n_layers=count_blocks(weights, "text_model.transformer.layer."),
        n_heads=count_heads(text_width, head_width),
        dim=text_width,
        hidden_dim=shape_of(weights, "text_model.transformer.layer.0.ffn.lin1.weight")[0],
    )
    return FrozenInTime(video, DistilBertModel(text), features=shape_of(weights, "vid_proj.0.weight")[0])
