"""A video of several clips: each goes on from the last frames of the one before, and is written once it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from .outputs import spaced, write_video

# A place changes in a clip if it differs from the clip's first frame by more than this, in levels, in any frame.
_CHANGE = 24
# Of equal pixels, whose ratio has no bound.
_MOST_DB = 100.0
# Frames of each clip on the film strip.
_SHOWN = 3

# (number of the clip, its first frames) -> its frames, the given ones among them.
Maker = Callable[[int, list[Image.Image]], list[Image.Image]]


@dataclass(frozen=True)
class ClipPart:
    """One clip of a longer video.

    Attributes:
        instruction: what is done in it.
        first: number of its first new frame in the video.
        frames: how many new ones it has.
        drift: PSNR in dB of its last frame and the photo, over the places that stood still in every clip so far; None:
            there are none.
    """

    instruction: str
    first: int
    frames: int
    drift: float | None


@dataclass
class LongVideo:
    """What is kept of a video of several clips: their places, and a few frames for the film strip."""

    parts: list[ClipPart] = field(default_factory=list)
    shown: list[tuple[int, Image.Image]] = field(default_factory=list)
    enlarged: int = 1


def make_long_video(
    photo: Image.Image, instructions: Sequence[str], references: int, make: Maker, path: Path, fps: float
) -> LongVideo:
    """Make the clips one after the other and write them as one file; one clip is in memory at a time.

    Args:
        photo: the first frame.
        instructions: of the clips.
        references: K, how many last frames the next clip goes on from.
        make: makes a clip.
        path: of the MP4.
        fps: frames per second.
    """
    video = LongVideo()
    video.enlarged = write_video(_frames(photo, instructions, references, make, video), path, fps)
    return video


def _frames(
    photo: Image.Image, instructions: Sequence[str], references: int, make: Maker, video: LongVideo
) -> Iterator[Image.Image]:
    given, first = [photo], 0
    still = np.ones((photo.height, photo.width), bool)
    for number, instruction in enumerate(instructions):
        clip = make(number, given)
        new = clip if number == 0 else clip[references:]
        still &= ~_changed(clip)
        video.parts.append(ClipPart(instruction, first, len(new), _drift(clip[-1], photo, still)))
        video.shown += [(first + index, new[index]) for index in spaced(len(new), _SHOWN)]
        yield from new
        first += len(new)
        given = clip[-references:]


def _levels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), dtype=np.float32)


def _changed(clip: Sequence[Image.Image]) -> np.ndarray:
    """Bool (H, W): where any frame differs clearly from the clip's first."""
    start = _levels(clip[0])
    changed = np.zeros(start.shape[:2], bool)
    for frame in clip[1:]:
        changed |= np.abs(_levels(frame) - start).mean(-1) > _CHANGE
    return changed


def _drift(last: Image.Image, photo: Image.Image, still: np.ndarray) -> float | None:
    if not still.any():
        return None
    error = np.square(_levels(last) - _levels(photo))[still].mean() / 255**2
    return round(min(-10 * float(np.log10(max(error, 1e-30))), _MOST_DB), 2)
