"""What a video's file leaves open about its colours and its clock, and how that is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from pydantic import Field

from ...config import Settings
from ...errors import ClipError, warn_once
from ...pictures.light import HDR_CURVES
from ...pictures.profile import HDR_MAPPED, PROFILE_UNUSED

# As ITU-T H.273 numbers them.
BT709, UNSPECIFIED, BT601, BT2020 = 1, 2, 6, 9
_FIELDS = {"bt601": BT601, "bt709": BT709, "bt2020": BT2020}
# swscale takes them for BT.601 without a word, or says no more than that it cannot.
_UNREAD = {8: "as YCgCo", 10: "as BT.2020 of constant luminance", 11: "as YDzDx", 12: "by its primaries",
           13: "by its primaries", 14: "as ICtCp", 15: "as IPT-C2", 16: "as YCgCo-Re", 17: "as YCgCo-Ro"}  # fmt: skip
# The smallest HD picture is 1280x720, the largest SD one 1024x576; portraits have them turned.
_HD_LONG, _SD_SHORT = 1280, 576
# Seconds; GIF writes hundredths.
_SHORTEST_DELAY, _BROWSERS_DELAY = 0.015, 0.1


class Colours(Settings):
    """Choices that a video's file leaves to its reader. Two of equal fields are equal, and give equal pixels."""

    untagged: Literal["by_size", "bt601", "bt709", "bt2020"] = Field(
        "by_size", description="matrix of videos that name none; by_size: BT.709 for HD, BT.601 for smaller ones"
    )
    hdr: Literal["map", "refuse"] = Field(
        "map", description="PQ and HLG; map: to SDR by the Mobius curve; refuse: an error"
    )
    gif_delays: Literal["written", "browser"] = Field(
        "written",
        description="clock of GIFs; browser: a delay below 2 hundredths of a second lasts 10",
    )

    def identity(self) -> list:
        """JSON values for caches: none where nothing was chosen."""
        chosen = self.model_dump(exclude_defaults=True)
        return [chosen] if chosen else []

    def gif_times(self, times: np.ndarray) -> np.ndarray:
        """Seconds at which a GIF's frames are shown, float (n,), of those that its file writes, by the clock chosen."""
        if self.gif_delays == "written" or not len(times):
            return times
        # ffmpeg's demuxer has options for this, which its newer parser passes over.
        delays = np.diff(times)
        delays[delays < _SHORTEST_DELAY] = _BROWSERS_DELAY
        return np.concatenate([times[:1], times[0] + np.cumsum(delays)])


DEFAULT = Colours()


def check_colours(path: Path, frame: av.VideoFrame, stream: Any, colours: Colours, time: float) -> None:
    """Refuse what cannot be converted, or must not be, and warn of what the file leaves open.

    Raises:
        ClipError: HDR that ``colours`` refuses, or a colour matrix that is not read.
    """
    if frame.colorspace in _UNREAD and not frame.format.is_rgb:
        reason = f"its colours are coded {_UNREAD[frame.colorspace]}, which is not read"
        raise ClipError(path, reason, time, remedy="convert it to BT.709 once")
    if curve := hdr_curve(stream):
        _check_hdr(path, HDR_CURVES[curve], colours, time)
    elif colours.untagged == "by_size" and _is_open(frame) and matrix_of(frame, colours) == BT709:
        warn_of_kind(path, "untagged", "does not say which matrix codes its colours: BT.709 is taken, as its "
                  f"{frame.width}x{frame.height} pixels suggest; the field colours.untagged names another")  # fmt: skip


def matrix_of(frame: av.VideoFrame, colours: Colours) -> int:
    """The matrix between a frame's code values and RGB, as ITU-T H.273 numbers it."""
    if not _is_open(frame):
        return int(frame.colorspace)
    if colours.untagged != "by_size":
        return _FIELDS[colours.untagged]
    long, short = max(frame.width, frame.height), min(frame.width, frame.height)
    return BT709 if long >= _HD_LONG or short > _SD_SHORT else BT601


def hdr_curve(stream: Any) -> int | None:
    """PQ or HLG; None of SDR."""
    curve = int(stream.codec_context.color_trc)
    return curve if curve in HDR_CURVES else None


def warn_of_kind(path: Path, kind: str, what: str) -> None:
    """Warn of the first clip of a kind; data sets have thousands that are alike."""
    warn_once(kind, f"{path} {what}. Other such clips are not named.")


def check_notes(path: Path, notes: Sequence[str], colours: Colours, time: float | None) -> None:
    """Warn of what :func:`showme.pictures.photo.upright_rgb` noted of a picture and a data set may suffer from.

    Raises:
        ClipError: HDR that ``colours`` refuses.
    """
    for note in notes:
        if note.startswith(PROFILE_UNUSED):
            warn_of_kind(path, "profile", "has a colour profile that cannot be used: its colours are taken for sRGB")
        for name in HDR_CURVES.values():
            if note.startswith(f"{HDR_MAPPED} ({name})"):
                _check_hdr(path, name, colours, time)


def _check_hdr(path: Path, name: str, colours: Colours, time: float | None) -> None:
    if colours.hdr == "refuse":
        raise ClipError(path, f"it is HDR, {name}", time, remedy="convert it to SDR once, or set colours.hdr=map")
    warn_of_kind(path, name, f"is HDR ({name}): its colours are mapped to SDR by the Mobius curve; colours.hdr=refuse "
              "leaves such clips out")  # fmt: skip


def _is_open(frame: av.VideoFrame) -> bool:
    """Whether a matrix is needed that the file does not name."""
    return frame.colorspace == UNSPECIFIED and len(frame.format.components) >= 3 and not frame.format.is_rgb
