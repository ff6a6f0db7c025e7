"""Times of display that a file leaves unsaid, or gives to several frames: completed without moving the others."""

from __future__ import annotations

import numpy as np

# Between frames of one time stamp, in seconds: more than the grace that spans have, and less than any clock counts.
_APART_SECONDS = 2e-6


def filled(times: np.ndarray, step: float) -> np.ndarray:
    """Times of which some are not known, completed, and in their order, on whichever frame they stand.

    Args:
        times: float (n,), seconds, NaN where none is known; one is known at least.
        step: seconds between two frames before the first known one, and after the last.
    """
    places = np.arange(len(times))
    known = np.flatnonzero(~np.isnan(times))
    first, last = known[0], known[-1]
    inner = np.interp(places, known, np.sort(times[known]))
    return inner + step * (np.minimum(places - first, 0) + np.maximum(places - last, 0))


def separated(times: np.ndarray) -> np.ndarray:
    """Times that rise: a frame of the same time as the one before it is shown right after that.

    Args:
        times: float (n,), seconds, in their order.
    """
    distinct, starts, counts = np.unique(times, return_index=True, return_counts=True)
    room = np.append(np.diff(distinct), np.inf)
    apart = np.minimum(_APART_SECONDS, room / (counts + 1))
    return times + (np.arange(len(times)) - np.repeat(starts, counts)) * np.repeat(apart, counts)
