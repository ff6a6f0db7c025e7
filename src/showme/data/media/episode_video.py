"""Videos of recorded episodes, which must hold what their data set says: a file of their own, or a part of one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...errors import ClipError
from .base import ALL_FRAMES, Frames, Span, check_regular
from .opening import open_container, video_stream
from .video import Video

# Frames by which headers may be off: some writers give the last frame no duration, or twice its own.
_EXACT, _ROUNDED = 0.5, 1.5


@dataclass(frozen=True)
class EpisodeVideo(Video):
    """The frames of one episode.

    path, track: as of every video. length: frames of the episode, as its table says. part: where they stand in a
    video that episodes share; None: the video is the episode's own. whole: frames of a shared video, by the places of
    all its episodes. rate: frames per second of the data set.
    """

    length: int = 0
    part: Span | None = None
    whole: int = 0
    rate: float = 1.0

    def open(self, span: Span | None = None) -> Frames:
        """The frames of a span, or all of the episode.

        Raises:
            ClipError: also where the video has another number of frames than the data set says.
        """
        if self.part is None:
            return self._own(span)
        check_regular(self.path)
        self._check_whole()
        return self._of_length(super().open(self.part)) if span in (None, self.part) else super().open(span)

    def _own(self, span: Span | None) -> Frames:
        frames = super().open()
        if len(frames) >= self.length and span in (None, Span(0, self.length, "frames")):
            return self._of_length(frames)
        count = len(frames)
        frames.close()
        if count > self.length:
            raise self._differs(count)
        return super().open(span or Span(0, self.length, "frames"))

    def _of_length(self, frames: Frames) -> Frames:
        if len(frames) != self.length:
            frames.close()
            raise self._differs(len(frames))
        return frames

    def _differs(self, count: int) -> ClipError:
        reason = f"it has {count} frames of the episode, where the data set says {self.length}"
        return ClipError(self.path, reason, remedy=ALL_FRAMES)

    def _check_whole(self) -> None:
        """Refuse a video with frames too few or too many: those of one episode may be another's."""
        status = self.path.stat()
        version = (status.st_size, status.st_mtime_ns)
        stated = _stated_frames(self.path, self.track, self.rate, version)
        off = abs(stated - self.whole)
        if off > _EXACT and (off > _ROUNDED or _count(self.path, self.track, version) != self.whole):
            reason = f"it has {stated:.1f} frames at {self.rate:g} per second, where its episodes have {self.whole}"
            raise ClipError(self.path, reason, remedy=ALL_FRAMES)


@lru_cache(maxsize=4096)
def _stated_frames(path: Path, track: int | None, rate: float, version: tuple[int, int]) -> float:
    """How many frames of a rate fit into the time that a video's header states."""
    with open_container(path, f"file:{path}", track=track) as container:
        stream = video_stream(path, container, track)
        if stream.duration is None:
            return float(_count(path, track, version))
        return float(stream.duration * stream.time_base) * rate


@lru_cache(maxsize=4096)
def _count(path: Path, track: int | None, version: tuple[int, int]) -> int:
    """Frames of a video; ``version`` is its size and the time of its last change."""
    with Video(path, track).open() as frames:
        return len(frames)
