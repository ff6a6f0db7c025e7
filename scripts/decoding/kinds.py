"""Kinds of video files: containers and codecs as they go together, with and without B-frames, groups open or closed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_X264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-x264-params")
_X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x265-params")
# What encodes each; the ways differ in how a group of pictures refers to others.
ENCODERS: dict[str, tuple[str, ...]] = {
    "h264 without B": (*_X264, "bframes=0:scenecut=0"),
    "h264 with B": (*_X264, "bframes=3:b-adapt=0:b-pyramid=normal:scenecut=0"),
    "h264 with B, open": (*_X264, "bframes=3:b-adapt=0:open-gop=1:scenecut=0"),
    "h264 with B, no IDR": (*_X264, "bframes=3:b-pyramid=strict:open-gop=1:scenecut=0:ref=4"),
    "hevc without B": (*_X265, "log-level=error:bframes=0:scenecut=0"),
    "hevc with B": (*_X265, "log-level=error:bframes=3:b-adapt=0:open-gop=0:scenecut=0"),
    "hevc with B, open": (*_X265, "log-level=error:bframes=4:b-adapt=0:open-gop=1:scenecut=0"),
    "mpeg1 with B": ("-c:v", "mpeg1video", "-bf", "2", "-q:v", "3"),
    "mpeg2 without B": ("-c:v", "mpeg2video", "-bf", "0", "-q:v", "3"),
    "mpeg2 with B": ("-c:v", "mpeg2video", "-bf", "2", "-flags", "+cgop", "-sc_threshold", "1000000000", "-q:v", "3"),
    "mpeg2 with B, open": ("-c:v", "mpeg2video", "-bf", "2", "-q:v", "3"),
    "mpeg4 without B": ("-c:v", "mpeg4", "-bf", "0", "-q:v", "3"),
    "mpeg4 with B": ("-c:v", "mpeg4", "-bf", "2", "-q:v", "3"),
    "xvid without B": ("-c:v", "libxvid", "-bf", "0", "-q:v", "3"),
    "xvid packed": ("-c:v", "libxvid", "-bf", "2", "-q:v", "3"),
    "vp8": ("-c:v", "libvpx", "-b:v", "300k", "-auto-alt-ref", "1", "-lag-in-frames", "10"),
    "vp9": ("-c:v", "libvpx-vp9", "-b:v", "300k", "-auto-alt-ref", "1", "-lag-in-frames", "10", "-cpu-used", "5"),
    "av1": ("-c:v", "libsvtav1", "-preset", "10", "-svtav1-params", "keyint=24", "-pix_fmt", "yuv420p"),
    "mjpeg": ("-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"),
    "prores": ("-c:v", "prores_ks"),
    "theora": ("-c:v", "libtheora", "-q:v", "7"),
    "flv1": ("-c:v", "flv1", "-q:v", "3"),
    "wmv2": ("-c:v", "wmv2", "-q:v", "3"),
    "h263": ("-c:v", "h263", "-q:v", "3"),
}
_H264 = [name for name in ENCODERS if name.startswith("h264")]
_HEVC = [name for name in ENCODERS if name.startswith("hevc")]
_MPEG2 = [name for name in ENCODERS if name.startswith("mpeg2")]
_MPEG4 = [name for name in ENCODERS if name.startswith("mpeg4")]
_XVID = [name for name in ENCODERS if name.startswith("xvid")]
CONTAINERS: dict[str, list[str]] = {
    "mp4": [*_H264, *_HEVC, "vp9", "av1", *_MPEG2, *_MPEG4, "mjpeg"],
    "mov": [*_H264, *_HEVC, *_MPEG4, "mjpeg", "prores"],
    "mkv": [*_H264, *_HEVC, "vp8", "vp9", "av1", *_MPEG2, *_MPEG4, "mjpeg", "prores", "theora"],
    "webm": ["vp8", "vp9", "av1"],
    "avi": [*_H264, *_MPEG2, *_MPEG4, *_XVID, "mjpeg"],
    "ts": [*_H264, *_HEVC, *_MPEG2, *_MPEG4],
    "m2ts": [*_H264, *_HEVC, *_MPEG2],
    "mpg": ["mpeg1 with B", *_MPEG2, "h264 with B"],
    "flv": ["h264 without B", "h264 with B", "flv1"],
    "ogv": ["theora"],
    "wmv": ["wmv2", "mpeg4 with B"],
    "3gp": ["h263", "mpeg4 without B", "h264 with B"],
}
# Streams that are copied to another container, with their stamps or without any, whole or from their middle on.
_MADE_UP, _FROM_THE_MIDDLE = ("-fflags", "+genpts"), ("-ss", "0.9")
COPIES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "avi to mkv": ("avi", "mkv", _MADE_UP),
    "avi to mp4": ("avi", "mp4", _MADE_UP),
    "raw to mp4": ("h264", "mp4", _MADE_UP),
    "raw to mkv": ("h264", "mkv", _MADE_UP),
    "cut to mp4": ("mkv", "mp4", _FROM_THE_MIDDLE),
    "cut to mkv": ("mkv", "mkv", _FROM_THE_MIDDLE),
    "cut to mov": ("mp4", "mov", _FROM_THE_MIDDLE),
}
FPS, SECONDS, GROUP = 25, 6, 24
_SIZE = {"h263": "176x144"}


@dataclass(frozen=True)
class Kind:
    """A kind of file. container: its suffix. encoder: of ``ENCODERS``. copy: of ``COPIES``, or empty."""

    container: str
    encoder: str
    copy: str = ""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.container}: {self.encoder}" + (f", {self.copy}" if self.copy else "")


def all_kinds() -> list[Kind]:
    """The whole matrix."""
    plain = [Kind(container, encoder) for container, encoders in CONTAINERS.items() for encoder in encoders]
    copied = [
        Kind(target, encoder, copy)
        for copy, (source, target, _) in COPIES.items()
        for encoder in [*_H264, *(_MPEG4 if source == "avi" else []), *(_HEVC if source in ("mkv", "mp4") else [])]
    ]
    return plain + copied


def make(kind: Kind, folder: Path, seconds: int = SECONDS) -> Path | None:
    """A file of a kind, 25 frames per second; None where ffmpeg refuses to write it."""
    path = folder / f"{kind.name.replace(': ', '-').replace(', ', '-').replace(' ', '-')}.{kind.container}"
    first = path if not kind.copy else path.with_suffix(f".first.{COPIES[kind.copy][0]}")
    size = _SIZE.get(kind.encoder, "96x64")
    source = f"testsrc2=s={size}:r={FPS}:d={seconds}"
    done = _run("-f", "lavfi", "-i", source, *ENCODERS[kind.encoder], "-g", str(GROUP), str(first))
    if done and kind.copy:
        done = _run(*COPIES[kind.copy][2], "-i", str(first), "-c", "copy", str(path))
    return path if done else None


def _run(*words: str) -> bool:
    command = ["ffmpeg", "-y", "-v", "error", "-nostdin", *words]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
