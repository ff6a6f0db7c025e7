"""Bringing the hand into touch: slide until it meets an object, close until it holds."""

from functools import cache

import numpy as np

from showme.worlds.tabletop.geometry import Pose
from showme.worlds.tabletop.hand import HandState, finger_points, local_joints, palm_points
from showme.worlds.tabletop.objects import ObjectState, distance

_CURL_STEPS = 25
_SLIDE_STEPS = 90
_SLIDE_LENGTH = 0.18
_TABLE_GAP = 0.003


@cache
def _curl_table() -> np.ndarray:
    """Joints (steps, 21, 3) in the hand frame with all fingers curled alike."""
    return np.stack([local_joints([c] * 5) for c in np.linspace(0, 1, _CURL_STEPS)])


def hand_points(curls) -> tuple[np.ndarray, np.ndarray]:
    """Sample points (n, 3) in the hand frame and the radius (n,) of flesh around each."""
    joints = local_joints(curls)
    parts = [palm_points(), *(finger_points(joints, finger) for finger in range(5))]
    radii = np.concatenate([np.full(len(points), radius) for points, radius in parts])
    return np.concatenate([points for points, _ in parts]), radii


def slide_to_touch(
    shape: str,
    state: ObjectState,
    rotation: np.ndarray,
    curls,
    anchor: np.ndarray,
    local: np.ndarray,
    approach: np.ndarray,
) -> HandState:
    """Move the hand in against ``approach`` until it touches the object.

    The hand's ``local`` point travels on the line from ``anchor`` (world, metres) along
    the unit vector ``approach``; the hand is raised where it would dip into the table.
    """
    points, radii = hand_points(curls)
    placed = points @ rotation.T + (anchor - rotation @ local)
    placed[:, 2] += max(0.0, float((radii + _TABLE_GAP - placed[:, 2]).max()))
    lift = placed[0] - (points[0] @ rotation.T + (anchor - rotation @ local))
    travel = np.linspace(0, _SLIDE_LENGTH, _SLIDE_STEPS)
    everywhere = placed[None] + travel[:, None, None] * approach
    gap = (distance(shape, _into_frame(state.pose, everywhere)) - radii).min(axis=1)
    # The last step that still overlaps: beyond it the way out is free.
    blocked = np.flatnonzero(gap < 0)
    step = travel[min(blocked[-1] + 1, _SLIDE_STEPS - 1)] if len(blocked) else 0.0
    return HandState(Pose(anchor - rotation @ local + lift + step * approach, rotation), np.array(curls))


def close_on(shape: str, state: ObjectState, hand: HandState) -> np.ndarray:
    """The five curls at which each finger just touches the object (or is fully shut)."""
    curls = np.ones(5)
    table = hand.pose.apply(_curl_table())
    for finger in range(5):
        chains = [finger_points(joints, finger) for joints in table]
        points = np.stack([points for points, _ in chains])
        inside = distance(shape, _into_frame(state.pose, points)) - chains[0][1]
        in_table = points[..., 2] - chains[0][1]
        hits = np.flatnonzero((inside.min(axis=1) < 0.0) | (in_table.min(axis=1) < 0.0))
        hits = hits[hits > 3]
        if len(hits):
            curls[finger] = (hits[0] - 1) / (_CURL_STEPS - 1)
    return np.minimum(curls, 0.85)


def _into_frame(pose: Pose, points: np.ndarray) -> np.ndarray:
    return (points - pose.position) @ pose.rotation
