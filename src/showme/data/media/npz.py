"""Clips that other programs keep as NumPy archives."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import ClipError
from .base import Frames, Media, Span, check_array, check_regular, file_identity, span_identity, span_of_pictures
from .companions import is_companion

SUFFIX = ".npz"
# Compressed arrays cannot be read in part.
_MAX_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Npz(Media):
    """An ``.npz`` file with one array, or one that is named ``frames``: uint8 (T, H, W, 3), RGB.

    fps: where it is known.
    """

    path: Path
    fps: float | None = None

    def open(self, span: Span | None = None) -> Frames:
        check_regular(self.path)
        try:
            with zipfile.ZipFile(self.path) as archive:
                name = _array_name(self.path, archive.namelist())
                shape, dtype = _header(archive, name)
            _check(self.path, shape, dtype)
        except ClipError:
            raise
        except Exception as error:
            # NumPy's and zipfile's parsers raise whatever they hit: BadZipFile, ValueError, struct.error, ...
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ClipError(self.path, f"no NumPy archive: {reason}") from error
        return _NpzFrames(self.path, name, span_of_pictures(self.path, shape[0], self.fps, span), self.fps)

    def identity(self, span: Span | None = None) -> list:
        return [*file_identity(self.path), span_identity(span)]


class _NpzFrames(Frames):
    def __init__(self, path: Path, name: str, positions: range, fps: float | None):
        self.path, self.name, self.positions, self.fps = path, name, positions, fps

    def __len__(self) -> int:
        return len(self.positions)

    def read(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                frames = archive[self.name.removesuffix(".npy")]
        except Exception as error:
            raise ClipError(self.path, " ".join(str(error).split()) or type(error).__name__) from error
        for index in indices:
            yield frames[self.positions[index]]


def _array_name(path: Path, names: Sequence[str]) -> str:
    arrays = [name for name in names if name.endswith(".npy") and not is_companion(name)]
    chosen = "frames.npy" if "frames.npy" in arrays else arrays[0] if len(arrays) == 1 else None
    if chosen is None:
        raise ClipError(path, f"it holds {len(arrays)} arrays, none of them named frames", remedy="name one frames")
    return chosen


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return shape, dtype


def _check(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    check_array(path, shape, str(dtype))
    if int(np.prod(shape, dtype=np.int64)) > _MAX_BYTES:
        raise ClipError(path, f"its array of {shape} is larger than {_MAX_BYTES >> 30} GiB")
