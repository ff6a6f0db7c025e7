"""Small rotations, easing, and the drawn primitives the world is made of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

IDENTITY = np.eye(3)


@dataclass(frozen=True)
class Primitive:
    """One drawn solid in its owner's frame.

    Attributes:
        kind: ``"box"``, ``"sphere"``, ``"cylinder"``, ``"capsule"``, ``"ellipsoid"``
            or the name of a mesh.
        size: Half sizes in metres along the own axes; for a mesh the scale per axis.
        position: Centre, metres.
        rotation: 3x3 matrix whose columns are the solid's axes.
        colour: RGB in 0..1.
    """

    kind: str
    size: tuple[float, float, float]
    position: np.ndarray
    rotation: np.ndarray
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """Place (metres) and orientation (3x3) of a frame in the world."""

    position: np.ndarray
    rotation: np.ndarray = field(default_factory=lambda: IDENTITY)

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Map points (..., 3) from this frame to the world."""
        return points @ self.rotation.T + self.position


def about_axis(axis: Sequence[float] | np.ndarray, angle: float) -> np.ndarray:
    """Rotation matrix by ``angle`` radians about ``axis`` (any length)."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return IDENTITY + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew


def slerp(start: np.ndarray, end: np.ndarray, share: float) -> np.ndarray:
    """The rotation ``share`` (0..1) of the way from ``start`` to ``end``."""
    turn = end @ start.T
    angle = np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))
    if angle < 1e-6:
        return start
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    return about_axis(axis, angle * share) @ start


def unit(vector) -> np.ndarray:
    """The vector at length one."""
    vector = np.asarray(vector, float)
    return vector / np.linalg.norm(vector)


def ease(value: float) -> float:
    """Minimum-jerk easing of a share clipped to 0..1."""
    t = min(max(value, 0.0), 1.0)
    return t * t * t * (10 - 15 * t + 6 * t * t)


def between(frame: float, start: float, end: float) -> float:
    """Eased share of the way from frame ``start`` to frame ``end``."""
    return ease((frame - start) / (end - start))


def cross(a, b) -> np.ndarray:
    """Cross product of two 3-vectors; many times faster than NumPy's for single ones."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def aligned(direction) -> np.ndarray:
    """A rotation whose third column is the unit ``direction``."""
    x, y, z = direction
    if abs(x) < 0.9:
        length = math.hypot(y, z)
        first = (0.0, -z / length, y / length)
    else:
        length = math.hypot(x, z)
        first = (z / length, 0.0, -x / length)
    second = cross(direction, first)
    return np.array([[first[k], second[k], direction[k]] for k in range(3)])


def capsule(start, end, radius: float, colour, kind: str = "capsule") -> Primitive:
    """A capsule (or cylinder) between two points."""
    # Plain floats: this runs some forty times per frame.
    a, b = [float(v) for v in start], [float(v) for v in end]
    length = max(math.dist(a, b), 1e-9)
    direction = [(q - p) / length for p, q in zip(a, b, strict=True)]
    middle = np.array([(p + q) / 2 for p, q in zip(a, b, strict=True)])
    return Primitive(kind, (radius, radius, length / 2), middle, aligned(direction), colour)
