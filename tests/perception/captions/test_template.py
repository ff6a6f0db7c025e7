"""The tabletop's own words: every instruction of the world, and that they are true of what its scripts play."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from showme.errors import InputError
from showme.perception import captioner
from showme.perception.captions import ENRICHMENT, STATES, AnswerStore, Prompt, ask
from showme.perception.captions.answers import parse_enrichment, parse_states
from showme.perception.captions.template import tabletop_enrichment, tabletop_states
from showme.worlds.tabletop.actions import ACTED, FETCHED, REACHED, plan
from showme.worlds.tabletop.layout import sample_scene
from showme.worlds.tabletop.objects import EXTENTS, LID_OPEN
from showme.worlds.tabletop.vocabulary import ACTION_SHAPES, ACTIONS, REFERENCE_SHAPES, TEMPLATES, phrase

_PICTURE = Image.new("RGB", (2, 2))


def _instructions(action: str):
    """Every wording with every shape, and two colours."""
    for shape in ACTION_SHAPES[action]:
        for other in REFERENCE_SHAPES.get(action, (None,)):
            for wording in range(len(TEMPLATES[action])):
                yield phrase(action, f"red {shape}", other and f"turquoise {other}", wording)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_instruction_of_the_world_has_captions(action, tmp_path):
    model, store = captioner("tabletop"), AnswerStore(tmp_path)
    for instruction in _instructions(action):
        states = ask(model, STATES, _PICTURE, instruction, store)
        assert states == tabletop_states(instruction)
        assert len(set(states)) == 4
        assert all(state[0].isupper() and state.endswith(".") for state in states)
        named = [word for word in instruction.split() if word in ("red", "turquoise")]
        assert all(colour in " ".join(states) for colour in named)
        prose = ask(model, ENRICHMENT, _PICTURE, instruction, store)
        assert prose == tabletop_enrichment(instruction)
        assert prose.startswith("The person ")
        assert prose.endswith(".")
        assert all(colour in prose for colour in named)
        assert not set("{}") & set(prose + "".join(states))


def test_wordings_of_one_action_say_the_same():
    assert tabletop_states("cover the red box with the cloth") == tabletop_states("cover the red box")
    assert tabletop_states("  Lift  the RED box up. ") == tabletop_states("lift up the red box")


def test_the_four_states_in_full():
    assert tabletop_states("push the orange case left") == (
        "The orange case stands on the table.",
        "The hand touches the right side of the orange case.",
        "The hand pushes the orange case to the left.",
        "The orange case stands further to the left.",
    )
    assert tabletop_states("put the red ball into the green bowl") == (
        "The red ball and the green bowl are both on the table.",
        "The hand takes hold of the red ball.",
        "The hand carries the red ball over to the green bowl and lowers it.",
        "The red ball lies in the green bowl.",
    )


@pytest.mark.parametrize(
    "instruction",
    [
        "",
        "open the drawer",
        "cut the red ball into pieces",
        "push the red box to the left and lift it",
        "put the red box into the blue mug",
        "put the red box on top of the red box",
        "push the crimson box to the left",
        "push the red box",
        "tearing paper into two pieces",
        "x" * 10_000,
    ],
)
def test_other_instructions_are_refused(instruction):
    with pytest.raises(InputError, match="is not an instruction of the tabletop world") as caught:
        captioner("tabletop").answer(_PICTURE, STATES, instruction)
    assert len(str(caught.value)) < 300


def test_other_prompts_are_refused():
    with pytest.raises(InputError, match="answers states and enrichment, not colours"):
        captioner("tabletop").answer(_PICTURE, Prompt("colours", "[instruction]?", str), "lift the red box up")


@pytest.mark.parametrize("name", ["", "tabletop:", "tabletop:x", "transformers", "transformers:", "server:", "gpt"])
def test_other_captioners_are_refused(name):
    with pytest.raises(InputError, match="choose tabletop, transformers:MODEL or server:ADDRESS#MODEL"):
        captioner(name)


def _scripts(count: int = 2):
    """Scenes of every action, sampled as clips are, with their scripts."""
    seen = dict.fromkeys(ACTIONS, 0)
    for seed in range(400):
        scene = sample_scene(seed)
        if seen[scene.action] < count:
            seen[scene.action] += 1
            yield scene, plan(scene)
        if min(seen.values()) == count:
            return


# What the last state must say, so that no check below is passed over.
_OUTCOMES = {
    "push_left": "further to the left",
    "push_right": "further to the right",
    "pull_closer": "closer to the viewer",
    "move_away": "further away",
    "lift": "above the table",
    "put_next_to": "just to the right of",
    "put_on_top": "on top of",
    "put_into": "in the",
    "turn_over": "upside down",
    "open": "lid open",
    "close": "lid shut",
    "cut": "in four pieces",
    "cover": "draped",
}


def _before_and_after(script, index):
    return script.objects(0.0)[index], script.objects(15.0)[index]


def test_the_captions_are_true_of_the_scripts():
    """Where things are in the first frame, at the reach and in the last, as the sentences have it."""
    checked = set()
    for scene, script in _scripts():
        target = scene.objects[scene.target]
        before, after = _before_and_after(script, scene.target)
        moved = after.pose.position - before.pose.position
        hand = script.hand(REACHED).pose.position - before.centre(target.shape)
        states = tabletop_states(scene.instruction)
        checked.add(scene.action)
        assert target.name in states[0]
        assert _OUTCOMES[scene.action] in states[3]
        if "further to the left" in states[3]:
            assert moved[0] < -0.05
            assert "right side" in states[1]
            assert hand[0] > 0
        if "further to the right" in states[3]:
            assert moved[0] > 0.05
            assert "left side" in states[1]
            assert hand[0] < 0
        if "closer to the viewer" in states[3]:
            assert moved[1] < -0.05
        if "further away" in states[3]:
            assert moved[1] > 0.05
            assert "near side" in states[1]
            assert hand[1] < 0
        if "above the table" in states[3]:
            np.testing.assert_allclose(moved[:2], 0, atol=1e-9)
            assert moved[2] > 0.05
        if scene.reference is not None:
            other = scene.second
            offset = after.pose.position - np.array([other.x, other.y, 0.0])
            beside = offset[0] > EXTENTS[other.shape][0]
            assert ("just to the right of" in states[3]) == beside
            if "on top of" in states[3]:
                assert offset[2] == pytest.approx(EXTENTS[other.shape][2])
            if f"in the {other.name}" in states[3]:
                assert 0 < offset[2] < EXTENTS[other.shape][2]
        upright = (before.pose.rotation[2, 2], after.pose.rotation[2, 2])
        assert upright == pytest.approx((1, -1 if "upside down" in states[3] else 1))
        assert ("lid open" in states[0]) == (scene.action == "close")
        lids = {"open": (0.0, LID_OPEN), "close": (LID_OPEN, 0.0)}.get(scene.action)
        assert lids is None or (before.lid, after.lid) == pytest.approx(lids)
        if "in four pieces" in states[3]:
            assert before.slices == (0.0,) * 4
            assert after.slices == pytest.approx((1.0,) * 4)
            knife = next(index for index, spec in enumerate(scene.objects) if spec.shape == "knife")
            assert script.objects(6.8)[knife].pose.position[2] > EXTENTS["loaf"][2]
        if "draped" in states[3]:
            cloth = next(index for index, spec in enumerate(scene.objects) if spec.shape == "cloth")
            folded, draped = _before_and_after(script, cloth)
            assert (folded.drape, draped.drape) == pytest.approx((0, 1))
            np.testing.assert_allclose(draped.pose.position[:2], [target.x, target.y], atol=1e-9)
            assert script.reached == FETCHED < ACTED
    assert checked == set(ACTIONS)


def test_the_parsers_take_what_the_template_says():
    raw = captioner("tabletop").answer(_PICTURE, STATES, "open the pink case")
    assert parse_states(raw) == tabletop_states("open the pink case")
    assert raw.startswith("1. The pink case")
    assert parse_enrichment(tabletop_enrichment("open the pink case")).startswith("The person puts a fingertip")
