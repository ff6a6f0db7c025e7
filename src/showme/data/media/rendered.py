"""Clips of our own worlds, and any others that are kept as arrays in safetensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from ...errors import ClipError
from .base import Frames, Media, Span, check_array, check_regular, file_identity, span_identity, span_of_pictures

SUFFIX = ".safetensors"
_KEY = "frames"
_JOINTS = "joints"
# As NumPy calls them.
_DTYPES = {"U8": "uint8", "F32": "float32", "F64": "float64", "F16": "float16"}


@dataclass(frozen=True)
class Rendered(Media):
    """A safetensors file whose tensor ``frames`` is uint8 (T, H, W, 3), RGB, such as ``showme data render`` writes.

    fps: where it is known.
    """

    path: Path
    fps: float | None = None

    def open(self, span: Span | None = None) -> Frames:
        check_regular(self.path)
        try:
            with safe_open(str(self.path), "numpy") as file:
                part = file.get_slice(_KEY)
                shape, dtype = part.get_shape(), part.get_dtype()
        except (SafetensorError, OSError) as error:
            raise ClipError(self.path, " ".join(str(error).split())) from error
        check_array(self.path, shape, _DTYPES.get(dtype, dtype))
        return _RenderedFrames(self.path, span_of_pictures(self.path, shape[0], self.fps, span), self.fps)

    def identity(self, span: Span | None = None) -> list:
        return [*file_identity(self.path), span_identity(span)]

    def joints(self) -> np.ndarray | None:
        """Joints of the hands (T, K, 21, 2) in pixels, the middle of the top left one being (0, 0); None without any.

        Raises:
            ClipError: the file is damaged.
        """
        try:
            with safe_open(str(self.path), "numpy") as file:
                # Files count from the corner of the picture.
                return file.get_tensor(_JOINTS) - np.float32(0.5) if _JOINTS in file.keys() else None  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ClipError(self.path, " ".join(str(error).split())) from error


class _RenderedFrames(Frames):
    def __init__(self, path: Path, positions: range, fps: float | None):
        self.path, self.positions, self.fps = path, positions, fps

    def __len__(self) -> int:
        return len(self.positions)

    def read(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        try:
            with safe_open(str(self.path), "numpy") as file:
                part = file.get_slice(_KEY)
                for index in indices:
                    yield part[self.positions[index]]
        except (SafetensorError, OSError) as error:
            raise ClipError(self.path, " ".join(str(error).split())) from error
