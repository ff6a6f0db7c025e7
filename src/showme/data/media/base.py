"""What every kind of clip on disk offers."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from ...errors import ClipError

# Of one frame: more than 8K video has. Judged before anything is decoded, so that a lying header costs nothing.
MAX_PIXELS = 8192 * 8192
# JPEG knows no longer one; what resampling needs grows with the side.
_MAX_SIDE = 65535
_EDGE = 4096
_BLACK = 16
# Far beyond any clip's end, in seconds or frames; what is larger overflows.
_MAX_SPAN = 1e15
# Control characters, ends of lines, and halves of characters: in a message they would be no line of text.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
ALL_FRAMES = "the annotation and the file do not belong together: correct the row, or fetch the file again"


@dataclass(frozen=True)
class Span:
    """The part of a clip that counts: what begins at ``start`` or later and before ``stop``.

    unit: ``seconds`` on the file's clock, which begins with the earliest of its streams, as players and
    ``ffmpeg -ss`` count; or ``frames``, counted from 0.
    """

    start: float
    stop: float
    unit: Literal["seconds", "frames"] = "seconds"


class Frames(ABC):
    """An open clip.

    Attributes:
        path: of the file, for messages.
        fps: frames per second, the mean of a variable rate; None where nobody knows.
        times: when each frame is shown, float (n,), rising, in seconds; None where ``fps`` says it.
    """

    path: Path
    fps: float | None
    times: np.ndarray | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Number of frames."""

    @abstractmethod
    def read(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """Frames, uint8 (H, W, 3), RGB and upright, at ``indices``, which rise.

        Raises:
            ClipError: one of them cannot be decoded.
        """

    def close(self) -> None:  # noqa: B027 (most have nothing to let go of)
        """Let go of the file."""

    def verify(self) -> None:
        """Decode every frame.

        Raises:
            ClipError: one of them cannot be decoded.
        """
        before: tuple[int, ...] | None = None
        for frame in self.read(range(len(self))):
            check_same_size(self.path, before, frame.shape)
            before = frame.shape
        if before is None:
            raise ClipError(self.path, "it has no frames")

    def until(self, index: int, span: Span | None) -> Span:
        """The span that ends with a frame, given the one that was opened."""
        if span is None or span.unit == "frames":
            start = 0 if span is None else int(span.start)
            return Span(start, start + index + 1, "frames")
        if self.fps is None:
            raise ClipError(self.path, "its span is in seconds and its rate unknown", remedy="say the source's fps")
        return Span(span.start, span.start + (index + 0.5) / self.fps)

    def __enter__(self) -> Frames:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Media(ABC):
    """Where the pixels of a clip are. Frozen, small and picklable: data sets hold a hundred thousand of them."""

    path: Path

    @abstractmethod
    def open(self, span: Span | None = None) -> Frames:
        """The frames of a span, or all.

        Raises:
            ClipError: missing, damaged, no frames, or a span that reaches past the end.
        """

    @abstractmethod
    def identity(self, span: Span | None = None) -> list:
        """JSON values that change when the pixels do: names, sizes, edges, and times of the last change.

        Raises:
            ClipError: missing.
        """


def check_array(path: Path, shape: Sequence[int], dtype: str) -> None:
    """Refuse an array that is no clip.

    Raises:
        ClipError: other than uint8 (T, H, W, 3), without frames, or with too large ones.
    """
    if dtype != "uint8" or len(shape) != 4 or shape[3] != 3 or not shape[0]:
        raise ClipError(
            path,
            f"its frames are {dtype} {tuple(shape)}",
            remedy="save uint8 (frames, height, width, 3), RGB from 0 to 255, first frame first",
        )
    check_size(path, shape[2], shape[1])


def span_of_pictures(path: Path, count: int, fps: float | None, span: Span | None) -> range:
    """Positions of a span among ``count`` pictures.

    Raises:
        ClipError: it reaches past the end, is empty, or is in seconds where the rate is not known.
    """
    if span is None:
        return range(count)
    check_holds(path, span)
    if span.unit == "seconds":
        if fps is None:
            raise ClipError(path, "its span is in seconds and its rate unknown", remedy="say the source's fps")
        start, stop = round(span.start * fps), round(span.stop * fps)
    else:
        start, stop = int(span.start), int(span.stop)
    check_span(path, span, count, start, stop, None if fps is None else count / fps)
    return range(start, stop)


def check_holds(path: Path, span: Span) -> None:
    """Refuse a span that can hold no frame of any clip."""
    if 0 <= span.start < span.stop <= _MAX_SPAN:
        return
    why, remedy = "holds no frame", ALL_FRAMES
    if span.start < 0:
        why, remedy = "begins below 0", "correct its start"
    elif span.stop <= span.start:
        why, remedy = "does not stop after its start, and holds no frame", "correct one of the two"
    raise ClipError(path, f"the span {span.start:g} to {span.stop:g} {span.unit} {why}", remedy=remedy)


def check_span(
    path: Path, span: Span, count: int, start: int, stop: int, seconds: float | None, counted: bool = True
) -> None:
    """Refuse a span that is empty or leaves the ``count`` frames of a clip of so many ``seconds``.

    counted: these are all frames of the clip, which the message says.
    """
    said = f"{span.start:g} to {span.stop:g} {span.unit}"
    has = ", ".join(([f"{count} frames"] if counted else []) + ([] if seconds is None else [f"{seconds:.3f} s"]))
    if not 0 <= start < stop:
        raise ClipError(path, f"the span {said} holds no frame", remedy=ALL_FRAMES)
    if stop > count:
        raise ClipError(path, f"the span {said} reaches past the end, which has {has}", remedy=ALL_FRAMES)


def check_size(path: Path, width: int, height: int, time: float | None = None) -> None:
    """Refuse pictures that are larger than any camera's."""
    if width < 1 or height < 1:
        raise ClipError(path, f"its header says {width}x{height} pixels", time)
    if max(width, height) > _MAX_SIDE:
        raise ClipError(path, f"a side of its {width}x{height} pixels is longer than {_MAX_SIDE}", time)
    if width * height > MAX_PIXELS:
        raise ClipError(path, f"{width}x{height} pixels are more than {MAX_PIXELS}", time)


def check_same_size(
    path: Path, before: tuple[int, ...] | None, size: tuple[int, ...], time: float | None = None
) -> None:
    """Refuse a frame of another size, (height, width, ...), than that of the frame before it, or turned otherwise."""
    if before is not None and before[:2] == size[:2] and before != size:
        raise mixed_turns(path, time)
    if before is not None and before != size:
        raise ClipError(path, f"its pictures change from {before[1]}x{before[0]} to {size[1]}x{size[0]} pixels", time)


def mixed_turns(path: Path, time: float | None = None) -> ClipError:
    """The error of a video whose pictures are not all turned alike."""
    remedy = "encode it anew with all of them turned alike, or leave it out"
    return ClipError(path, "some of its pictures alone say that they are turned or mirrored", time, remedy)


def check_regular(path: Path) -> None:
    """Refuse what is no regular file; opening a pipe would wait for ever.

    Raises:
        ClipError: also for a missing or empty file.
    """
    check_name(path)
    try:
        if not path.exists():
            raise ClipError(path, "there is no such file")
        if not path.is_file():
            raise ClipError(path, "it is not a regular file")
        if path.stat().st_size == 0:
            raise ClipError(path, "it is empty, 0 bytes")
    except ClipError:
        raise
    except (OSError, ValueError) as error:
        raise ClipError(path, _reason(error)) from error


def is_black(frame: np.ndarray) -> bool:
    """Whether a frame, uint8 (H, W, 3), shows nothing: what cameras and codecs leave of black is no more than 16."""
    return int(frame.max()) <= _BLACK


def one_line(text: str) -> str:
    """Text of a file's, as a message can show it."""
    return UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], text)


def check_name(path: Path) -> None:
    """Refuse names that no message can show."""
    if UNPRINTABLE.search(str(path)):
        raise ClipError(one_line(str(path)), "its name holds control characters", remedy="rename it")


def edges_digest(file: BinaryIO, size: int) -> str:
    """Digest of a file's first and last 4 KiB: cheap, and a video that was encoded anew differs there."""
    digest = hashlib.sha256(file.read(_EDGE))
    if size > _EDGE:
        file.seek(max(size - _EDGE, _EDGE))
        digest.update(file.read(_EDGE))
    return digest.hexdigest()[:16]


def file_identity(path: Path) -> list:
    """Name, size, edges and time of the last change of a file."""
    check_regular(path)
    try:
        status = path.stat()
        with path.open("rb") as file:
            return [path.name, status.st_size, edges_digest(file, status.st_size), status.st_mtime_ns]
    except OSError as error:
        raise ClipError(path, _reason(error)) from error


def changed_at(path: Path) -> int:
    """When a file was changed last, nanoseconds: what a change in its middle leaves behind, where its size stays.

    Raises:
        ClipError: missing.
    """
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise ClipError(path, _reason(error)) from error


def span_identity(span: Span | None) -> list | None:
    """A span as JSON."""
    return None if span is None else [span.start, span.stop, span.unit]


def _reason(error: Exception) -> str:
    strerror = getattr(error, "strerror", None)
    return " ".join(str(strerror or error).split()) or type(error).__name__
