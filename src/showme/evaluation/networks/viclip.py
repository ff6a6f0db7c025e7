"""ViCLIP (InternVid, arXiv 2307.06942): CLIP for clips of 8 frames, all of whose patches attend to each other.

Names of weights are those of the releases: ``ViClip-InternVid-10M-FLT.pth``, and ``model.safetensors`` of the hub's
``OpenGVLab/ViCLIP-L-14-hf`` and ``OpenGVLab/ViCLIP-B-16-hf``.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as pictures

from ...conversion.keys import count_heads, shape_of
from ...weight_files.checkpoint_file import read_weights
from .checkpoint import published_file
from .video_text import VideoText
from .video_text_files import check_sizes, count_blocks, load_tokenizer, network_from

TOKENIZER = "openai/clip-vit-large-patch14"
Preprocessing = Literal["internvid", "vbench"]

_PUBLISHED = (
    "ViClip-InternVid-10M-FLT.pth from InternVid's release, or model.safetensors of the hub's OpenGVLab/ViCLIP-L-14-hf,"
)
_HEAD_WIDTH = 64


class QuickGelu(nn.Module):
    """x sigmoid(1.702 x), which OpenAI's CLIP has for GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class AttentionBlock(nn.Module):
    """Attention among all tokens, then two layers for each alone."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        layers = OrderedDict(
            c_fc=nn.Linear(width, 4 * width), gelu=QuickGelu(), c_proj=nn.Linear(4 * width, width)
        )  # fmt: skip
        self.mlp = nn.Sequential(layers)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(L, B, D) -> the same shape; ``mask`` (L, L) is added to what attention weighs."""
        normal = self.ln_1(x)
        x = x + self.attn(normal, normal, normal, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """Blocks one after the other."""

    def __init__(self, width: int, layers: int, heads: int):
        super().__init__()
        self.resblocks = nn.ModuleList(AttentionBlock(width, heads) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, L, D) -> the same shape."""
        x = x.transpose(0, 1)
        for block in self.resblocks:
            x = block(x, mask)
        return x.transpose(0, 1)


class VisionTransformer(nn.Module):
    """The video tower, with random weights.

    Args:
        side: pixels of the square frames.
        patch: pixels of the square patches, of one frame each.
        width: D.
        layers: blocks.
        heads: of attention.
        features: F.
        frames: T.
    """

    def __init__(
        self,
        side: int = 224,
        patch: int = 14,
        width: int = 1024,
        layers: int = 24,
        heads: int = 16,
        features: int = 768,
        frames: int = 8,
    ):
        super().__init__()
        self.side, self.frames = side, frames
        scale = width**-0.5
        self.conv1 = nn.Conv3d(3, width, (1, patch, patch), (1, patch, patch), bias=False)
        self.class_embedding = nn.Parameter(scale * torch.randn(width))
        self.positional_embedding = nn.Parameter(scale * torch.randn((side // patch) ** 2 + 1, width))
        self.temporal_positional_embedding = nn.Parameter(torch.zeros(1, frames, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(width, layers, heads)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(scale * torch.randn(width, features))

    def forward(self, clips: Tensor) -> Tensor:
        """(B, T, 3, side, side), normalised -> the class token, projected, (B, F)."""
        patches = self.conv1(clips.transpose(1, 2)).flatten(3).permute(0, 2, 3, 1)
        patches = patches + self.positional_embedding[1:] + self.temporal_positional_embedding[:, :, None]
        token = (self.class_embedding + self.positional_embedding[0]).expand(len(clips), 1, -1)
        x = self.transformer(self.ln_pre(torch.cat([token, patches.flatten(1, 2)], dim=1)))
        return self.ln_post(x[:, 0]) @ self.proj


class TextTransformer(nn.Module):
    """The text tower, with random weights.

    Args:
        words: of the vocabulary; the last is the end of a sentence.
        context: the most tokens that it reads.
        width: D.
        layers: blocks.
        heads: of attention.
        features: F.
    """

    def __init__(
        self,
        words: int = 49408,
        context: int = 32,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        features: int = 768,
    ):
        super().__init__()
        self.context = context
        self.token_embedding = nn.Embedding(words, width)
        self.positional_embedding = nn.Parameter(0.01 * torch.randn(context, width))
        self.transformer = Transformer(width, layers, heads)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(width**-0.5 * torch.randn(width, features))

    def forward(self, ids: Tensor) -> Tensor:
        """(M, L), at most ``context`` each -> the token of the sentence's end, projected, (M, F)."""
        length = ids.shape[1]
        x = self.token_embedding(ids) + self.positional_embedding[:length]
        mask = nn.Transformer.generate_square_subsequent_mask(length, device=x.device, dtype=x.dtype)
        x = self.ln_final(self.transformer(x, mask))
        return x[torch.arange(len(ids), device=x.device), ids.argmax(dim=-1)] @ self.text_projection


class VideoClip(nn.Module):
    """Both towers, and the temperature of training, which no feature depends on."""

    def __init__(self, vision_encoder: VisionTransformer, text_encoder: TextTransformer):
        super().__init__()
        self.vision_encoder, self.text_encoder = vision_encoder, text_encoder
        self.temp = nn.Parameter(torch.tensor(0.01))


class ViCLIP(VideoText):
    """Features of clips and of sentences, which compare by their cosine.

    Sentences are read as they are: the release also repairs broken Unicode and resolves HTML entities first.

    Args:
        network: both towers.
        tokenizer: a CLIPTokenizer of transformers.
        preprocessing: one of :data:`PREPROCESSINGS`.
        truncate: cut sentences that are longer than the network reads, 32 tokens, with one warning, instead of
            refusing them.
    """

    name = "ViCLIP"
    together = 16
    padding = False

    def __init__(
        self,
        network: VideoClip,
        tokenizer: Any,
        preprocessing: Preprocessing = "internvid",
        truncate: bool = False,
    ):
        if preprocessing not in PREPROCESSINGS:
            raise ValueError(f"preprocessing is one of {', '.join(PREPROCESSINGS)}, not {preprocessing!r}.")
        super().__init__(network, tokenizer, network.vision_encoder.frames, network.text_encoder.context, truncate)
        self.preprocessing = preprocessing

    @classmethod
    def from_file(
        cls,
        checkpoint: str | Path,
        tokenizer: str | Path = TOKENIZER,
        preprocessing: Preprocessing = "internvid",
        truncate: bool = False,
        head_width: int = _HEAD_WIDTH,
    ) -> ViCLIP:
        """The trained network, L/14 or B/16, in fp32.

        Args:
            checkpoint: as released; the hub's safetensors and ``.pth`` files have the same names.
            tokenizer: folder, or name on the hub.
            preprocessing: as in :class:`ViCLIP`.
            truncate: as in :class:`ViCLIP`.
            head_width: of attention, in both towers; 64 in every released checkpoint.

        Raises:
            InputError: no such file, one with other things than weights, other weights, or no tokenizer.
        """
        path = published_file(checkpoint, "ViCLIP", _PUBLISHED)
        weights = _read(path)
        network = network_from(lambda known: _network(known, head_width), weights, path, "ViCLIP")
        from transformers import CLIPTokenizer

        words = network.text_encoder.token_embedding.num_embeddings
        loaded = load_tokenizer(tokenizer, CLIPTokenizer, words, f"the tokenizer of {TOKENIZER}")
        return cls(network, loaded, preprocessing, truncate)

    def _fingerprint(self) -> dict[str, Any]:
        return {"preprocessing": self.preprocessing}

    def _videos(self, clips: Tensor) -> Tensor:
        vision = self.network.vision_encoder
        frames = clips.flatten(0, 1).to(vision.proj.device, vision.proj.dtype)
        return vision(PREPROCESSINGS[self.preprocessing](frames, vision.side).unflatten(0, clips.shape[:2]))

    def _texts(self, tokens: Any) -> Tensor:
        return self.network.text_encoder(self._ids(tokens))

    def _ids(self, tokens: Any) -> Tensor:
        """(M, L), zeros behind the end."""
        rows = [torch.tensor(row) for row in tokens["input_ids"]]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return ids.to(self.network.text_encoder.text_projection.device)


def _internvid(frames: Tensor, side: int) -> Tensor:
    """InternVid's release: the whole frame squashed to the square, rounded to 8 bits, and ImageNet's mean and spread.

    Mean and spread are also those of training.
    """
    frames = F.interpolate(frames, (side, side), mode="bilinear", align_corners=False)
    return pictures.normalize((frames * 255).round() / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def _vbench(frames: Tensor, side: int) -> Tensor:
    """VBench: the short side and the middle, bicubically, rounded to 8 bits, and CLIP's mean and spread."""
    # In floating point: torchvision's own way with whole numbers gives other values, up to 20 levels apart.
    levels = (frames * 255).round()
    levels = pictures.resize(levels, [side], InterpolationMode.BICUBIC, antialias=False)
    frames = pictures.center_crop(levels, [side]).clamp(0, 255).round() / 255
    return pictures.normalize(frames, [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])


# Frames (N, 3, H, W), RGB in [0, 1], and the network's side -> (N, 3, side, side), normalised.
PREPROCESSINGS: dict[Preprocessing, Callable[[Tensor, int], Tensor]] = {"internvid": _internvid, "vbench": _vbench}


def _read(path: Path) -> dict[str, Tensor]:
    weights = read_weights(path)
    check_sizes(weights, path, "ViCLIP")
    return weights


def _network(weights: Mapping[str, Tensor], head_width: int) -> VideoClip:
    """The network whose sizes the weights have."""
    width, _, _, patch, _ = shape_of(weights, "vision_encoder.conv1.weight")
    vision = VisionTransformer(
        side=patch * math.isqrt(shape_of(weights, "vision_encoder.positional_embedding")[0] - 1),
        patch=patch,
        width=width,
        layers=count_blocks(weights, "vision_encoder.transformer.resblocks."),
        heads=count_heads(width, head_width),
        features=shape_of(weights, "vision_encoder.proj")[1],
        frames=shape_of(weights, "vision_encoder.temporal_positional_embedding")[1],
    )
    words, text_width = shape_of(weights, "text_encoder.token_embedding.weight")
    text = TextTransformer(
        words=words,
        context=shape_of(weights, "text_encoder.positional_embedding")[0],
        width=text_width,
        layers=count_blocks(weights, "text_encoder.transformer.resblocks."),
        heads=count_heads(text_width, head_width),
        features=shape_of(weights, "text_encoder.text_projection")[1],
    )
    return VideoClip(vision, text)
