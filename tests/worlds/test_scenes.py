"""Sampling scenes, splits and instructions: no OpenGL needed."""

import json
import subprocess
import sys
from collections import Counter
from itertools import islice, pairwise

import numpy as np
import pytest

from showme.worlds.tabletop import (
    SPLITS,
    Scene,
    other_scenes,
    sample_scene,
    with_action,
    wrong_instruction,
    wrong_scene,
)
from showme.worlds.tabletop.feasibility import action_fits
from showme.worlds.tabletop.splits import all_combos, is_novel
from showme.worlds.tabletop.vocabulary import ACTION_SHAPES, ACTIONS, OPPOSITE, all_words


def combo(scene: Scene) -> tuple[str, str, str]:
    target = scene.objects[scene.target]
    return target.colour, target.shape, scene.action


@pytest.fixture(scope="module")
def known() -> list[Scene]:
    return [sample_scene(seed, split) for split in ("train", "validation", "test") for seed in range(60)]


@pytest.fixture(scope="module")
def novel() -> list[Scene]:
    return [sample_scene(seed, "test_novel") for seed in range(40)]


def test_splits_are_disjoint_and_seeds_count_from_their_start():
    ranges = sorted(SPLITS.values(), key=lambda owned: owned.start)
    assert all(a.stop <= b.start for a, b in pairwise(ranges))
    assert sample_scene(5, "test") == sample_scene(SPLITS["test"].start + 5, "test")
    with pytest.raises(ValueError, match="another split"):
        sample_scene(SPLITS["test"].start, "train")
    with pytest.raises(ValueError, match="unknown split"):
        sample_scene(0, "nowhere")


def test_about_a_tenth_of_the_combinations_is_held_out():
    share = sum(map(is_novel, all_combos())) / len(all_combos())
    assert 0.06 < share < 0.14
    assert {action for _, _, action in filter(is_novel, all_combos())} == set(ACTIONS)


def test_held_out_combinations_occur_in_test_novel_only(known, novel):
    assert not any(is_novel(combo(scene)) for scene in known)
    assert all(is_novel(combo(scene)) for scene in novel)


def test_every_action_is_drawn_and_every_word_is_listed(known, novel):
    assert {scene.action for scene in known} == set(ACTIONS)
    words = set(all_words())
    for scene in known + novel:
        assert set(scene.instruction.split()) <= words
        assert set(wrong_instruction(scene).split()) <= words


def test_names_in_a_scene_are_unambiguous_and_there_are_distractors(known):
    for scene in known:
        names = [spec.name for spec in scene.objects]
        assert len(set(names)) == len(names)
        assert len(names) >= 2


def test_about_half_of_the_scenes_hold_another_object_for_the_action(known):
    def has_rival(scene: Scene) -> bool:
        others = [s for i, s in enumerate(scene.objects) if i not in (scene.target, scene.reference)]
        return any(spec.shape in ACTION_SHAPES[scene.action] for spec in others)

    assert 0.4 < sum(map(has_rival, known)) / len(known) < 0.85


def test_a_wrong_instruction_shares_the_first_frame_and_says_something_else(known):
    for scene in known:
        other = wrong_scene(scene)
        assert other.instruction == wrong_instruction(scene) != scene.instruction
        assert (other.objects, other.look) == (scene.objects, scene.look)
        assert not is_novel(combo(other))
        changed = (other.target, other.reference) != (scene.target, scene.reference)
        assert changed or other.action != scene.action


def test_wrong_instructions_mostly_keep_the_action_or_turn_it_round(known):
    def close(scene: Scene) -> bool:
        return wrong_scene(scene).action in (scene.action, OPPOSITE.get(scene.action))

    assert sum(map(close, known)) / len(known) > 0.4


def test_with_action_refuses_what_cannot_be_done(known):
    scene = next(s for s in known if s.objects[s.target].shape == "ball")
    with pytest.raises(ValueError, match="cannot be done"):
        with_action(scene, "cut", scene.target)
    with pytest.raises(ValueError, match="reference"):
        with_action(scene, "put_next_to", scene.target)


def test_scenes_survive_json(known):
    for scene in known[:20]:
        assert Scene.from_dict(json.loads(json.dumps(scene.to_dict()))) == scene


def test_importing_and_sampling_does_not_load_mujoco():
    code = (
        "import sys; from showme.worlds.tabletop import sample_scene; sample_scene(1);sys.exit('mujoco' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_other_scenes_share_the_first_frame_and_say_something_else(known):
    counts: Counter[str] = Counter()
    for scene in known[:12]:
        rng = np.random.default_rng(scene.seed)
        others = list(islice(other_scenes(scene, rng, counts), 3))
        counts.update(other.action for other in others)
        assert all((other.objects, other.look) == (scene.objects, scene.look) for other in others)
        said = [(each.action, each.target, each.reference) for each in (scene, *others)]
        assert len(set(said)) == len(said)
        assert not any(is_novel(combo(other)) for other in others)
        assert all(action_fits(other) for other in others)
    assert len(counts) >= 9, "rare actions come first"
    assert max(counts.values()) <= 6


def test_cases_are_closed_only_where_they_are_open(known):
    for scene in known:
        for other in other_scenes(scene, np.random.default_rng(0), Counter()):
            assert (other.objects[other.target].lid > 0) == (other.action == "close")
            tools = [spec.shape for spec in scene.objects]
            assert {"cut": "knife", "cover": "cloth"}.get(other.action, tools[0]) in tools
