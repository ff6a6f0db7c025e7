"""A first-person table on which a hand carries out one instruction per clip."""

from showme.worlds.tabletop.clip import Clip, render, render_scene
from showme.worlds.tabletop.layout import other_scenes, sample_scene, with_action, wrong_instruction, wrong_scene
from showme.worlds.tabletop.scene import Scene
from showme.worlds.tabletop.splits import SPLITS

__all__ = [
    "SPLITS",
    "Clip",
    "Scene",
    "other_scenes",
    "render",
    "render_scene",
    "sample_scene",
    "with_action",
    "wrong_instruction",
    "wrong_scene",
]
