"""Whether an action can be played without hitting anything or leaving the picture."""

import numpy as np

from showme.worlds.tabletop.actions import plan, put_goal
from showme.worlds.tabletop.camera import SIZE, camera_of
from showme.worlds.tabletop.grip import hand_points
from showme.worlds.tabletop.hand import HandState, elbow_direction, joints_of
from showme.worlds.tabletop.objects import EXTENTS, ObjectState, distance, footprint
from showme.worlds.tabletop.scene import Scene

_CHECKED_FRAMES = (2.0, 3.0, 4.0, 5.0, 6.0, 7.5, 9.0, 10.5, 12.0, 15.0)
_HAND_OVERLAP = 0.004
_MARGIN = 4.0


def action_fits(scene: Scene) -> bool:
    """True if hand and moved objects stay clear of the others and in the picture."""
    if not _goal_is_free(scene):
        return False
    script = plan(scene)
    camera = camera_of(scene.look)
    target = scene.objects[scene.target]
    last = script.objects(15)[scene.target]
    pixels = camera.project(_corners(target.shape, last))
    if pixels.min() < _MARGIN or pixels.max() > SIZE - _MARGIN:
        return False
    fingers = camera.project(joints_of(script.hand(15)))[1:]
    if fingers.min() < 1 or fingers.max() > SIZE - 1:
        return False
    for frame in _CHECKED_FRAMES:
        states = script.objects(frame)
        if not _moved_clear(scene, states) or not _hand_clear(scene, script.hand(frame), states):
            return False
    return True


def _goal_is_free(scene: Scene) -> bool:
    """A cheap test before the script is made: is the place to put to taken?"""
    if scene.reference is None:
        return True
    goal = put_goal(scene)
    radius = footprint(scene.objects[scene.target].shape)
    for index, spec in enumerate(scene.objects):
        if index in (scene.target, scene.reference):
            continue
        if np.hypot(goal[0] - spec.x, goal[1] - spec.y) < radius + footprint(spec.shape) + 0.005:
            return False
    return True


def _corners(shape: str, state: ObjectState) -> np.ndarray:
    half_x, half_y, height = EXTENTS[shape]
    local = np.array([[a * half_x, b * half_y, c * height] for a in (-1, 1) for b in (-1, 1) for c in (0, 1)])
    return state.pose.apply(local)


def _surface(shape: str, state: ObjectState) -> np.ndarray:
    """Points on the outline of an object at three heights (world)."""
    half_x, half_y, height = EXTENTS[shape]
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ring = np.stack([half_x * np.cos(angles), half_y * np.sin(angles), 0 * angles], axis=1)
    rings = [ring + np.array([0, 0, z * height]) for z in (0.08, 0.5, 0.95)]
    return state.pose.apply(np.concatenate(rings))


def _moved_clear(scene: Scene, states: list[ObjectState]) -> bool:
    """The named object keeps off everything but its reference."""
    points = _surface(scene.objects[scene.target].shape, states[scene.target])
    for index, spec in enumerate(scene.objects):
        if index in (scene.target, scene.reference) or spec.shape in ("knife", "cloth"):
            continue
        local = (points - states[index].pose.position) @ states[index].pose.rotation
        if distance(spec.shape, local).min() < 0.004:
            return False
    return True


def _hand_clear(scene: Scene, hand: HandState, states: list[ObjectState]) -> bool:
    """Hand and forearm keep off everything they are not meant to touch."""
    points, radii = hand_points(hand.curls)
    points = hand.pose.apply(points)
    along = np.linspace(0.0, 0.36, 10)[:, None]
    arm = hand.pose.position + along * elbow_direction(hand.pose.position)
    points = np.concatenate([points, arm])
    radii = np.concatenate([radii, np.where(along[:, 0] < 0.06, 0.026, 0.040)])
    for index, spec in enumerate(scene.objects):
        if index == scene.target or _is_tool(scene, spec.shape):
            continue
        local = (points - states[index].pose.position) @ states[index].pose.rotation
        overlap = 0.012 if index == scene.reference else _HAND_OVERLAP
        if (distance(spec.shape, local) - radii).min() < -overlap:
            return False
    return True


def _is_tool(scene: Scene, shape: str) -> bool:
    return (scene.action, shape) in (("cut", "knife"), ("cover", "cloth"))
