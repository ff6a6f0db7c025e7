"""What is compared: each clip that is judged beside the true one, brought to the protocol's form."""

from __future__ import annotations

import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import pictures as picture_code
from ..data import clips as clip_code
from ..data import media as media_code
from ..data import sampling as sampling_code
from ..data.clips import Look, read_clip
from ..data.media import Media, Span
from ..data.media.base import Frames, file_identity
from ..data.media.pictures import decode_picture
from ..data.sources.record import Record
from ..errors import InputError
from ..fingerprint import code_digest, digest_of
from .metrics.base import Pairs
from .protocol import Protocol

# uint8 (T, H, W, 3) -> the same, through a model's autoencoder.
Codec = Callable[[np.ndarray], np.ndarray]


class Candidate(ABC):
    """What is judged: a model's clips, or a baseline.

    Attributes:
        name: of the model or baseline, as tables say it.
    """

    name: str

    @abstractmethod
    def frames(self, number: int, truth: np.ndarray) -> np.ndarray:
        """The clip of pair ``number``: uint8 (T, H, W, 3) of the protocol's size, or (1, H, W, 3) of a picture.

        Args:
            number: of the pair.
            truth: all T frames of the true clip, uint8 (T, H, W, 3).
        """

    def picture(self, number: int) -> np.ndarray | None:
        """The picture of the result, uint8 (H, W, 3); None where there is none."""
        return None

    @abstractmethod
    def identity(self, number: int) -> str:
        """A text that changes with what :meth:`frames` and :meth:`picture` give, the truth aside."""


class ReferenceRows:
    """The true clips of a protocol, by number.

    Args:
        records: one of each pair.
        protocol: how they are looked at.
        codec: with ``through_codec``.
    """

    def __init__(self, records: Sequence[Record], protocol: Protocol, codec: Codec | None = None):
        self.records, self.protocol, self.codec = records, protocol, codec
        self.look = Look(protocol.height, protocol.width, protocol.frames, protocol.sampling, protocol.fit)
        self._last = threading.local()

    def frames(self, number: int) -> np.ndarray:
        """All T frames, uint8 (T, H, W, 3); each thread keeps the last.

        Raises:
            ClipError: it cannot be read, or is too short.
        """
        if getattr(self._last, "number", None) != number:
            clip = self.original(number)
            if self.codec is not None and self.protocol.through_codec:
                clip = self.codec(clip)
            self._last.number, self._last.clip = number, clip
        return self._last.clip

    def original(self, number: int) -> np.ndarray:
        """The same as they were filmed, whatever the protocol makes of them: what a model is shown."""
        return read_clip(self.records[number], self.look).frames

    def compared(self, number: int) -> np.ndarray:
        """The frames that count, uint8 (T', H, W, 3)."""
        return compared(self.frames(number), self.protocol)

    @cached_property
    def identities(self) -> list[str]:
        """One text per clip that changes with its pixels and its instruction."""
        return [
            digest_of([each.id, each.instruction, each.media.identity(each.span), getattr(each.media, "fps", None)])
            for each in self.records
        ]

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What decides the pixels beside the clips."""
        named = ("frames", "sampling", "height", "width", "fit", "condition_frames", "shown_frames", "targets", "task",
                 "through_codec")  # fmt: skip
        fields = self.protocol.model_dump(include=set(named))
        return {"truth": fields, "code": code_digest((media_code, clip_code, sampling_code, picture_code, _here()))}


class PairRows:
    """Pairs of a candidate and the truth, by number.

    Args:
        candidate: what is judged.
        reference: the true clips.
        protocol: how they are compared.
    """

    def __init__(self, candidate: Candidate, reference: ReferenceRows, protocol: Protocol):
        self.candidate, self.reference, self.protocol = candidate, reference, protocol
        self._last = threading.local()

    def __len__(self) -> int:
        return len(self.reference.records)

    def generated(self, number: int) -> np.ndarray:
        """The frames that count, uint8 (T', H, W, 3); each thread keeps the last."""
        if getattr(self._last, "number", None) != number:
            truth = self.reference.frames(number)
            frames = shown(self.candidate.frames(number, truth), truth, self.protocol)
            if self.protocol.generated_range == "min_max":
                frames = stretched(frames)
            self._last.number, self._last.frames = number, frames
        return self._last.frames

    def pairs(self, number: int) -> Pairs:
        """One pair, as metrics take it."""
        record = self.reference.records[number]
        picture = self.candidate.picture(number)
        return Pairs(
            generated=as_tensor(self.generated(number))[None],
            reference=as_tensor(self.reference.compared(number))[None],
            instructions=[record.instruction],
            ids=[record.id],
            pictures=None if picture is None else as_tensor(picture[None]),
            first=as_tensor(self.reference.frames(number)[:1]),
        )

    @cached_property
    def identities(self) -> list[str]:
        """One text per pair that changes with its pixels."""
        return [digest_of([self.candidate.identity(n), truth]) for n, truth in enumerate(self.reference.identities)]

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What decides the pixels beside the clips."""
        fields = self.protocol.model_dump(include={"generated_range", "generated_sampling"})
        return self.reference.fingerprint | {"generated": fields}


class Files(Candidate):
    """Clips of a folder or list.

    Args:
        name: as tables say it.
        clips: one media of each pair.
        pictures: of the result, beside the clips; None where there is none.
        protocol: whose form they must have.
    """

    def __init__(self, name: str, clips: Sequence[Media], pictures: Sequence[Path | None], protocol: Protocol):
        self.name, self.clips, self.pictures, self.protocol = name, clips, pictures, protocol

    def frames(self, number: int, truth: np.ndarray) -> np.ndarray:
        protocol, media = self.protocol, self.clips[number]
        if protocol.task == "video":
            look = Look(protocol.height, protocol.width, protocol.frames, "evenly_spaced", "squash")
            return read_clip(Record("", media, ""), look).frames
        # A clip may hold more frames than a picture needs: the result is the last.
        with media.open() as frames:
            count = len(frames)
        look = Look(protocol.height, protocol.width, 1, "evenly_spaced", "squash")
        return read_clip(Record("", media, "", Span(count - 1, count, "frames")), look).frames

    def picture(self, number: int) -> np.ndarray | None:
        path = self.pictures[number]
        if path is None:
            return None
        pixels = decode_picture(path.read_bytes(), path)
        return scaled(pixels, self.protocol.height, self.protocol.width)

    def identity(self, number: int) -> str:
        path = self.pictures[number]
        return digest_of([self.clips[number].identity(), None if path is None else file_identity(path)])


def check_generated(media: Media, protocol: Protocol, truth: Record) -> tuple[int, int]:
    """Height and width of a generated clip, which fits the protocol.

    Args:
        media: the clip.
        protocol: whose form it must have.
        truth: where true clips are squashed, one of their shape is squashed as well.

    Raises:
        ClipError: it cannot be read.
        InputError: it has too few or too many frames, or another shape.
    """
    with media.open() as frames:
        count = len(frames)
        height, width = _size(frames)
    if protocol.task == "video":
        exact = protocol.generated_sampling == "exact"
        if count < protocol.frames or (exact and count > protocol.frames):
            least = "" if exact else "at least "
            remedy = (
                "generated_sampling=evenly_spaced takes so many of a longer clip"
                if count > protocol.frames
                else f"generate longer ones, or set frames={count}"
            )
            raise InputError(
                f"{media.path} has {count} frame{'s' if count > 1 else ''}, and the protocol {protocol.name} needs "
                f"{least}{protocol.frames}: {remedy}."
            )
    if not _alike(height, width, protocol.height, protocol.width) and not _as_filmed(height, width, protocol, truth):
        raise InputError(
            f"{media.path} is {width}x{height} pixels, and the protocol {protocol.name} compares "
            f"{protocol.width}x{protocol.height}: generate clips of that shape, or set width and height."
        )
    return height, width


def check_reference(record: Record, protocol: Protocol) -> None:
    """Refuse a true clip that has too few frames; Seer's sampling alone pads short ones.

    Raises:
        ClipError: it cannot be read.
        InputError: it is too short.
    """
    with record.media.open(record.span) as frames:
        count = len(frames)
    if count < protocol.frames and protocol.sampling != "seer_blend":
        raise InputError(
            f"The true clip {record.id!r}, {record.media.path}, has {count} frame{'s' if count > 1 else ''}, and the "
            f"protocol {protocol.name} needs {protocol.frames}: leave it out, or set frames."
        )


def _size(frames: Frames) -> tuple[int, int]:
    height, width = next(iter(frames.read([0]))).shape[:2]
    return height, width


def _alike(height: int, width: int, other_height: int, other_width: int) -> bool:
    """Whether two sizes have one shape, as far as whole pixels allow."""
    return abs(width * other_height - height * other_width) <= max(other_height, other_width)


def _as_filmed(height: int, width: int, protocol: Protocol, truth: Record) -> bool:
    if protocol.fit != "squash":
        return False
    with truth.media.open(truth.span) as frames:
        return _alike(height, width, *_size(frames))


def shown(frames: np.ndarray, truth: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Generated frames with the policy for those that the model was shown; a picture stands beside every target."""
    if protocol.task == "image":
        return np.repeat(frames[-1:], protocol.targets, axis=0)
    count = protocol.condition_frames
    if protocol.shown_frames == "truth":
        return np.concatenate([truth[:count], frames[count:]])
    return compared(frames, protocol)


def compared(frames: np.ndarray, protocol: Protocol) -> np.ndarray:
    """The frames of a true clip that count."""
    if protocol.task == "image":
        return frames[-protocol.targets :]
    return frames[protocol.condition_frames :] if protocol.shown_frames == "left_out" else frames


def stretched(frames: np.ndarray) -> np.ndarray:
    """Each frame from its darkest value to its brightest, over all channels, as LEGO's release saves its pictures."""
    values = frames.astype(np.float32)
    low, high = values.min((1, 2, 3), keepdims=True), values.max((1, 2, 3), keepdims=True)
    return np.rint((values - low) / np.maximum(high - low, 1) * 255).astype(np.uint8)


def scaled(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 (H, W, 3) -> uint8 (height, width, 3), Lanczos."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def as_tensor(frames: np.ndarray) -> Tensor:
    """uint8 (T, H, W, 3) -> float32 (T, 3, H, W) in [0, 1]."""
    return torch.tensor(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255


def _here():
    return sys.modules[__name__]
