"""Animated pictures, WebP, PNG and AVIF, as clips of all their frames, by Pillow.

ffmpeg reads no WebP, takes an AVIF's cover for its video, and knows no profile.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from ...errors import ClipError, first_line
from ...pictures.photo import upright_rgb
from .base import Frames, Span, check_holds, check_size, check_span
from .colours import DEFAULT, Colours, check_notes
from .containers import MAX_FRAMES

# Of those that are clips where they are animated, and pictures of no kind that is read otherwise.
SUFFIXES = (".avif",)
# Of a file: what shows an animated WebP, or an AVIF, whose brands fill a box of any length.
_HEAD, _BRANDS = 32, 1024
_ANIMATED = 0x02
# Seconds of frames that are given none, as browsers have it.
_NO_DURATION = 0.1
_PNG = b"\x89PNG\r\n\x1a\n"
# Chunks before the pixels of a PNG that are looked through for the one of animations.
_CHUNKS = 1000


class Animation(Frames):
    """An open animation, whose frames last as long as each says.

    Args:
        path: for messages.
        source: gives a ``file:`` name or an open file, anew at every call.
        span: the part that counts; None: all.
        colours: whether HDR is mapped or refused.

    Raises:
        ClipError: damaged, too large, or a span that reaches past its end.
    """

    def __init__(
        self,
        path: Path,
        source: Callable[[], str | BinaryIO],
        span: Span | None = None,
        colours: Colours = DEFAULT,
    ):
        self.path, self.source, self.colours = path, source, colours
        durations, begins = [], []
        with self._image() as image:
            check_size(path, *image.size)
            # Of a PNG, the picture for viewers that show no animations may be none of its frames.
            self.first = int(getattr(image, "default_image", False))
            count = getattr(image, "n_frames", 1) - self.first
            if count > MAX_FRAMES:
                raise ClipError(path, f"it has more than {MAX_FRAMES} frames", remedy="cut it into parts")
            for index in range(count):
                image.seek(self.first + index)
                image.load()
                durations.append(image.info.get("duration", 0) / 1000)
                begins.append(image.info.get("timestamp", 0) / 1000)
            rounded = image.format == "AVIF"
        self._edges = np.cumsum([0.0, *(duration or _NO_DURATION for duration in durations)])
        if rounded:
            # Its clock is any; Pillow rounds both to milliseconds, and the sum of durations would drift.
            self._edges = np.array([*begins, begins[-1] + (durations[-1] or _NO_DURATION)])
        self.positions = self._positions(span)
        self.times = times = self._edges[self.positions.start : self.positions.stop]
        self.fps = (len(times) - 1) / float(times[-1] - times[0]) if len(times) > 1 else 1 / float(self._edges[1])

    def _positions(self, span: Span | None) -> range:
        count = len(self._edges) - 1
        if span is None:
            return range(count)
        check_holds(self.path, span)
        seconds = float(self._edges[-1])
        if span.unit == "frames":
            start, stop = int(span.start), int(span.stop)
        else:
            # Half a microsecond of grace, as videos have it.
            start, stop = (int(np.searchsorted(self._edges[:-1], edge - 5e-7)) for edge in (span.start, span.stop))
            last = seconds - float(self._edges[-2])
            stop = count + 1 if span.stop > seconds + last else stop
        check_span(self.path, span, count, start, stop, seconds)
        return range(start, stop)

    def __len__(self) -> int:
        return len(self.positions)

    def read(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        with self._image() as image:
            for index in indices:
                image.seek(self.first + self.positions[index])
                notes: list[str] = []
                pixels = np.asarray(upright_rgb(image, notes))
                check_notes(self.path, notes, self.colours, float(self._edges[self.positions[index]]))
                yield pixels

    def until(self, index: int, span: Span | None) -> Span:
        if span is None or span.unit == "frames":
            return super().until(index, span)
        place = self.positions[index]
        return Span(span.start, float(self._edges[place] + self._edges[place + 1]) / 2)

    @contextmanager
    def _image(self) -> Iterator[Image.Image]:
        with opened(self.path, self.source) as file:
            try:
                with warnings.catch_warnings():
                    # The size is judged by our own bound.
                    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                    image = Image.open(file, formats=("WEBP", "PNG", "AVIF"))
                yield image
            except ClipError:
                raise
            except Exception as error:
                # Pillow's decoders raise whatever their parsers hit.
                raise ClipError(self.path, f"damaged picture: {first_line(error)}") from error


@contextmanager
def opened(path: Path, source: Callable[[], str | BinaryIO]) -> Iterator[BinaryIO]:
    """What a source of a video gives, as a file open at its beginning.

    Raises:
        ClipError: also for what goes wrong while it is read.
    """
    given = source()
    try:
        with Path(given.removeprefix("file:")).open("rb") if isinstance(given, str) else given as file:
            yield file
    except OSError as error:
        raise ClipError(path, first_line(error)) from error


def _is_animated_webp(head: bytes) -> bool:
    """Whether a file that begins so is an animated WebP (RFC 9649)."""
    extended = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X"
    return extended and len(head) > 20 and bool(head[20] & _ANIMATED)


def is_animation(file: BinaryIO) -> bool:
    """Whether a file, open at its beginning, is a WebP or PNG of several frames, or a sequence of AVIF."""
    head = file.read(_HEAD)
    if head[4:8] == b"ftyp":
        return _is_avif_sequence(head + file.read(_BRANDS - _HEAD))
    return _is_animated_webp(head) or (head[: len(_PNG)] == _PNG and _has_control_chunk(file))


def _is_avif_sequence(head: bytes) -> bool:
    """Whether a file that begins so says that it has a sequence of pictures (AVIF, section 9)."""
    length = struct.unpack(">I", head[:4])[0]
    return b"avis" in [head[place : place + 4] for place in (8, *range(16, min(length, len(head)), 4))]


def _has_control_chunk(file: BinaryIO) -> bool:
    """Whether a PNG is said to be animated before its pixels come (PNG, third edition, 11.3.6.1)."""
    place = len(_PNG)
    for _ in range(_CHUNKS):
        file.seek(place)
        chunk = file.read(8)
        if len(chunk) < 8 or chunk[4:] == b"IDAT":
            return False
        if chunk[4:] == b"acTL":
            # One of a single frame is a still picture.
            return int.from_bytes(file.read(4), "big") > 1
        place += 12 + struct.unpack(">I", chunk[:4])[0]
    return False
