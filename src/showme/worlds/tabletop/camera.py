"""The first-person camera: its placement and its projection."""

from dataclasses import dataclass

import numpy as np

from showme.worlds.tabletop.scene import Look

SIZE = 128
FIELD_OF_VIEW = np.radians(40.0)
NEAR = 0.05
FAR = 6.0
_PLACE = np.array([0.0, -0.50, 0.62])


@dataclass(frozen=True)
class Camera:
    """A pinhole camera. ``forward``, ``up`` and ``right`` are unit vectors."""

    position: np.ndarray
    forward: np.ndarray
    up: np.ndarray
    right: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixel xy (float, x right, y down, 128 px picture) of points (..., 3) in metres."""
        rays = np.asarray(points, float) - self.position
        depth = rays @ self.forward
        scale = SIZE / 2 / np.tan(FIELD_OF_VIEW / 2) / depth
        x = SIZE / 2 + (rays @ self.right) * scale
        y = SIZE / 2 - (rays @ self.up) * scale
        return np.stack([x, y], axis=-1)


def camera_of(look: Look) -> Camera:
    """The camera of a scene."""
    position = _PLACE + np.array(look.camera_shift)
    forward = np.array([*look.camera_aim, 0.0]) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return Camera(position, forward, np.cross(right, forward), right)
