"""Rows of training data: every clip of a data set, once or several times, as a look takes it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import pictures
from ..fingerprint import code_digest, digest_of
from ..pictures.window import Window
from . import clips, media, sampling
from .clips import Clip, Look, read_clip, read_native
from .sampling import Sample, is_random
from .sources.record import Record


class ClipRows:
    """Row -> clip. With ``draws`` > 1 a random sampling draws every clip so often: row r is clip r // draws.

    Args:
        records: the clips.
        look: how they are looked at.
        draws: rows per clip.
    """

    def __init__(self, records: Sequence[Record], look: Look, draws: int = 1):
        self.records, self.look, self.draws = records, look, draws
        self._last = threading.local()

    def __len__(self) -> int:
        return len(self.records) * self.draws

    def record(self, row: int) -> Record:
        """The clip of a row."""
        return self.records[row // self.draws]

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What decides the pixels beside the clips: the look, and the code that decodes, chooses and resizes."""
        look = asdict(self.look)
        if not is_random(self.look.sampling):
            # Another seed of a training is no reason to compute anything anew.
            del look["seed"]
        return {"look": look, "code": code_digest((media, clips, sampling, pictures))}

    @cached_property
    def identities(self) -> list[str]:
        """One text per row that changes with the clip's pixels.

        Raises:
            ClipError: a clip is missing.
        """
        digests = [
            # The rate that a source states decides which frames are taken, as the pixels do.
            digest_of([record.id, record.media.identity(record.span), getattr(record.media, "fps", None)])
            for record in self.records
        ]
        return [f"{digests[row // self.draws]}.{row % self.draws}" for row in range(len(self))]

    def read(self, rows: Sequence[int]) -> list[Clip]:
        """The clips of rows; each thread keeps the last ones, so that several readers of the same rows decode once.

        Raises:
            ClipError: one cannot be read.
        """
        key = tuple(rows)
        if getattr(self._last, "key", None) != key:
            clips = [read_clip(self.record(row), self.look, row % self.draws) for row in key]
            self._last.key, self._last.clips = key, clips
        return self._last.clips

    def native(self, row: int) -> tuple[np.ndarray, Sample, Window]:
        """The frames of one row in the clip's own pixels, as :func:`showme.data.clips.read_native` gives them."""
        return read_native(self.record(row), self.look, row % self.draws)

    def pixels(self, rows: Sequence[int], chosen: slice = slice(None)) -> Tensor:
        """Frames (n, T', 3, H, W), float32 in [0, 1]."""
        frames = [torch.from_numpy(clip.frames[chosen]) for clip in self.read(rows)]
        return torch.stack(frames).permute(0, 1, 4, 2, 3).float() / 255
