"""Clips: a scene played, drawn and labelled."""

import json
from dataclasses import dataclass, field

import numpy as np

from showme.worlds.tabletop.actions import FRAMES, plan
from showme.worlds.tabletop.camera import camera_of
from showme.worlds.tabletop.hand import HandState, hand_primitives, joints_of
from showme.worlds.tabletop.layout import sample_scene
from showme.worlds.tabletop.objects import ObjectState, object_primitives
from showme.worlds.tabletop.renderer import FIRST_OBJECT_ID, HAND_ID, shared_renderer
from showme.worlds.tabletop.scene import Scene


@dataclass
class Clip:
    """A rendered clip of T=16 frames of 128x128 pixels.

    Attributes:
        frames: uint8 (T, 128, 128, 3), RGB.
        instruction: What the hand does.
        scene: The full recipe.
        final_state: Action, and colour, shape and final place of the objects involved;
            with labels also ``visible_centroid``, the pixel xy of the visible part.
        joints: float32 (T, 1, 21, 2), pixel xy of the right hand, MediaPipe order.
        object_track: float32 (T, 2), pixel xy of the named object's projected centre.
        hand_masks: bool (T, 128, 128), hand and forearm; None without labels.
        object_masks: bool (T, 128, 128), visible part of the named object; None
            without labels.
        second_object_masks: The same for the reference object; None if there is none.
        depth: float32 (T, 128, 128), metres along the view axis; None without labels.
    """

    frames: np.ndarray
    instruction: str
    scene: Scene
    final_state: dict
    joints: np.ndarray
    object_track: np.ndarray
    hand_masks: np.ndarray | None = None
    object_masks: np.ndarray | None = None
    second_object_masks: np.ndarray | None = None
    depth: np.ndarray | None = field(default=None, repr=False)


def render(seed: int, split: str = "train", labels: bool = True) -> Clip:
    """Sample and draw the clip of a seed.

    Args:
        seed: A seed of the split's range, or a smaller one counted from its start.
        split: A key of ``SPLITS``.
        labels: Also draw masks and depth (a second pass per frame).

    Raises:
        ValueError: the seed or the split is not valid.
        OpenGLMissingError: no offscreen OpenGL library is installed.
    """
    return render_scene(sample_scene(seed, split), labels)


def render_scene(scene: Scene, labels: bool = True) -> Clip:
    """Draw a scene record; see ``render``."""
    script = plan(scene)
    camera = camera_of(scene.look)
    renderer = shared_renderer()
    renderer.set_look(scene.look)
    target = scene.objects[scene.target]
    frames, joints, track, numbers, depth = [], [], [], [], []
    for frame in range(FRAMES):
        hand, states = script.hand(frame), script.objects(frame)
        owned = things_of(scene, hand, states)
        frames.append(renderer.picture(owned))
        joints.append(camera.project(joints_of(hand))[None])
        track.append(camera.project(states[scene.target].centre(target.shape)))
        if labels:
            marked, far = renderer.marks(owned)
            numbers.append(marked)
            depth.append(far)
    clip = Clip(
        frames=np.stack(frames),
        instruction=scene.instruction,
        scene=scene,
        final_state=_final_state(scene, states),
        joints=np.stack(joints).astype(np.float32),
        object_track=np.stack(track).astype(np.float32),
    )
    if labels:
        _label(clip, np.stack(numbers), np.stack(depth))
    return clip


def things_of(scene: Scene, hand: HandState, states: list[ObjectState]) -> list:
    """What the renderer draws at one moment: the primitives of the hand and of each object, with their marks."""
    owned = [(HAND_ID, hand_primitives(hand, scene.look.skin, scene.look.sleeve))]
    for index, (spec, state) in enumerate(zip(scene.objects, states, strict=True)):
        owned.append((FIRST_OBJECT_ID + index, object_primitives(spec, state)))
    return owned


def _label(clip: Clip, numbers: np.ndarray, depth: np.ndarray) -> None:
    scene = clip.scene
    clip.hand_masks = numbers == HAND_ID
    clip.object_masks = numbers == FIRST_OBJECT_ID + scene.target
    if scene.reference is not None:
        clip.second_object_masks = numbers == FIRST_OBJECT_ID + scene.reference
    clip.depth = depth
    clip.final_state["visible_centroid"] = centroid(clip.object_masks[-1])


def centroid(mask: np.ndarray) -> list[float] | None:
    """Pixel xy of the middle of a mask (H, W); None for an empty one."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return None
    return [float(columns.mean()) + 0.5, float(rows.mean()) + 0.5]


def _final_state(scene: Scene, states: list[ObjectState]) -> dict:
    target = scene.objects[scene.target]
    final = {"action": scene.action, **_described(target, states[scene.target])}
    if scene.reference is not None:
        reference = scene.objects[scene.reference]
        final["reference"] = _described(reference, states[scene.reference])
    return final


def _described(spec, state: ObjectState) -> dict:
    return {
        "colour": spec.colour,
        "shape": spec.shape,
        "position": [float(v) for v in state.pose.position],
        "rotation": [[float(v) for v in row] for row in state.pose.rotation],
        "lid": float(state.lid),
        "slices": [float(v) for v in state.slices],
    }


def scene_json(scene: Scene) -> str:
    """The scene record as compact JSON."""
    return json.dumps(scene.to_dict(), separators=(",", ":"))
