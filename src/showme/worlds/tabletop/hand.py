"""A right hand with forearm: 21 joints, articulated fingers, and drawn solids.

Hand frame: origin at the wrist; columns of the rotation are ``forward`` (towards the
fingers), ``side`` (towards the thumb) and ``back`` (out of the back of the hand).
"""

from dataclasses import dataclass

import numpy as np

from showme.worlds.tabletop.geometry import Pose, Primitive, capsule, cross, unit

# Knuckle places in the hand frame (index, middle, ring, pinky), metres.
_KNUCKLES = np.array([[0.090, 0.031, 0.0], [0.094, 0.010, 0.002], [0.089, -0.011, 0.001], [0.080, -0.030, -0.002]])
_PHALANGES = np.array([[0.043, 0.027, 0.021], [0.047, 0.030, 0.022], [0.043, 0.028, 0.021], [0.034, 0.021, 0.018]])
_SPREAD = np.radians([9.0, 2.0, -5.0, -13.0])
_FULL_CURL = np.radians([68.0, 78.0, 48.0])
_LEAST_CURL = np.radians([6.0, 8.0, 5.0])
_THUMB_BASE = np.array([0.026, 0.032, -0.008])
_THUMB_LENGTHS = (0.040, 0.032, 0.025)
_THUMB_OPEN = np.array([[0.64, 0.74, -0.20], [0.80, 0.56, -0.16], [0.90, 0.40, -0.12]])
_THUMB_SHUT = np.array([[0.55, 0.42, -0.72], [0.70, 0.06, -0.72], [0.74, -0.34, -0.58]])
_FINGER_RADIUS = 0.0108
_PINKY_RADIUS = 0.0096
_THUMB_RADIUS = 0.0122
_SHOULDER = np.array([0.20, -0.86, 0.34])

OPEN = (0.10, 0.10, 0.10, 0.12, 0.15)
RELAXED = (0.25, 0.30, 0.32, 0.36, 0.40)
FLAT = (0.0, 0.02, 0.02, 0.02, 0.04)
FIST = (0.85, 0.90, 0.90, 0.90, 0.90)


@dataclass(frozen=True)
class HandState:
    """Wrist pose and the curl of thumb, index, middle, ring, pinky (0 open .. 1 shut)."""

    pose: Pose
    curls: np.ndarray


def hand_rotation(forward, back) -> np.ndarray:
    """The hand frame with the given back direction and roughly this forward direction."""
    back = unit(back)
    forward = np.asarray(forward, float)
    forward = unit(forward - back * (forward @ back))
    return np.stack([forward, cross(back, forward), back], axis=1)


def local_joints(curls) -> np.ndarray:
    """The 21 joints (21, 3) in the hand frame, in MediaPipe order."""
    joints = np.zeros((21, 3))
    shut = float(curls[0])
    point = _THUMB_BASE
    joints[1] = point
    for k in range(3):
        point = point + unit(_THUMB_OPEN[k] * (1 - shut) + _THUMB_SHUT[k] * shut) * _THUMB_LENGTHS[k]
        joints[2 + k] = point
    for finger in range(4):
        curl = float(curls[finger + 1])
        angles = np.cumsum(_LEAST_CURL + _FULL_CURL * curl)
        spread = _SPREAD[finger] * (1 - 0.8 * curl)
        point = _KNUCKLES[finger]
        joints[5 + 4 * finger] = point
        for k in range(3):
            flat = np.cos(angles[k])
            direction = np.array([flat * np.cos(spread), flat * np.sin(spread), -np.sin(angles[k])])
            point = point + direction * _PHALANGES[finger, k]
            joints[6 + 4 * finger + k] = point
    return joints


def joints_of(state: HandState) -> np.ndarray:
    """The 21 joints (21, 3) in the world, metres."""
    return state.pose.apply(local_joints(state.curls))


def finger_radius(finger: int) -> float:
    """Radius of a finger (0 thumb .. 4 pinky), metres."""
    return _THUMB_RADIUS if finger == 0 else _PINKY_RADIUS if finger == 4 else _FINGER_RADIUS


def finger_points(joints: np.ndarray, finger: int) -> tuple[np.ndarray, float]:
    """Sample points along one finger (0 thumb .. 4 pinky) and the finger's radius."""
    chain = joints[1 + 4 * finger : 5 + 4 * finger]
    steps = np.linspace(0.25, 1.0, 4)[:, None]
    points = [chain[k] + (chain[k + 1] - chain[k]) * steps for k in range(3)]
    return np.concatenate(points), finger_radius(finger)


def palm_points() -> tuple[np.ndarray, float]:
    """Sample points inside the palm (hand frame) and the radius around them."""
    grid = [
        [0.094 * a, (0.016 + 0.018 * a) * s, -0.001] for a in (0.15, 0.4, 0.65, 0.9) for s in (-1.0, -0.35, 0.35, 1.0)
    ]
    return np.array(grid), 0.0135


def elbow_direction(wrist: np.ndarray) -> np.ndarray:
    """Unit vector from the wrist along the forearm."""
    return unit(_SHOULDER - wrist)


def hand_primitives(state: HandState, skin, sleeve) -> list[Primitive]:
    """Solids of hand and forearm in the world."""
    joints = joints_of(state)
    wrist = joints[0]
    shaded = tuple(0.90 * value for value in skin)
    solids = [capsule(wrist, joints[5 + 4 * k], 0.0145, skin) for k in range(4)]
    centre = state.pose.apply(np.array([0.055, 0.0, 0.0]))
    solids.append(Primitive("ellipsoid", (0.050, 0.042, 0.0165), centre, state.pose.rotation, skin))
    solids.append(capsule(wrist, joints[1], 0.015, skin))
    for finger in range(5):
        radius = finger_radius(finger)
        for k in range(3):
            start, end = joints[1 + 4 * finger + k], joints[2 + 4 * finger + k]
            # The last bone a little darker lets fingertips stand out at 128 px.
            solids.append(capsule(start, end, radius * (1 - 0.05 * k), shaded if k == 2 else skin))
    along = elbow_direction(wrist)
    solids.append(capsule(wrist, wrist + along * 0.07, 0.0255, skin))
    solids.append(capsule(wrist + along * 0.055, wrist + along * 0.75, 0.040, sleeve))
    solids.append(capsule(wrist + along * 0.050, wrist + along * 0.062, 0.042, sleeve, "cylinder"))
    return solids
