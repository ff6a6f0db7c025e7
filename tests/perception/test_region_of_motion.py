"""Masks of moving hands against half-planes, closed forms and OpenCV's polygons."""

from __future__ import annotations

import numpy as np
import pytest

from showme.perception.region_of_motion import hull_over_hands, hull_per_hand, region_of_motion

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: pip install opencv-python-headless")

HEIGHT, WIDTH = 60, 80


def outside_by(points: np.ndarray) -> np.ndarray:
    """How far each pixel's centre lies outside the hull, (H, W): the most that it is beyond one of its sides.

    A side is a line through two points that has all others on its right, the picture's y pointing down.
    """
    first, second = (points[index] for index in np.where(~np.eye(len(points), dtype=bool)))
    along = second - first
    length = np.linalg.norm(along, axis=1)
    first, along = first[length > 0], along[length > 0] / length[length > 0, None]

    def beyond(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance of each place to the left of each line, (lines, places)."""
        return along[:, 1:] * (x - first[:, :1]) - along[:, :1] * (y - first[:, 1:])

    sides = (beyond(*points.T) <= 1e-9).all(axis=1)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return beyond(columns.ravel(), rows.ravel())[sides].max(axis=0).reshape(HEIGHT, WIDTH)


def square(left: int, top: int, side: int) -> np.ndarray:
    return np.array([[left, top], [left + side, top], [left + side, top + side], [left, top + side]], np.float32)


@pytest.mark.parametrize("spread", [5, 20, 60, 300])
def test_a_mask_covers_the_hull_and_at_most_its_outline(spread):
    rng = np.random.default_rng(spread)
    for _ in range(10):
        joints = np.rint(rng.uniform(-spread, spread, (21, 2)) + np.array([WIDTH / 2, HEIGHT / 2]))
        (mask,) = hull_per_hand([[joints]], HEIGHT, WIDTH)
        beyond = outside_by(joints)
        assert mask[beyond < 1e-9].all()
        assert not mask[beyond > 1].any()


def test_a_square_is_its_pixels_and_joints_inside_or_in_depth_change_nothing():
    joints = np.concatenate([square(10, 20, 30), [[15, 25], [39, 21]]])
    (mask,) = hull_per_hand([[np.column_stack([joints, np.full(6, 99.0)])]], HEIGHT, WIDTH)
    assert mask.dtype == bool
    assert mask.sum() == 31 * 31
    assert mask[20:51, 10:41].all()


def test_places_between_pixels_go_to_the_nearest():
    (mask,) = hull_per_hand([[square(10, 20, 30) + 0.4]], HEIGHT, WIDTH)
    assert mask[20:51, 10:41].all()
    assert mask.sum() == 31 * 31


def test_what_lies_outside_the_picture_is_cut_off():
    (mask,) = hull_per_hand([[square(-1000, -1000, 1020)]], HEIGHT, WIDTH)
    assert mask[:21, :21].all()
    assert mask.sum() == 21 * 21
    assert not hull_per_hand([[square(200, 200, 50)]], HEIGHT, WIDTH).any()
    assert hull_per_hand([[square(-5000, -5000, 10000)]], HEIGHT, WIDTH).all()


def test_hulls_without_an_area_are_lines_and_points():
    row = np.column_stack([np.arange(10, 31), np.full(21, 7)])
    masks = hull_per_hand([[row], [row[:1].repeat(21, axis=0)], [row[:2]], [row[:0]]], HEIGHT, WIDTH)
    assert [int(mask.sum()) for mask in masks] == [21, 1, 2, 0]
    assert masks[0][7, 10:31].all()
    assert masks[1][7, 10]


def test_hands_are_united_in_a_frame_and_frames_in_a_clip():
    first, second = square(5, 5, 10), square(50, 30, 10)
    masks = hull_per_hand([[first, second], [], [square(20, 40, 5)]], HEIGHT, WIDTH)
    assert masks.shape == (3, HEIGHT, WIDTH)
    assert [int(mask.sum()) for mask in masks] == [2 * 121, 0, 36]
    motion = region_of_motion(masks)
    assert motion.dtype == bool
    np.testing.assert_array_equal(motion, masks[0] | masks[2])


def test_one_hull_over_all_hands_covers_what_lies_between():
    first, second = square(5, 5, 10), square(50, 30, 10)
    (mask,) = hull_over_hands([[first, second]], HEIGHT, WIDTH)
    beyond = outside_by(np.concatenate([first, second]))
    assert mask[beyond < 1e-9].all()
    assert not mask[beyond > 1].any()
    np.testing.assert_array_equal(
        hull_over_hands([[first], []], HEIGHT, WIDTH), hull_per_hand([[first], []], HEIGHT, WIDTH)
    )


def test_each_hand_s_own_polygon_adds_nothing_to_the_hull_over_all():
    rng = np.random.default_rng(0)
    for _ in range(20):
        hands = [rng.uniform(-10, 70, (21, 2)) for _ in range(2)]
        (mask,) = hull_over_hands([hands], HEIGHT, WIDTH)
        polygons = np.zeros((HEIGHT, WIDTH), np.uint8)
        for joints in hands:
            cv2.fillPoly(polygons, [np.rint(joints).astype(np.int32)], 1)
        assert not (polygons.astype(bool) & ~mask).any()


def test_no_frames_and_no_hands():
    for masks in (hull_per_hand, hull_over_hands):
        assert masks([], HEIGHT, WIDTH).shape == (0, HEIGHT, WIDTH)
        assert not region_of_motion(masks([], HEIGHT, WIDTH)).any()
        assert not masks([[], []], HEIGHT, WIDTH).any()


@pytest.mark.parametrize("place", [np.nan, np.inf, 1e9])
def test_joints_that_are_nowhere_are_refused(place):
    joints = square(5, 5, 10)
    joints[0, 0] = place
    with pytest.raises(ValueError, match="within 32768 pixels"):
        hull_per_hand([[joints]], HEIGHT, WIDTH)
