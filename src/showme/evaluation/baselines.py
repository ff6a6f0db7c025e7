"""Baselines that need no training: what every model must beat, and what none can."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data.cache import Part, build_parts
from ..data.cache.build import Progress
from ..data.clips import Look, read_clip
from ..data.rows import ClipRows
from ..data.sources.record import Record
from .pairs import Candidate, Codec, ReferenceRows
from .protocol import Protocol

_THUMBNAIL = 32


class FirstFrame(Candidate):
    """The first frame, repeated: nothing happens."""

    name = "first frame repeated"

    def __init__(self, protocol: Protocol):
        self.wanted = 1 if protocol.task == "image" else protocol.frames

    def frames(self, number: int, truth: np.ndarray) -> np.ndarray:
        return np.repeat(truth[:1], self.wanted, axis=0)

    def identity(self, number: int) -> str:
        return self.name


class ThroughCodec(Candidate):
    """The true clip through a model's autoencoder: the best that a model which decodes with it can do.

    Papers/003, table 2, calls it the upper bound.

    Args:
        codec: frames -> frames.
        digest: of its weights.
        image: the protocol judges pictures.
    """

    name = "true clip through the codec"

    def __init__(self, codec: Codec, digest: str, image: bool):
        self.codec, self.digest, self.image = codec, digest, image

    def frames(self, number: int, truth: np.ndarray) -> np.ndarray:
        return self.codec(truth[-1:] if self.image else truth)

    def identity(self, number: int) -> str:
        return f"{self.name} {self.digest}"


class NearestTraining(Candidate):
    """The training clip whose first frame is nearest: what memory alone gives.

    Nearest by the mean squared difference of 32x32 thumbnails; of equal ones the first.

    Args:
        training: the clips of the training.
        reference: the true clips.
        cache: folder where thumbnails are kept.
        progress: called with how many thumbnails are computed.
    """

    name = "nearest training clip"

    def __init__(
        self, training: Sequence[Record], reference: ReferenceRows, cache: Path, progress: Progress | None = None
    ):
        protocol = reference.protocol
        look = Look(protocol.height, protocol.width, protocol.frames, protocol.sampling, protocol.fit)
        self.rows, self.reference = ClipRows(training, look), reference
        part = Part("thumbnails", self.rows.fingerprint, self.rows.identities, self._thumbnails, chunk=1)
        self.thumbnails = build_parts(cache, [part], progress)[part.name]

    def frames(self, number: int, truth: np.ndarray) -> np.ndarray:
        clip = read_clip(self.rows.record(self.nearest[number]), self.rows.look).frames
        return clip[-1:] if self.reference.protocol.task == "image" else clip

    def identity(self, number: int) -> str:
        return self.rows.identities[self.nearest[number]]

    @cached_property
    def nearest(self) -> list[int]:
        """For each true clip the number of its training clip."""
        wanted = torch.stack([_thumbnail(self.reference.frames(n)[:1]) for n in range(len(self.reference.records))])
        best = torch.full((len(wanted),), torch.inf)
        found = torch.zeros(len(wanted), dtype=torch.long)
        for row in range(len(self.thumbnails)):
            distances = (wanted - self.thumbnails[row]["thumbnail"]).square().mean(1)
            nearer = distances < best
            best[nearer], found[nearer] = distances[nearer], row
        return found.tolist()

    def _thumbnails(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        return {"thumbnail": torch.stack([_thumbnail(clip.frames[:1]) for clip in self.rows.read(numbers)])}


def _thumbnail(frames: np.ndarray) -> Tensor:
    """uint8 (1, H, W, 3) -> float32 (3 * 32 * 32,)."""
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    return torch.nn.functional.adaptive_avg_pool2d(pixels, _THUMBNAIL).flatten()
