"""Where hands move in a clip: the region of motion of IVG (arXiv 2412.04189, section 3.1.1), from the hands' joints.

Pure functions of joints in pixels, the centre of the top left pixel being (0, 0). A mask covers the pixels whose
centres lie in the hull of the joints, rounded to pixels, or on its outline; so does a hull without an area.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..optional import needed

# Beyond it, OpenCV's fixed-point numbers overflow. Pictures and their hands are smaller by far.
_FARTHEST = 1 << 15


def hull_per_hand(hands: Sequence[Sequence[np.ndarray]], height: int, width: int) -> np.ndarray:
    """The convex hull of each hand, filled: the paper's mask of every frame.

    Args:
        hands: for each frame, for each of its hands, joints (J, 2 or more), x and y first. Joints may lie outside the
            picture; a frame may have no hands.
        height: of the pictures.
        width: of the pictures.

    Returns:
        bool (T, H, W).

    Raises:
        InputError: OpenCV is not installed.
        ValueError: joints that are no finite numbers, or more than 32768 pixels away.
    """
    return _masks((list(of_frame) for of_frame in hands), height, width)


def hull_over_hands(hands: Sequence[Sequence[np.ndarray]], height: int, width: int) -> np.ndarray:
    """The convex hull of all hands of a frame together, filled: the mask of the paper's released code.

    It covers what lies between the hands as well. The code also fills each hand's own polygon, which the hull contains.
    Arguments, result and errors are those of :func:`hull_per_hand`.
    """
    together = ([np.concatenate([joints[:, :2] for joints in of_frame])] if len(of_frame) else [] for of_frame in hands)
    return _masks(together, height, width)


def region_of_motion(masks: np.ndarray) -> np.ndarray:
    """The union over a clip's frames: (T, H, W) -> bool (H, W)."""
    return np.asarray(np.any(masks, axis=0))


def _masks(frames: Iterable[Sequence[np.ndarray]], height: int, width: int) -> np.ndarray:
    masks = [_filled(point_sets, height, width) for point_sets in frames]
    return np.stack(masks) if masks else np.zeros((0, height, width), dtype=bool)


def _filled(point_sets: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """The hulls of sets of points, united, in one picture."""
    with needed("cv2", "opencv-python-headless", "perception", "A mask of hands"):
        import cv2
    mask = np.zeros((height, width), dtype=np.uint8)
    for points in point_sets:
        if not np.all(np.abs(points[:, :2]) < _FARTHEST):
            raise ValueError(f"joints of a hand lie within {_FARTHEST} pixels of the picture, not at {points[:, :2]}.")
        pixels = np.rint(points[:, :2]).astype(np.int32)
        if len(pixels):
            cv2.fillConvexPoly(mask, cv2.convexHull(pixels), 1)
    return mask.astype(bool)
