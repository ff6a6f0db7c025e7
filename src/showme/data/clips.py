"""Frames of a clip, as a sampling policy asks for them, at the model's size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import ClipError, warn_once
from ..pictures.window import WINDOWS, Window
from .media import Frames, Span
from .sampling import Policy, Sample, draw_sample, is_uneven
from .sources.record import Record
from .stream import generator_at, text_seed


@dataclass(frozen=True)
class Look:
    """How clips are looked at. height, width: pixels wanted. frames: T. sampling: a policy of
    :mod:`showme.data.sampling`. fit: ``crop`` the middle, or ``squash`` the whole. seed: of random policies."""

    height: int
    width: int
    frames: int
    sampling: Policy = "evenly_spaced"
    fit: Literal["crop", "squash"] = "crop"
    seed: int = 0

    def sample(self, record: Record, frames: Frames, draw: int = 0) -> Sample:
        """Which frames of a record's; random policies draw anew for every ``draw``."""
        generator, fps = generator_at(self.seed, text_seed(record.id), draw), frames.fps
        try:
            sample = draw_sample(self.sampling, len(frames), self.frames, fps, generator, frames.times)
        except ValueError as error:
            remedy = "choose another sampling"
            if fps is None:
                remedy = f"say them as the source's field fps (reference.fps=8 in an evaluation), or {remedy}"
            raise ClipError(record.media.path, str(error), remedy=remedy) from error
        if self.sampling != "last_at_8_fps" and frames.times is not None and is_uneven(sample, frames.times):
            warn_once(
                ("variable rate", self.sampling),
                f"{frames.path} has a variable rate: {self.sampling} goes by the numbers of frames, so that the frames "
                "taken lie more than half a stride from even times; other clips may be like it.",
            )
        return sample


@dataclass(frozen=True)
class Clip:
    """What was read. frames: uint8 (T, H, W, 3), RGB. sample: which. window: what of the clip's pictures is seen. ends:
    for each frame the span that ends with it, so that a clip can be shortened without being opened again."""

    frames: np.ndarray
    sample: Sample
    window: Window
    ends: tuple[Span, ...]


def read_clip(record: Record, look: Look, draw: int = 0) -> Clip:
    """Decode what ``look`` asks for of a record, and no more.

    Raises:
        ClipError: it cannot be read; nothing is put in its place.
    """
    pictures, sample, window, ends = _read(record, look, draw, Window.pixels)
    return Clip(sample.mix(pictures), sample, window, ends)


def read_native(record: Record, look: Look, draw: int = 0) -> tuple[np.ndarray, Sample, Window]:
    """What ``look`` asks for in the clip's own pixels, for estimators that see more there.

    Returns:
        The frames that the sample needs, uint8 (n, H, W, 3), the sample, and the window that ``look`` sees of them.

    Raises:
        ClipError: it cannot be read.
    """
    return _read(record, look, draw, lambda _, frame: frame)[:3]


def _read(
    record: Record, look: Look, draw: int, seen: Callable[[Window, np.ndarray], np.ndarray]
) -> tuple[np.ndarray, Sample, Window, tuple[Span, ...]]:
    with record.media.open(record.span) as frames:
        sample = look.sample(record, frames, draw)
        window: Window | None = None
        shape: tuple[int, ...] = ()
        pictures = []
        for frame in frames.read(sample.needed.tolist()):
            if window is None:
                shape = frame.shape
                window = WINDOWS[look.fit](shape[0], shape[1], look.height, look.width)
            if frame.shape != shape:
                sizes = f"{shape[1]}x{shape[0]} to {frame.shape[1]}x{frame.shape[0]}"
                raise ClipError(frames.path, f"its pictures change from {sizes} pixels")
            pictures.append(seen(window, frame))
        ends = tuple(frames.until(index, record.span) for index in sample.main.tolist())
    if window is None:
        raise ClipError(record.media.path, "it has no frames")
    return np.stack(pictures), sample, window, ends
