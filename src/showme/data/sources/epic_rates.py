"""The rate that EPIC-KITCHENS' frames are numbered in, which the annotations prove and no list of videos says.

The official rgb_frames were extracted at 60 per second, those of the later recordings (P01_101 and on) at 50, whatever
the videos' own rates. A row says a moment both as time and as frame number, rounded by less than a frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Numbers are rounded, some up and some down, and time stamps to a hundredth of a second.
_FRAMES, _SECONDS = 1.0, 0.005
_LATER = re.compile(r"P\d+_\d{3}")
_OFFICIAL = (60.0, 50.0)


@dataclass(frozen=True)
class Moment:
    """seconds into the video, and the number of the frame that an annotator saw there."""

    seconds: float
    frame: int

    def agrees(self, rate: float) -> bool:
        """Whether the number is that of the time, at so many frames per second."""
        return abs(self.frame - self.seconds * rate) <= _FRAMES + _SECONDS * rate + 1e-6


def proven_rate(video: str, moments: Iterable[Moment]) -> float | None:
    """The rate that most moments of a video agree with; None where they prove none.

    Args:
        video: its id, which says the likelier of the official rates where both fit.
        moments: of all rows.
    """
    moments = list(moments)
    official = _OFFICIAL[::-1] if _LATER.fullmatch(video) else _OFFICIAL
    agreeing = {rate: sum(moment.agrees(rate) for moment in moments) for rate in official}
    best = max(official, key=lambda rate: agreeing[rate])
    if 2 * agreeing[best] > len(moments):
        return best
    # Frames that somebody extracted and numbered otherwise: whatever rate all moments leave possible.
    bounds = [
        ((moment.frame - _FRAMES) / moment.seconds, (moment.frame + _FRAMES) / moment.seconds)
        for moment in moments
        if moment.seconds > _SECONDS
    ]
    low, high = max((low for low, _ in bounds), default=1.0), min((high for _, high in bounds), default=0.0)
    if not 0 < low <= high:
        return None
    whole = float(round((low + high) / 2))
    return whole if low <= whole <= high else (low + high) / 2
