"""What each action does to the named object, by script and in the picture."""

import numpy as np
import pytest

from showme.worlds.tabletop.actions import FRAMES, LIFT, PULL, PUSH, plan
from showme.worlds.tabletop.objects import EXTENTS, LID_OPEN
from showme.worlds.tabletop.vocabulary import ACTIONS

from .conftest import drawn, scenes_by_action


def displacement(action: str) -> np.ndarray:
    """Metres that the named object's base moves from the first to the last frame."""
    scene = scenes_by_action()[action]
    script = plan(scene)
    first, last = script.objects(0)[scene.target], script.objects(FRAMES - 1)[scene.target]
    return last.pose.position - first.pose.position


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("push_left", (-PUSH, 0, 0)),
        ("push_right", (PUSH, 0, 0)),
        ("pull_closer", (0, -PULL, 0)),
        ("move_away", (0, PUSH, 0)),
        ("lift", (0, 0, LIFT)),
        ("open", (0, 0, 0)),
        ("close", (0, 0, 0)),
        ("cut", (0, 0, 0)),
        ("cover", (0, 0, 0)),
    ],
)
def test_the_named_object_moves_by_the_said_amount(action, expected):
    np.testing.assert_allclose(displacement(action), expected, atol=1e-9)


@pytest.mark.parametrize("action", ["put_next_to", "put_on_top", "put_into"])
def test_put_actions_end_at_the_reference(action):
    scene = scenes_by_action()[action]
    x, y, z = plan(scene).objects(FRAMES - 1)[scene.target].pose.position
    reference = scene.objects[scene.reference]
    height = EXTENTS[reference.shape][2]
    if action == "put_next_to":
        assert 0.05 < x - reference.x < 0.20
        assert z == pytest.approx(0)
    else:
        assert (x, y) == pytest.approx((reference.x, reference.y))
        assert z == pytest.approx(height) if action == "put_on_top" else 0 < z < height


def test_turning_over_ends_upside_down_on_the_table():
    scene = scenes_by_action()["turn_over"]
    last = plan(scene).objects(FRAMES - 1)[scene.target]
    np.testing.assert_allclose(last.pose.rotation[2], [0, 0, -1], atol=1e-9)
    assert last.pose.position[2] == pytest.approx(EXTENTS[scene.objects[scene.target].shape][2])


def test_lids_slices_and_cloth_reach_their_end():
    for action, lid in (("open", LID_OPEN), ("close", 0.0)):
        scene = scenes_by_action()[action]
        assert plan(scene).objects(FRAMES - 1)[scene.target].lid == pytest.approx(lid)
    scene = scenes_by_action()["cut"]
    assert plan(scene).objects(FRAMES - 1)[scene.target].slices == pytest.approx((1,) * 4)
    scene = scenes_by_action()["cover"]
    cloth = next(i for i, spec in enumerate(scene.objects) if spec.shape == "cloth")
    state = plan(scene).objects(FRAMES - 1)[cloth]
    target = scene.objects[scene.target]
    assert state.drape == pytest.approx(1)
    np.testing.assert_allclose(state.pose.position[:2], (target.x, target.y), atol=1e-9)


@pytest.mark.parametrize(
    ("action", "axis", "sign"),
    [("push_left", 0, -1), ("push_right", 0, 1), ("pull_closer", 1, 1), ("move_away", 1, -1), ("lift", 1, -1)],
)
def test_the_track_runs_in_the_said_direction(opengl, action, axis, sign):
    track = drawn(action).object_track
    assert sign * (track[-1] - track[0])[axis] > 8
    assert np.all(sign * np.diff(track[:, axis]) > -1e-3)


@pytest.mark.parametrize("action", ACTIONS)
def test_labels_agree_with_the_picture(opengl, action):
    clip = drawn(action)
    assert clip.frames.shape == (FRAMES, 128, 128, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.joints.shape == (FRAMES, 1, 21, 2)
    assert clip.joints.dtype == clip.depth.dtype == clip.object_track.dtype == np.float32
    assert clip.hand_masks.dtype == clip.object_masks.dtype == bool
    assert (clip.second_object_masks is not None) == (clip.scene.reference is not None)
    assert 0.3 < clip.depth.min() < clip.depth.max() < 3.0
    assert clip.hand_masks[0].sum() > 250
    assert clip.object_masks[0].sum() > 120
    least = 0.10 if action == "cover" else 0.30
    assert clip.object_masks[-1].sum() > least * clip.object_masks[0].sum()


@pytest.mark.parametrize("action", ACTIONS)
def test_joints_lie_near_the_picture_and_on_the_hand(opengl, action):
    clip = drawn(action)
    joints = clip.joints[:, 0]
    assert joints.min() > -40
    assert joints.max() < 168
    inside = ((joints > 1) & (joints < 127)).all(axis=-1)
    assert inside[[0, -1]].mean() > 0.8
    hits = []
    for frame, row in enumerate(joints):
        pixels = row[inside[frame]].astype(int)
        hits += list(clip.hand_masks[frame][pixels[:, 1], pixels[:, 0]])
    # Fingers that hold an object lie partly behind it.
    assert np.mean(hits) > 0.7


@pytest.mark.parametrize("action", ACTIONS)
def test_the_hand_touches_what_it_moves(opengl, action):
    clip = drawn(action)
    near = np.zeros((128, 128), bool)
    rows, columns = np.nonzero(clip.hand_masks[-1])
    for dy in range(-3, 4):
        for dx in range(-3, 4):
            near[np.clip(rows + dy, 0, 127), np.clip(columns + dx, 0, 127)] = True
    if action != "cut":
        assert (near & clip.object_masks[-1]).any() or action == "cover"
