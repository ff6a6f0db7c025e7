"""Fixtures of the world tests."""

from functools import cache

import pytest

from showme.worlds.gl import MujocoMissingError, OpenGLMissingError
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


@pytest.fixture(scope="session")
def opengl() -> None:
    """Skip where no offscreen OpenGL is installed."""
    from showme.worlds.tabletop.renderer import shared_renderer

    try:
        shared_renderer()
    except (OpenGLMissingError, MujocoMissingError) as error:
        pytest.skip(str(error))
