"""Sampling scenes in which the action can be done and the words matter."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from showme.worlds.tabletop.camera import SIZE, camera_of
from showme.worlds.tabletop.feasibility import action_fits
from showme.worlds.tabletop.look import sample_look
from showme.worlds.tabletop.objects import EXTENTS, LID_OPEN, footprint
from showme.worlds.tabletop.scene import ObjectSpec, Scene
from showme.worlds.tabletop.splits import is_novel, split_seed
from showme.worlds.tabletop.vocabulary import (
    ACTION_SHAPES,
    ACTIONS,
    COLOURS,
    OPPOSITE,
    REFERENCE_SHAPES,
    SHAPES,
    TEMPLATES,
)

_ATTEMPTS = 3000
_GAP = 0.012
_RIVAL_SHARE = 0.6
_STRAY_PROP_SHARE = 0.08
_TOOL_OF = {"cut": "knife", "cover": "cloth"}
# The knife lies where the resting hand can take it.
_KNIFE_PLACE = (0.205, -0.045)
_REST_ZONE = ((0.165, -0.19, 0.085), (0.13, -0.13, 0.05))


def sample_scene(seed: int, split: str = "train") -> Scene:
    """The scene of a seed: the same one each time, without drawing anything.

    Args:
        seed: A seed of the split's range, or a smaller one counted from its start.
        split: A key of ``SPLITS``.

    Raises:
        ValueError: the seed or the split is not valid.
    """
    seed = split_seed(split, seed)
    rng = np.random.default_rng(seed)
    # Drawn once, so that actions whose layouts fail more often are not rarer.
    action = ACTIONS[rng.integers(len(ACTIONS))]
    for _ in range(_ATTEMPTS):
        scene = _attempt(rng, seed, split, action)
        if scene is not None and action_fits(scene) and wrong_scene(scene) is not None:
            return scene
    raise RuntimeError(f"no scene found for seed {seed} of {split!r}")


def with_action(scene: Scene, action: str, target: int, reference: int | None = None) -> Scene:
    """The same first frame with another thing to do.

    Raises:
        ValueError: the shapes do not allow the action.
    """
    if scene.objects[target].shape not in ACTION_SHAPES[action]:
        raise ValueError(f"{action!r} cannot be done on a {scene.objects[target].shape}")
    allowed = REFERENCE_SHAPES.get(action)
    if (allowed is None) != (reference is None):
        raise ValueError(f"{action!r} needs {'no' if allowed is None else 'a'} reference object")
    other = replace(scene, action=action, target=target, reference=reference)
    if allowed and other.second.shape not in allowed:
        raise ValueError(f"{action!r} cannot use a {other.second.shape}")
    return other


def wrong_scene(scene: Scene) -> Scene | None:
    """A feasible scene with the same first frame and another instruction.

    It names another object with the same action or the opposite direction; where
    neither is possible, another action on the same object. Chosen by the seed.
    None if nothing fits, which no sampled scene allows.
    """
    preferred = list(_counterfactuals(scene))
    start = scene.seed % len(preferred) if preferred else 0
    ordered = preferred[start:] + preferred[:start] + list(_other_actions(scene))
    for candidate in ordered:
        combo = _combo(candidate)
        # Novel combinations stay out of the wrong instructions of known splits too.
        if (scene.split == "test_novel" or not is_novel(combo)) and action_fits(candidate):
            return candidate
    return None


def wrong_instruction(scene: Scene) -> str:
    """The instruction of ``wrong_scene``: plausible in this first frame, but not done."""
    other = wrong_scene(scene)
    if other is None:
        raise ValueError("this scene allows no other instruction")
    return other.instruction


def other_scenes(scene: Scene, rng: np.random.Generator, chosen: Counter[str]) -> Iterator[Scene]:
    """Feasible scenes with the same first frame and another instruction, those of the rarest action first.

    Held-out combinations are left out, as in every split but ``test_novel``.

    Args:
        scene: whose first frame it is.
        rng: draws the order within an action, and the wordings.
        chosen: how often each action was chosen; the caller counts what it takes, and so balances the actions.
    """
    candidates = [c for c in _instructions(scene) if not is_novel(_combo(c))]
    shuffled = [candidates[i] for i in rng.permutation(len(candidates))]
    while shuffled:
        candidate = min(shuffled, key=lambda c: chosen[c.action])
        shuffled.remove(candidate)
        if action_fits(candidate):
            yield replace(candidate, wording=int(rng.integers(len(TEMPLATES[candidate.action]))))


def _instructions(scene: Scene) -> Iterator[Scene]:
    """Everything else that could be said of a first frame's objects, whether there is room for it or not."""
    shapes = [spec.shape for spec in scene.objects]
    for target, spec in enumerate(scene.objects):
        for action in (name for name, allowed in ACTION_SHAPES.items() if spec.shape in allowed):
            tool = _TOOL_OF.get(action)
            if (tool and tool not in shapes) or bool(spec.lid) != (action == "close"):
                continue
            allowed = REFERENCE_SHAPES.get(action)
            places = [None] if allowed is None else [i for i, s in enumerate(shapes) if s in allowed and i != target]
            for reference in places:
                upon = None if reference is None else scene.objects[reference]
                open_case = upon is not None and action == "put_on_top" and upon.lid
                if (action, target, reference) != (scene.action, scene.target, scene.reference) and not open_case:
                    yield replace(scene, action=action, target=target, reference=reference)


def _combo(scene: Scene) -> tuple[str, str, str]:
    target = scene.objects[scene.target]
    return target.colour, target.shape, scene.action


def _counterfactuals(scene: Scene) -> Iterator[Scene]:
    """Same action on another object, another reference, or the opposite direction."""
    if scene.action in OPPOSITE:
        yield replace(scene, action=OPPOSITE[scene.action])
    now = scene.objects[scene.target]
    references = REFERENCE_SHAPES.get(scene.action)
    for index, spec in enumerate(scene.objects):
        others = (scene.target, scene.reference)
        if index not in others and spec.shape in ACTION_SHAPES[scene.action] and spec.lid == now.lid:
            yield replace(scene, target=index)
        if references and index not in others and spec.shape in references:
            yield replace(scene, reference=index)


def _other_actions(scene: Scene) -> Iterator[Scene]:
    shape = scene.objects[scene.target].shape
    for action in ("push_left", "push_right", "pull_closer", "move_away", "lift"):
        if action != scene.action and shape in ACTION_SHAPES[action]:
            yield replace(scene, action=action, reference=None)
    for index, spec in enumerate(scene.objects):
        for action in ("push_left", "pull_closer", "move_away", "lift"):
            if index != scene.target and spec.shape in ACTION_SHAPES[action]:
                yield replace(scene, action=action, target=index, reference=None)


def _attempt(rng: np.random.Generator, seed: int, split: str, action: str) -> Scene | None:
    """One try at a scene; None if the objects do not fit on the table."""
    colours = [str(c) for c in rng.permutation(list(COLOURS))]
    shapes = [str(rng.choice(ACTION_SHAPES[action]))]
    if is_novel((colours[0], shapes[0], action)) != (split == "test_novel"):
        return None
    reference = None
    if action in REFERENCE_SHAPES:
        reference = 1
        shapes.append(str(rng.choice(REFERENCE_SHAPES[action])))
    shapes += _others(rng, action, shapes[0])
    tool = _TOOL_OF.get(action)
    if tool is None and rng.random() < _STRAY_PROP_SHARE:
        tool = str(rng.choice(list(_TOOL_OF.values())))
    look = sample_look(rng)
    objects = _placed(rng, shapes + ([tool] if tool else []), colours, action, look)
    if objects is None:
        return None
    return Scene(
        seed=seed,
        split=split,
        action=action,
        target=0,
        reference=reference,
        wording=int(rng.integers(len(TEMPLATES[action]))),
        objects=objects,
        look=look,
    )


def _others(rng: np.random.Generator, action: str, shape: str) -> list[str]:
    """Shapes of the distractors: often one on which the same action is possible."""
    shapes = []
    if rng.random() < _RIVAL_SHARE:
        same = rng.random() < 0.5
        shapes.append(shape if same else str(rng.choice(ACTION_SHAPES[action])))
    least = 0 if action in REFERENCE_SHAPES or shapes else 1
    count = int(rng.integers(least, 3 - len(shapes)))
    shapes += [str(s) for s in rng.choice(SHAPES, count)]
    return shapes


def _placed(rng, shapes, colours, action, look) -> tuple[ObjectSpec, ...] | None:
    camera = camera_of(look)
    discs = list(_REST_ZONE)
    if "knife" in shapes:
        x, y = _KNIFE_PLACE
        discs += [(x, y + offset, 0.03) for offset in (-0.09, -0.03, 0.03, 0.09)]
    objects: list[ObjectSpec] = []
    for shape, colour in zip(shapes, colours, strict=False):
        lid = _lid(rng, shape, action, first=not objects)
        if shape == "knife":
            objects.append(ObjectSpec(colour, shape, *_KNIFE_PLACE))
            continue
        radius = footprint(shape)
        for _ in range(12):
            x, y = rng.uniform(-0.24, 0.24), rng.uniform(-0.17, 0.25)
            free = all(np.hypot(x - a, y - b) > radius + r + _GAP for a, b, r in discs)
            if free and _in_picture(camera, shape, x, y):
                break
        else:
            return None
        discs.append((x, y, radius))
        objects.append(ObjectSpec(colour, shape, round(x, 4), round(y, 4), lid))
    return tuple(objects)


def _lid(rng, shape: str, action: str, first: bool) -> float:
    if shape != "case":
        return 0.0
    if action in ("open", "close"):
        return LID_OPEN if action == "close" else 0.0
    # A named or stacked-upon case is shut; others are sometimes open.
    return LID_OPEN if not first and action != "put_on_top" and rng.random() < 0.15 else 0.0


def _in_picture(camera, shape: str, x: float, y: float, margin: float = 3.0) -> bool:
    half_x, half_y, height = EXTENTS[shape]
    corners = np.array([[x + a * half_x, y + b * half_y, c * height] for a in (-1, 1) for b in (-1, 1) for c in (0, 1)])
    pixels = camera.project(corners)
    return bool(pixels.min() > margin and pixels.max() < SIZE - margin)
