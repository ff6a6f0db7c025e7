"""Triangle meshes of the shapes that no MuJoCo primitive gives."""

from functools import cache
from itertools import pairwise

import numpy as np

from showme.worlds.tabletop.objects import CLOTH_LEVELS

# A mesh: vertices (n, 3) in metres and triangles (m, 3).
Mesh = tuple[np.ndarray, np.ndarray]

_SEGMENTS = 24
_CLOTH_HALF = 0.067
_CLOTH_TOP = 0.047
_CLOTH_THICKNESS = 0.004
_CLOTH_GRID = 15

# Outlines (radius, z) from the axis outwards and back to the axis.
_OUTLINES = {
    "mug": [
        (0, 0),
        (0.040, 0),
        (0.042, 0.004),
        (0.042, 0.088),
        (0.040, 0.090),
        (0.036, 0.088),
        (0.036, 0.060),
        (0, 0.060),
    ],
    "mug_inside": [(0, 0.061), (0.0364, 0.061), (0.0364, 0.0875), (0.0355, 0.0875), (0.0355, 0.062), (0, 0.062)],
    "bowl": [
        (0, 0),
        (0.042, 0),
        (0.045, 0.004),
        (0.062, 0.020),
        (0.074, 0.036),
        (0.080, 0.052),
        (0.074, 0.052),
        (0.056, 0.020),
        (0.036, 0.009),
        (0, 0.009),
    ],
    "bowl_inside": [
        (0, 0.0085),
        (0.036, 0.0085),
        (0.056, 0.0195),
        (0.0745, 0.0515),
        (0.0725, 0.0525),
        (0.054, 0.021),
        (0.034, 0.010),
        (0, 0.010),
    ],
    "bottle": [
        (0, 0),
        (0.031, 0),
        (0.034, 0.004),
        (0.034, 0.085),
        (0.029, 0.098),
        (0.014, 0.115),
        (0.014, 0.145),
        (0, 0.145),
    ],
    "cone": [(0, 0), (0.050, 0), (0.050, 0.004), (0.005, 0.110), (0, 0.112)],
}


@cache
def all_meshes() -> dict[str, Mesh]:
    """Every mesh by name."""
    meshes = {name: _revolve(outline) for name, outline in _OUTLINES.items()}
    # Unit ones, scaled when drawn: rounder than MuJoCo's own at the cost of few triangles.
    meshes["drum"] = _revolve([(0, -1), (1, -1), (1, 1), (0, 1)])
    arc = np.linspace(-np.pi / 2, np.pi / 2, 11)
    globe = [(max(0.0, round(float(np.cos(a)), 9)), float(np.sin(a))) for a in arc]
    meshes["globe"] = _revolve(globe, smooth=True)
    for level in range(CLOTH_LEVELS):
        meshes[f"cloth{level}"] = _cloth(level / (CLOTH_LEVELS - 1))
    return meshes


def _revolve(outline, smooth: bool = False) -> Mesh:
    """Turn an outline that starts and ends on the axis about z.

    Unless ``smooth``, each piece of the outline has vertices of its own, so that its
    edges stay sharp.
    """
    angles = np.arange(_SEGMENTS) * 2 * np.pi / _SEGMENTS
    pairs = [point for pair in pairwise(outline) for point in pair]
    rings = outline if smooth else pairs
    vertices = [(r * np.cos(a), r * np.sin(a), z) for r, z in rings for a in angles]
    faces = []
    for ring in range(0, len(rings) - 1, 1 if smooth else 2):
        for k in range(_SEGMENTS):
            a, b = ring * _SEGMENTS + k, ring * _SEGMENTS + (k + 1) % _SEGMENTS
            c, d = a + _SEGMENTS, b + _SEGMENTS
            # On the axis a ring shrinks to a point and one of the triangles vanishes.
            if rings[ring][0] > 0:
                faces.append((a, b, d))
            if rings[ring + 1][0] > 0:
                faces.append((a, d, c))
    return np.array(vertices, float), np.array(faces)


def _cloth(hang: float) -> Mesh:
    """A square cloth whose margin hangs down (0 flat .. 1 almost upright)."""
    line = np.linspace(-_CLOTH_HALF, _CLOTH_HALF, _CLOTH_GRID)
    x, y = (grid.ravel() for grid in np.meshgrid(line, line))
    # A rounded square norm makes the corners fall softly.
    reach = (x**4 + y**4) ** 0.25 + 1e-9
    over = np.maximum(reach - _CLOTH_TOP, 0)
    angle = np.radians(78) * hang
    shrink = np.where(over > 0, (_CLOTH_TOP + over * np.cos(angle)) / reach, 1.0)
    top = np.stack([x * shrink, y * shrink, _CLOTH_THICKNESS - over * np.sin(angle)], axis=1)
    inward = np.array([0.95, 0.95, 1.0]) if hang > 0 else np.ones(3)
    vertices = np.concatenate([top, top * inward - [0, 0, _CLOTH_THICKNESS]])
    n, below = _CLOTH_GRID, _CLOTH_GRID**2
    faces = []
    for row in range(n - 1):
        for column in range(n - 1):
            a = row * n + column
            b, c, d = a + 1, a + n, a + n + 1
            faces += [(a, b, d), (a, d, c)]
            faces += [(below + a, below + d, below + b), (below + a, below + c, below + d)]
    border = [*range(n), *range(2 * n - 1, n * n, n), *range(n * n - 2, n * n - n - 1, -1), *range(n * (n - 2), 0, -n)]
    for a, b in pairwise([*border, border[0]]):
        faces += [(a, below + a, below + b), (a, below + b, b)]
    return vertices, np.array(faces)
