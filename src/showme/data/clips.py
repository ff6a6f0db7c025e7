"""Frames of a clip, at the model's size."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open

from ..errors import InputError
from ..pictures.fit import fit_photo

RENDERED = ".safetensors"
_PICTURES = (".jpg", ".jpeg", ".png")


def evenly_spaced(available: int, wanted: int) -> list[int]:
    """Indices of ``wanted`` among ``available`` frames, first and last included; a short clip repeats its own.

    The released ShowMe code passes over clips of no more than ``wanted`` frames.
    """
    return np.linspace(0, available - 1, wanted).round().astype(int).tolist()


def read_frames(path: Path, count: int, height: int, width: int) -> tuple[np.ndarray, int]:
    """``count`` evenly spaced frames of a clip, scaled and cropped in the middle.

    Args:
        path: a video file, a folder of pictures in the order of their names, or a rendered clip.
        count: T.
        height, width: pixels wanted.

    Returns:
        uint8 (T, height, width, 3), RGB, and the stride between them in the clip's own frames, at least 1.

    Raises:
        InputError: a clip that cannot be read, or has no frames.
    """
    frames = _all_frames(path)
    if not len(frames):
        raise InputError(f"{path} has no frames: leave it out of the index, or fetch it again.")
    chosen = [frames[index] for index in evenly_spaced(len(frames), count)]
    if chosen[0].shape[:2] != (height, width):
        chosen = [np.asarray(fit_photo(Image.fromarray(frame), height, width)[0]) for frame in chosen]
    return np.stack(chosen), max((len(frames) - 1) // max(count - 1, 1), 1)


def _all_frames(path: Path) -> list[np.ndarray] | np.ndarray:
    try:
        if path.is_dir():
            pictures = sorted(each for each in path.iterdir() if each.suffix.lower() in _PICTURES)
            return [np.asarray(Image.open(each).convert("RGB")) for each in pictures]
        if path.suffix == RENDERED:
            with safe_open(str(path), "numpy") as file:
                return file.get_tensor("frames")
        with av.open(str(path)) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    except (av.FFmpegError, SafetensorError, IndexError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read as a clip ({reason}): fetch it again, or leave it out.") from error
