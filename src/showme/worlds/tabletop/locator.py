"""Finding the named object in a picture by its colour alone.

Meant for generated pictures: it uses no label of the picture, only the scene (what the
object and its surroundings are coloured like) and, if given, the true first frame.
"""

import numpy as np

from showme.worlds.tabletop.camera import SIZE, camera_of
from showme.worlds.tabletop.objects import EXTENTS, contrast, resting
from showme.worlds.tabletop.scene import Scene
from showme.worlds.tabletop.vocabulary import COLOURS

# Least number of pixels (of 128x128) that count as an object.
_LEAST_AREA = 14
_UNCHANGED = 26.0
# Reach of the mean shift in pixels: what is wide or falls apart needs more.
_WINDOW = 17.0
_WIDE_WINDOW = 25.0
_WIDE_SHAPES = ("case", "loaf", "bowl", "tray")
_NEUTRAL = (0.80, 0.82, 0.85)


def locate(frame: np.ndarray, scene: Scene, background: np.ndarray | None = None) -> tuple[float, float] | None:
    """Pixel xy of the middle of the named object's visible part, or None if not found.

    Args:
        frame: uint8 (128, 128, 3), RGB; may be generated and blurry.
        scene: Recipe of the scene the picture started from.
        background: The true first frame, uint8 (128, 128, 3). Pixels that did not change
            since then are the object only where it stood at first.
    """
    likely = _likeness(frame, scene)
    if background is not None:
        change = np.abs(frame.astype(float) - background.astype(float)).max(axis=-1)
        likely = likely & ((change > _UNCHANGED) | _first_place(scene))
    weight = likely.astype(float)
    peak = _blurred(weight)
    # Single stray pixels and thin edges of other things do not make an object.
    weight *= peak > 0.35
    if weight.sum() < _LEAST_AREA:
        return None
    wide = scene.objects[scene.target].shape in _WIDE_SHAPES
    return _settle(weight, peak, _WIDE_WINDOW if wide else _WINDOW)


def _likeness(frame: np.ndarray, scene: Scene) -> np.ndarray:
    """Pixels more like the named object's colour than like any other of the scene."""
    pixels = frame.astype(float) / 255
    target = scene.objects[scene.target]
    colour = COLOURS[target.colour]
    own = _misfit(pixels, colour, *_shades(target.colour))
    if target.shape == "case":
        # An open case shows mostly its pale inside.
        own = np.minimum(own, _misfit(pixels, contrast(colour), 0.45, 1.05))
    look = scene.look
    rivals = [
        _misfit(pixels, colour, 0.3, 1.25)
        for colour in (look.skin, look.sleeve, look.table, look.stripe, look.background)
    ]
    for index, spec in enumerate(scene.objects):
        if index != scene.target:
            rivals.append(_misfit(pixels, COLOURS[spec.colour], *_shades(spec.colour)))
    if target.shape != "can":
        rivals.append(_misfit(pixels, _NEUTRAL, 0.9, 1.0))
    limit = 0.14 if target.colour == "white" else 0.24
    return (own < limit) & (own < np.min(rivals, axis=0))


def _shades(colour: str) -> tuple[float, float]:
    """Range of brightness over which a colour is seen."""
    return (0.60, 1.05) if colour == "white" else (0.28, 1.15)


def _misfit(pixels: np.ndarray, colour, darkest: float, brightest: float) -> np.ndarray:
    """Relative distance (H, W) of pixels to the nearest shade of a colour."""
    colour = np.asarray(colour, float)
    shade = np.clip(pixels @ colour / (colour @ colour), darkest, brightest)[..., None]
    # Bright light clips a channel: so does the model of it.
    apart = np.linalg.norm(pixels - np.minimum(shade * colour, 1.0), axis=-1)
    return apart / (np.linalg.norm(pixels, axis=-1) + 0.08)


def _first_place(scene: Scene) -> np.ndarray:
    """Pixels (H, W) that the named object may cover in the first frame."""
    spec = scene.objects[scene.target]
    half_x, half_y, height = EXTENTS[spec.shape]
    if spec.lid:
        height += 2 * half_y
    corners = np.array([[a * half_x, b * half_y, c * height] for a in (-1, 1) for b in (-1, 1) for c in (0, 1)])
    xy = camera_of(scene.look).project(resting(spec).pose.apply(corners))
    (left, top), (right, bottom) = xy.min(axis=0) - 1, xy.max(axis=0) + 1
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    return (columns > left) & (columns < right) & (rows > top) & (rows < bottom)


def _blurred(weight: np.ndarray, reach: int = 2) -> np.ndarray:
    """Mean over a square of 2*reach+1 pixels."""
    side = 2 * reach + 1
    total = np.pad(weight, ((reach + 1, reach), (reach + 1, reach))).cumsum(0).cumsum(1)
    block = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    return block / side**2


def _settle(weight: np.ndarray, peak: np.ndarray, window: float) -> tuple[float, float]:
    """Middle of the largest heap of weight: mean shift from the densest spot."""
    wide = _blurred(weight, reach=8)
    row, column = np.unravel_index(np.argmax(wide + 1e-3 * peak), wide.shape)
    rows, columns = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]]
    for _ in range(6):
        near = weight * (np.hypot(rows - row, columns - column) < window)
        total = near.sum()
        row, column = (near * rows).sum() / total, (near * columns).sum() / total
    return float(column) + 0.5, float(row) + 0.5
