"""How alike CLIP (arXiv 2103.00020) finds frames, and frames and instructions."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...perception.similarity import ClipSimilarity
from .base import ClipMetric, Pairs, TextReader
from .estimators import bytes_of

# Frames that go through the network together: bounds the memory.
_TOGETHER = 32


class ClipFrames(nn.Module):
    """CLIP's features of clips, which metrics share: each clip is looked at once.

    Args:
        encoder: CLIP; ShowMe reports ViT-B/32, LEGO ViT-L/14.
        resize: ``processor``: as CLIP was made for, the short side resized and the middle cut out. ``squash``: the
            whole picture squashed to the network's square, bicubically, without smoothing and without a bound on what
            overshoots, which is LEGO's way.
        clips: how many are remembered. Features are kept, pixels are not.
    """

    def __init__(self, encoder: ClipSimilarity, resize: Literal["processor", "squash"] = "processor", clips: int = 128):
        super().__init__()
        self.encoder, self.resize, self.clips = encoder, resize, clips
        self._seen: OrderedDict[bytes, Tensor] = OrderedDict()

    def forward(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W) in [0, 1], which is rounded to 8 bits -> features (B, T, D) of length 1, float64."""
        return torch.stack([self._clip(clip) for clip in clips])

    def texts(self, sentences: Sequence[str]) -> Tensor:
        """M sentences -> features (M, D) of length 1, float64.

        Raises:
            InputError: a sentence is longer than CLIP reads, and the encoder's ``truncate`` is not set.
        """
        return F.normalize(self.encoder.texts(sentences).double(), dim=-1)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """All that decides the features, as JSON."""
        return {"clip": self.encoder.fingerprint, "resize": self.resize}

    def _clip(self, clip: Tensor) -> Tensor:
        pixels = bytes_of(clip)
        key = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
        if key not in self._seen:
            seen = self.encoder.pictures(pixels) if self.resize == "processor" else self._squashed(pixels)
            self._seen[key] = F.normalize(seen.double(), dim=-1)
        self._seen.move_to_end(key)
        while len(self._seen) > self.clips:
            self._seen.popitem(last=False)
        return self._seen[key]

    @torch.no_grad()
    def _squashed(self, pixels: Any) -> Tensor:
        """uint8 (T, H, W, 3) -> features (T, D)."""
        network, processor = self.encoder.network, self.encoder.processor.image_processor
        side = network.config.vision_config.image_size
        mean, spread = (
            torch.tensor(values, device=network.device).view(3, 1, 1)
            for values in (processor.image_mean, processor.image_std)
        )
        features = []
        for part in torch.from_numpy(pixels).split(_TOGETHER):
            frames = part.to(network.device).movedim(-1, 1) / 255
            frames = F.interpolate(frames, (side, side), mode="bicubic", align_corners=False)
            seen = network.vision_model(pixel_values=((frames - mean) / spread).to(network.dtype)).pooler_output
            features.append(network.visual_projection(seen))
        return torch.cat(features)


class _ClipCosine(ClipMetric):
    """A cosine of CLIP's features, -1 to 1.

    Args:
        frames: the features; one that metrics share looks at each clip once.
    """

    better = "higher"

    def __init__(self, frames: ClipFrames, **kwargs: Any):
        super().__init__(**kwargs)
        self.frames = frames

    @property
    def fingerprint(self) -> dict[str, Any]:
        return self.frames.fingerprint


class ClipToTruth(_ClipCosine):
    """Cosine of each generated frame with the true frame of the same time; the mean over frames ("CLIP-I", "I2I")."""

    def score(self, pairs: Pairs) -> Tensor:
        return (self.frames(pairs.generated) * self.frames(pairs.reference)).sum(-1).mean(1)


class _ClipTextCosine(_ClipCosine):
    """A cosine with the instruction."""

    @property
    def text_reader(self) -> TextReader:
        return self.frames.encoder


class ClipToText(_ClipTextCosine):
    """Cosine of each generated frame with the instruction; the mean over frames ("CLIP-T", "I2T").

    An instruction that is longer than CLIP reads is an ``InputError``, unless the encoder's ``truncate`` is set.
    """

    def score(self, pairs: Pairs) -> Tensor:
        return (self.frames(pairs.generated) * self.frames.texts(pairs.instructions)[:, None]).sum(-1).mean(1)


class ClipToConsecutive(_ClipCosine):
    """Cosine of each generated frame with the next; the mean over the T - 1 pairs. NaN for clips of one frame."""

    def score(self, pairs: Pairs) -> Tensor:
        frames = self.frames(pairs.generated)
        return (frames[:, :-1] * frames[:, 1:]).sum(-1).mean(1)


class ClipVideoToText(_ClipTextCosine):
    """Cosine of the whole clip with the instruction ("V2T"): of the mean over frames of their features of length 1.

    It is :class:`ClipToText` divided by the length of that mean, so that it is the larger the more frames differ. An
    instruction that is longer than CLIP reads is an ``InputError``, unless the encoder's ``truncate`` is set.
    """

    def score(self, pairs: Pairs) -> Tensor:
        clip = F.normalize(self.frames(pairs.generated).mean(1), dim=-1)
        return (clip * self.frames.texts(pairs.instructions)).sum(-1)
