"""Scripts of the actions: where the hand and every object are in each frame.

Timing is the same in all clips: reach in frames 0-6, act in frames 6-13, hold to 15.
Where a tool is fetched first (cut, cover), it is in the hand at frame 3.5.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from showme.worlds.tabletop.geometry import Pose, about_axis, between, ease, slerp, unit
from showme.worlds.tabletop.grip import close_on, slide_to_touch
from showme.worlds.tabletop.hand import (
    FIST,
    FLAT,
    OPEN,
    RELAXED,
    HandState,
    hand_rotation,
    local_joints,
)
from showme.worlds.tabletop.objects import (
    EXTENTS,
    INNER_FLOOR,
    LID_OPEN,
    LID_THICKNESS,
    SLICES,
    ObjectState,
    resting,
)
from showme.worlds.tabletop.scene import Scene

FRAMES = 16
REACHED, ACTED = 6.0, 13.0
FETCHED = 3.5
PUSH = 0.12
PULL = 0.12
LIFT = 0.13
NEXT_TO_GAP = 0.012

REST = HandState(
    Pose(np.array([0.175, -0.225, 0.035]), hand_rotation((-0.30, 0.95, 0.0), (0.12, -0.10, 1.0))),
    np.array(RELAXED),
)

ObjectPath = Callable[[float], ObjectState]
HandPath = Callable[[float], HandState]


@dataclass(frozen=True)
class Plan:
    """A scripted clip.

    Attributes:
        reach: Contact of the hand at frame ``reached``; before, it comes from rest.
        approach: Unit vector from the object to where the hand comes from.
        after: Hand state from frame ``reached`` on.
        moving: Path of each object that moves, by its index in the scene.
    """

    scene: Scene
    reach: HandState
    reached: float
    approach: np.ndarray
    after: HandPath
    moving: dict[int, ObjectPath]

    def objects(self, frame: float) -> list[ObjectState]:
        """State of every object of the scene in a frame."""
        return [
            self.moving[i](frame) if i in self.moving else resting(spec) for i, spec in enumerate(self.scene.objects)
        ]

    def hand(self, frame: float) -> HandState:
        """State of the hand in a frame."""
        if frame >= self.reached:
            return self.after(frame)
        return _reach(self.reach, self.approach, frame / self.reached)


def plan(scene: Scene) -> Plan:
    """The script of a scene's action."""
    return _PLANNERS[scene.action](scene)


def _reach(goal: HandState, approach: np.ndarray, share: float) -> HandState:
    """The hand on its way from rest: an arc that comes in along ``approach``."""
    s = ease(share)
    bend = goal.pose.position + approach * 0.09 + np.array([0.0, 0.0, 0.08])
    start = REST.pose.position
    position = (1 - s) ** 2 * start + 2 * s * (1 - s) * bend + s * s * goal.pose.position
    rotation = slerp(REST.pose.rotation, goal.pose.rotation, ease(share * 1.15))
    opened = np.minimum(np.array(OPEN), goal.curls)
    curls = REST.curls + (opened - REST.curls) * ease(share * 2)
    curls = curls + (goal.curls - curls) * between(share, 0.78, 1.0)
    return HandState(Pose(position, rotation), curls)


def _carried(hand: HandState, before: Pose, now: Pose) -> HandState:
    """The hand moved rigidly with an object."""
    turn = now.rotation @ before.rotation.T
    position = now.position + turn @ (hand.pose.position - before.position)
    return HandState(Pose(position, turn @ hand.pose.rotation), hand.curls)


def _follow(scene: Scene, hand: HandState, approach, path: ObjectPath) -> Plan:
    """A plan in which the hand moves rigidly with the named object."""
    start = resting(scene.objects[scene.target])

    def after(frame: float) -> HandState:
        return _carried(hand, start.pose, path(frame).pose)

    return Plan(scene, hand, REACHED, unit(approach), after, {scene.target: path})


def _shifted(scene: Scene, offset: Callable[[float], np.ndarray]) -> ObjectPath:
    """Path of the named object moved without turning."""
    start = resting(scene.objects[scene.target])
    return lambda frame: ObjectState(Pose(start.pose.position + offset(frame)), lid=start.lid)


def _push_plan(scene: Scene, move, back, forward, local, curls) -> Plan:
    """Push with the hand placed against the side opposite to ``move``."""
    spec = scene.objects[scene.target]
    start = resting(spec)
    approach = -unit(move)
    # Push low on tall things and at mid-height on flat ones: nothing seems to topple.
    anchor = start.pose.position + np.array([0, 0, min(EXTENTS[spec.shape][2] / 2, 0.05)])
    rotation = hand_rotation(forward, back)
    hand = slide_to_touch(spec.shape, start, rotation, curls, anchor, np.array(local), approach)
    path = _shifted(scene, lambda frame: np.asarray(move) * between(frame, REACHED, ACTED))
    return _follow(scene, hand, approach, path)


def _push_left(scene: Scene) -> Plan:
    return _push_plan(scene, (-PUSH, 0, 0), (0.97, -0.1, 0.26), (-0.12, 1, 0), (0.10, 0, 0), FLAT)


def _push_right(scene: Scene) -> Plan:
    # The back of the hand pushes: the palm already faces the right way for this.
    return _push_plan(scene, (PUSH, 0, 0), (0.80, -0.1, 0.60), (0.0, 1, 0), (0.10, 0, 0), FLAT)


def _move_away(scene: Scene) -> Plan:
    return _push_plan(scene, (0, PUSH, 0), (0, -0.35, 0.94), (-0.05, 1, 0.25), (0.14, 0, 0), OPEN)


def _grasp(scene: Scene, back=(0.84, 0.10, 0.52), forward=(-0.42, 0.90, 0.05)) -> tuple[HandState, np.ndarray]:
    """Hold the named object from the right and above; returns hand and approach."""
    spec = scene.objects[scene.target]
    start = resting(spec)
    height = EXTENTS[spec.shape][2]
    anchor = start.pose.position + np.array([0, 0, min(0.6 * height, 0.075)])
    approach = unit(back)
    rotation = hand_rotation(forward, back)
    local = np.array([0.085, 0.0, 0.0])
    hand = slide_to_touch(spec.shape, start, rotation, OPEN, anchor, local, approach)
    return HandState(hand.pose, close_on(spec.shape, start, hand)), approach


def _pull_closer(scene: Scene) -> Plan:
    hand, approach = _grasp(scene)
    path = _shifted(scene, lambda frame: np.array([0, -PULL, 0]) * between(frame, REACHED, ACTED))
    return _follow(scene, hand, approach, path)


def _lift(scene: Scene) -> Plan:
    hand, approach = _grasp(scene)
    path = _shifted(scene, lambda frame: np.array([0, 0, LIFT]) * between(frame, REACHED, ACTED))
    return _follow(scene, hand, approach, path)


def _carry_offset(start: np.ndarray, goal: np.ndarray, height: float, frame: float, begin=REACHED) -> np.ndarray:
    """Offset while carrying: up to ``height``, across, and down onto the goal."""
    span = (ACTED - begin) / 7
    up = between(frame, begin, begin + 2.6 * span)
    across = between(frame, begin + 1.0 * span, begin + 5.6 * span)
    down = between(frame, begin + 4.4 * span, ACTED)
    drop = goal[2] - start[2]
    level = (goal - start) * np.array([1.0, 1.0, 0.0])
    return level * across + np.array([0, 0, height * up + (drop - height) * down])


def _put(scene: Scene, goal: np.ndarray, height: float) -> Plan:
    """Grasp, carry over and set down at ``goal`` (base centre, metres)."""
    hand, approach = _grasp(scene)
    start = resting(scene.objects[scene.target]).pose.position
    path = _shifted(scene, lambda frame: _carry_offset(start, goal, height, frame))
    return _follow(scene, hand, approach, path)


def put_goal(scene: Scene) -> np.ndarray:
    """Where a put action sets down the named object: base centre, metres."""
    target, reference = scene.objects[scene.target], scene.second
    place = np.array([reference.x, reference.y, 0.0])
    if scene.action == "put_next_to":
        # Always on the right, so that the words alone say where it goes.
        reach = EXTENTS[reference.shape][0] + EXTENTS[target.shape][0] + NEXT_TO_GAP
        extra = 0.024 if reference.shape == "mug" else 0.0
        return place + np.array([reach + extra, 0, 0])
    floor = INNER_FLOOR if scene.action == "put_into" else {reference.shape: EXTENTS[reference.shape][2]}
    return place + np.array([0, 0, floor[reference.shape]])


def _put_plan(scene: Scene) -> Plan:
    height = EXTENTS[scene.second.shape][2]
    lift = 0.07 if scene.action == "put_next_to" else height + 0.045
    return _put(scene, put_goal(scene), lift)


def _turn_over(scene: Scene) -> Plan:
    # The hand starts thumb down on the left and rolls over the top to the right.
    spec = scene.objects[scene.target]
    start = resting(spec)
    height = EXTENTS[spec.shape][2]
    grasp = (-0.96, 0.0, 0.28)
    hand, approach = _grasp(scene, back=grasp, forward=(0.10, 1, 0.05))
    centre = start.pose.position + np.array([0, 0, height / 2])

    def lifted(frame: float) -> np.ndarray:
        rise = between(frame, REACHED, REACHED + 2.5) - between(frame, ACTED - 2.5, ACTED)
        return centre + np.array([0, 0, 0.055 * rise])

    def path(frame: float) -> ObjectState:
        turn = about_axis([0, 1, 0], np.pi * between(frame, REACHED + 1, ACTED - 1))
        return ObjectState(Pose(lifted(frame) - turn @ np.array([0, 0, height / 2]), turn))

    def after(frame: float) -> HandState:
        turn = about_axis([0, 1, 0], np.radians(150) * between(frame, REACHED + 1, ACTED - 1))
        position = lifted(frame) + turn @ (hand.pose.position - centre)
        return HandState(Pose(position, turn @ hand.pose.rotation), hand.curls)

    return Plan(scene, hand, REACHED, approach, after, {scene.target: path})


def _lid_plan(scene: Scene) -> Plan:
    """Open or close a case: a fingertip stays on the lid's free edge."""
    spec = scene.objects[scene.target]
    start = resting(spec)
    half_x, half_y, height = EXTENTS["case"]
    hinge = start.pose.position + np.array([0.6 * half_x, half_y, height - LID_THICKNESS])
    curls = np.array(RELAXED)
    tip = local_joints(curls)[12]
    goal = LID_OPEN if scene.action == "open" else 0.0

    def angle(frame: float) -> float:
        return spec.lid + (goal - spec.lid) * between(frame, REACHED, ACTED)

    def path(frame: float) -> ObjectState:
        return ObjectState(start.pose, lid=angle(frame))

    shut = hand_rotation((-0.50, 0.85, -0.25), (0.10, 0.15, 0.9))
    wide = hand_rotation((-0.90, 0.40, 0.05), (0.20, -0.25, 0.9))

    def after(frame: float) -> HandState:
        lid = angle(frame)
        edge = hinge + about_axis([1, 0, 0], -lid) @ np.array([0, -2 * half_y - 0.010, LID_THICKNESS])
        rotation = slerp(shut, wide, lid / LID_OPEN)
        return HandState(Pose(edge - rotation @ tip, rotation), curls)

    approach = unit((0.5, -0.4, 0.6))
    return Plan(scene, after(REACHED), REACHED, approach, after, {scene.target: path})


def _prop(scene: Scene, shape: str) -> int:
    return next(i for i, spec in enumerate(scene.objects) if spec.shape == shape)


def _tool_plan(scene: Scene, prop: int, hand: HandState, prop_path: ObjectPath, moving: dict) -> Plan:
    """A plan in which the hand fetches a prop and then moves with it."""
    start = resting(scene.objects[prop])

    def after(frame: float) -> HandState:
        return _carried(hand, start.pose, prop_path(frame).pose)

    return Plan(scene, hand, FETCHED, unit((0.3, -0.5, 0.8)), after, {prop: prop_path, **moving})


# Frames between which each of the three cuts goes down.
_CUTS = ((7.0, 8.2), (9.2, 10.4), (11.4, 12.6))


def _knife_height(frame: float) -> float:
    """Height of the knife above the cutting place, 0 (down) .. 1 (up)."""
    height = 1.0
    for down, bottom in _CUTS:
        height -= between(frame, down, bottom) - between(frame, bottom, bottom + 0.9)
    return height


def _cut(scene: Scene) -> Plan:
    spec = scene.objects[scene.target]
    prop = _prop(scene, "knife")
    knife = resting(scene.objects[prop])
    loaf = resting(spec).pose
    rotation = hand_rotation((-0.22, 0.95, -0.05), (0.35, -0.1, 0.93))
    grip = knife.pose.position + np.array([0.0, -0.045, 0.040])
    hand = HandState(Pose(grip - rotation @ np.array([0.075, 0.0, 0.0]), rotation), np.array(FIST))
    first = loaf.position + np.array([-0.036, -0.065, 0.0])

    def knife_path(frame: float) -> ObjectState:
        along = 0.036 * (between(frame, 8.4, 9.3) + between(frame, 10.6, 11.5))
        # The knife ends a little raised and aside, so that the pieces can be seen.
        aside = 0.075 * between(frame, 12.9, 14.0)
        target = first + np.array([along + aside, 0.0, 0.002 + 0.070 * _knife_height(frame)])
        share = between(frame, FETCHED, 6.8)
        arc = np.array([0, 0, 0.05 * np.sin(np.pi * share)])
        return ObjectState(Pose(knife.pose.position * (1 - share) + target * share + arc))

    def loaf_path(frame: float) -> ObjectState:
        parted = [between(frame, bottom - 0.2, bottom + 1.0) for _, bottom in _CUTS]
        return ObjectState(loaf, slices=tuple(parted[min(k, SLICES - 2)] for k in range(SLICES)))

    return _tool_plan(scene, prop, hand, knife_path, {scene.target: loaf_path})


def _cover(scene: Scene) -> Plan:
    spec = scene.objects[scene.target]
    prop = _prop(scene, "cloth")
    cloth = resting(scene.objects[prop])
    top = resting(spec).pose.position + np.array([0, 0, EXTENTS[spec.shape][2] + 0.001])
    rotation = hand_rotation((-0.75, 0.65, -0.15), (0.25, 0.05, 0.95))
    curls = np.array([0.62, 0.55, 0.55, 0.55, 0.60])
    joints = local_joints(curls)
    pinch = (joints[8] + joints[4]) / 2
    edge = cloth.pose.position + np.array([0.052, -0.010, 0.018])
    hand = HandState(Pose(edge - rotation @ pinch, rotation), curls)

    def path(frame: float) -> ObjectState:
        offset = _carry_offset(cloth.pose.position, top, top[2] + 0.05, frame, FETCHED)
        drape = 0.4 * between(frame, 5.5, 8.5) + 0.6 * between(frame, 10.0, ACTED)
        return ObjectState(Pose(cloth.pose.position + offset), drape=drape)

    return _tool_plan(scene, prop, hand, path, {})


_PLANNERS: dict[str, Callable[[Scene], Plan]] = {
    "push_left": _push_left,
    "push_right": _push_right,
    "pull_closer": _pull_closer,
    "move_away": _move_away,
    "lift": _lift,
    "put_next_to": _put_plan,
    "put_on_top": _put_plan,
    "put_into": _put_plan,
    "turn_over": _turn_over,
    "open": _lid_plan,
    "close": _lid_plan,
    "cut": _cut,
    "cover": _cover,
}
