"""Opening a video file: which containers and protocols are allowed, and which of its tracks is the video."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import av
from av.stream import Disposition
from PIL import Image

from ...errors import ClipError, warn_once
from .base import MAX_PIXELS

# Containers that hold a video and nothing else: no playlists, which would fetch what they name.
_FORMATS = ("mov", "matroska", "webm", "avi", "gif", "mpegts", "mpeg", "mpegvideo", "ogg", "asf", "flv", "apng", "h264",
            "hevc", "ivf", "m4v", "mjpeg", "mxf", "nut", "dv")  # fmt: skip
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(_FORMATS)}
_DECODING = {"max_pixels": str(MAX_PIXELS)}
_STRICT = {"err_detect": "explode"}
# Of AVIF and HEIF; those of their sequences are others.
_STILL_BRANDS = ("avif", "mif1", "heic", "heix")
# Streams of a file at most that are set not to be decoded while it is opened.
_STREAMS = 64
# Of looking for a header; in a damaged file of many gigabytes it is looked for everywhere.
OPEN_SECONDS = 120.0
# Where an MPEG-4 stream is damaged, several threads give other pictures from one run to the next.
_ONE_THREAD = {"mpeg4"}


def open_container(
    path: Path,
    source: str | BinaryIO,
    threads: int = 0,
    described: bool = False,
    track: int | None = None,
    strict: bool = True,
) -> Any:
    """A video file, opened for reading; its decoder reports damage instead of painting over it.

    Args:
        path: for messages.
        source: what PyAV opens.
        threads: of the decoder; 0: as many as there are cores.
        described: its header says what is otherwise learnt by decoding its first frames.
        track: as in :func:`video_stream`.
        strict: every fault of the stream is damage; otherwise those alone that show in frames, which are marked.

    Raises:
        ClipError: no video in it.
    """
    opening: dict[str, Any] = {"stream_options": [{"skip_frame": "all"}] * _STREAMS} if described else {}
    try:
        container = av.open(
            source,
            options=dict(_OPTIONS),
            metadata_errors="replace",
            timeout=(OPEN_SECONDS, None),
            **opening,
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        raise _not_opened(path, source, error) from error
    try:
        if container.metadata.get("major_brand") in _STILL_BRANDS:
            raise _still(path, "AVIF or HEIF")
        context = video_stream(path, container, track).codec_context
        context.options = _DECODING | (_STRICT if strict else {})
        context.thread_type = "AUTO"
        context.thread_count = 1 if context.name in _ONE_THREAD else threads
    except ClipError:
        container.close()
        raise
    return container


def _not_opened(path: Path, source: str | BinaryIO, error: Exception) -> ClipError:
    """Why a file is not opened: of one in a format that is not allowed ffmpeg says no more than that."""
    if not isinstance(error, av.ArgumentError):
        return ClipError(path, words(error))
    if not isinstance(source, str):
        source.seek(0)
    try:
        with Image.open(source.removeprefix("file:") if isinstance(source, str) else source) as image:
            return _still(path, image.format or "of some kind")
    except Exception:
        # Pillow's parsers raise whatever they hit.
        return ClipError(path, "it is in no format of videos that is read", remedy="convert it to MP4, or leave it out")


def _still(path: Path, kind: str) -> ClipError:
    wanted = "give a video, an animated WebP, PNG or AVIF, or a folder of pictures"
    return ClipError(path, f"it is one picture, {kind}", remedy=wanted)


def video_stream(path: Path, container: Any, track: int | None = None) -> Any:
    """A video of a container that is no cover.

    Args:
        path: for messages.
        container: open.
        track: which, counted from 0; None: the first that is marked as the default, or the first.

    Raises:
        ClipError: there is none, or no decoder for it.
    """
    streams = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
    if not streams:
        raise ClipError(path, "there is no video in it")
    if track is None:
        marked = [number for number, each in enumerate(streams) if each.disposition & Disposition.default]
        chosen = marked[0] if marked else 0
        if len(streams) > 1:
            why = "which is marked as the default" if marked else "the first"
            warn_once(
                "video tracks",
                f"{path} has {len(streams)} video tracks: track {chosen} is read, {why}; the field track chooses. "
                "Other such clips are not named.",
            )
    elif not 0 <= track < len(streams):
        raise ClipError(
            path, f"it has {len(streams)} video tracks", remedy=f"choose a track below {len(streams)}, from 0"
        )
    else:
        chosen = track
    stream = streams[chosen]
    if stream.codec_context is None or not stream.time_base:
        raise ClipError(path, "there is no decoder for its video")
    return stream


def words(error: Exception) -> str:
    """What an error of ffmpeg says."""
    return " ".join(str(getattr(error, "strerror", None) or error).split()).rstrip(".") or type(error).__name__
