"""Scenes and clips that several world tests look at, drawn once."""

from functools import cache

from showme.worlds.tabletop import Clip, Scene, render_scene, sample_scene
from showme.worlds.tabletop.vocabulary import ACTIONS


@cache
def scenes_by_action() -> dict[str, Scene]:
    """The first test scene of each action."""
    found: dict[str, Scene] = {}
    seed = 0
    while len(found) < len(ACTIONS):
        scene = sample_scene(seed, "test")
        found.setdefault(scene.action, scene)
        seed += 1
    return found


@cache
def drawn(action: str) -> Clip:
    """The labelled clip of ``scenes_by_action()[action]``."""
    return render_scene(scenes_by_action()[action])
