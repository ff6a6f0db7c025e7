"""Clips that are pictures: folders of them, in the order of the numbers in their names."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ...errors import ClipError, warn_once
from ...pictures.photo import upright_rgb
from .base import (
    MAX_PIXELS,
    Frames,
    Media,
    Span,
    check_holds,
    check_name,
    check_regular,
    check_size,
    file_identity,
    span_identity,
    span_of_pictures,
)
from .colours import DEFAULT, Colours, check_notes
from .companions import visible_names
from .series import Series, SeriesError, choose_series, natural_key, warn_of_series

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
# Pictures that are no frames here: of many pages, of floats, or of the makers' own colours.
UNREAD = (".tif", ".tiff", ".avif", ".heic", ".heif", ".jxl", ".jp2", ".exr", ".hdr", ".dng", ".ppm", ".pgm", ".tga")
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
_READ = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
# Of a file: the most that any picture takes unpacked. Some decoders read all of it before they look.
_MAX_BYTES = 8 * MAX_PIXELS


@dataclass(frozen=True)
class Pictures(Media):
    """A folder of pictures.

    path: of the folder. pattern: such as ``frame_{:010d}.jpg``, for folders whose numbers an annotation speaks of and
    that are too large to be listed for every clip; None takes the one series of pictures that there is, in the order of
    its numbers. first: the number of frame 0, with a pattern. fps: where it is known. only: shell pattern of the
    pictures that count, such as ``rgb_*.png``, where there are several series. data_set: what warnings are given once
    for; None: the folder that this one is in. colours: as in :class:`~showme.data.media.Video`, of which HDR alone
    matters here.
    """

    path: Path
    pattern: str | None = None
    first: int = 1
    fps: float | None = None
    only: str | None = None
    data_set: Path | None = field(default=None, compare=False)
    colours: Colours = DEFAULT

    def open(self, span: Span | None = None) -> Frames:
        return PictureFrames(self.path, self._files(span), self.fps, self.colours)

    def identity(self, span: Span | None = None) -> list:
        files = self._files(span)
        ends = [file_identity(files[0]), file_identity(files[-1])]
        try:
            each = [[file.name, status.st_size, status.st_mtime_ns] for file in files for status in [file.stat()]]
        except OSError as error:
            raise ClipError(self.path, f"{error.filename} is missing") from error
        return [self.path.name, each, ends, span_identity(span), *self.colours.identity()]

    def _files(self, span: Span | None) -> list[Path]:
        check_name(self.path)
        try:
            if not self.path.is_dir():
                raise ClipError(self.path, "there is no such folder")
            return self._chosen(span)
        except OSError as error:
            raise ClipError(self.path, error.strerror or "unreadable") from error

    def _chosen(self, span: Span | None) -> list[Path]:
        if self.pattern is None or span is None or span.unit != "frames":
            every = self._series().names
            chosen = span_of_pictures(self.path, len(every), self.fps, span)
            return [self.path / every[index] for index in chosen]
        check_holds(self.path, span)
        numbers = range(self.first + int(span.start), self.first + int(span.stop))
        files = [self.path / self.pattern.format(number) for number in (numbers[0], numbers[-1])]
        for file in files:
            if not file.is_file():
                raise ClipError(self.path, f"there is no {file.name} in it, which the row's span asks for")
        return [self.path / self.pattern.format(number) for number in numbers]

    def _series(self) -> Series:
        every = visible_names(self.path)
        names = [name for name in every if name.lower().endswith(SUFFIXES)]
        self._check_unread([name for name in every if name.lower().endswith(UNREAD)], bool(names))
        if not names:
            raise ClipError(self.path, f"it holds no pictures of {_READ}")
        try:
            series = choose_series(names, self.only)
        except SeriesError as error:
            raise ClipError(self.path, error.reason, remedy=error.remedy) from error
        warn_of_series(self.path, self.data_set or self.path.parent, series)
        return series

    def _check_unread(self, names: list[str], others: bool) -> None:
        """Refuse, or where there are ``others`` warn of, pictures in formats that are not read as frames."""
        kinds = ", ".join(sorted({f".{name.lower().rpartition('.')[2]}" for name in names}))
        if names and not others:
            remedy = "convert them to PNG, or make a video of them"
            raise ClipError(self.path, f"its pictures are {kinds}, and frames in folders are {_READ}", remedy=remedy)
        if names:
            warn_once(
                ("unread", str(self.data_set or self.path.parent), kinds),
                f"{self.path}: {len(names)} pictures in {kinds} beside the frames are passed over, here and in clips "
                f"alike, as frames in folders are {_READ}: convert them to PNG if they belong to the clip.",
            )


class PictureFrames(Frames):
    """Open pictures. files: where each is."""

    def __init__(self, path: Path, files: Sequence[Path], fps: float | None, colours: Colours = DEFAULT):
        self.path, self.files, self.fps, self.colours = path, files, fps, colours

    def __len__(self) -> int:
        return len(self.files)

    def read(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        for index in indices:
            yield self._picture(self.files[index], self._time(index))

    def _picture(self, path: Path, time: float | None) -> np.ndarray:
        try:
            self._check(path)
            with path.open("rb") as file:
                return decode_picture(file, path, time, self.colours)
        except OSError as error:
            raise ClipError(path, error.strerror or "unreadable", time) from error

    def _check(self, file: Path) -> None:
        check_regular(file)
        if file.stat().st_size > _MAX_BYTES:
            raise ClipError(file, f"it is larger than {_MAX_BYTES} bytes")
        if file.is_symlink() and not file.resolve().is_relative_to(self.path.resolve()):
            raise ClipError(file, f"it is a link that leads out of {self.path}", remedy="copy the picture there")

    def _time(self, index: int) -> float | None:
        return None if self.fps is None else index / self.fps


def decode_picture(
    file: BinaryIO | bytes, path: Path, time: float | None = None, colours: Colours = DEFAULT
) -> np.ndarray:
    """A picture file, open or in memory -> uint8 (H, W, 3), RGB and upright.

    Args:
        file: JPEG, PNG, WebP or BMP.
        path: for messages.
        time: of the frame in its clip, for messages.
        colours: whether HDR is mapped or refused.

    Raises:
        ClipError: no picture, damaged, too large, or HDR that ``colours`` refuses.
    """
    if isinstance(file, bytes):
        file = io.BytesIO(file)
    try:
        with warnings.catch_warnings():
            # The size is judged below, by our own bound.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file, formats=_FORMATS)
        check_size(path, *image.size, time)
        notes: list[str] = []
        pixels = np.asarray(upright_rgb(image, notes))
        check_notes(path, notes, colours, time)
        return pixels
    except ClipError:
        raise
    except UnidentifiedImageError as error:
        raise ClipError(path, f"it is no picture in the formats {', '.join(_FORMATS)}", time) from error
    except Exception as error:
        # Pillow's decoders raise whatever their parsers hit: OSError, SyntaxError, struct.error, IndexError, ...
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ClipError(path, f"damaged picture: {reason}", time) from error


def natural_order(paths) -> list[Path]:
    """Paths by name, numbers in the names by value: ``im_2.jpg`` before ``im_10.jpg``."""
    return sorted(paths, key=lambda path: natural_key(path.name))
