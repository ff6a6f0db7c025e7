"""Instruction accuracy with classifiers whose answers are known, and the actions that sentences ask for."""

from __future__ import annotations

import pytest
import torch

from showme.errors import InputError
from showme.evaluation.metrics.base import Pairs
from showme.evaluation.metrics.instruction_accuracy import InstructionAccuracy, action_of
from showme.evaluation.networks.instruction_classifier import InstructionClassifier
from showme.worlds.tabletop.vocabulary import ACTION_SHAPES, COLOURS, REFERENCE_SHAPES, TEMPLATES, phrase


class Oracle(InstructionClassifier):
    """Sees the action whose number is the level of the first pixel."""

    def __init__(self):
        super().__init__(frames=2, widths=(8, 8, 8, 8), hidden=8)
        self.accuracy = 1.0

    def actions(self, clips):
        names = list(ACTION_SHAPES)
        return [names[int(level)] for level in (255 * clips[:, 0, 0, 0, 0]).round()]


def pairs_of(levels: list[int], instructions: list[str]) -> Pairs:
    clips = (torch.tensor(levels) / 255)[:, None, None, None, None].expand(-1, 2, 3, 4, 4)
    return Pairs(clips, torch.zeros_like(clips), instructions, [f"clip {n}" for n in range(len(levels))])


def test_every_sentence_of_the_world_asks_for_its_action():
    checked = 0
    for action, shapes in ACTION_SHAPES.items():
        for shape in shapes:
            for second in REFERENCE_SHAPES.get(action, ("box",)):
                for wording in range(len(TEMPLATES[action])):
                    for colour in COLOURS:
                        sentence = phrase(action, f"{colour} {shape}", f"white {second}", wording)
                        assert action_of(sentence) == action
                        assert action_of(f"  {sentence.capitalize()}. ") == action
                        checked += 1
    assert checked > 1000
    for other in ("", "dance", "lift the red box", "push the red box", "open the red box and close the blue box"):
        assert action_of(other) is None


def test_values_say_whether_the_action_is_the_one_asked_for():
    actions = list(ACTION_SHAPES)
    sentences = [phrase(actions[n], "red box", "blue tray", 0) for n in (0, 3, 5)]
    metric = InstructionAccuracy(Oracle())
    assert metric.score(pairs_of([0, 3, 4], sentences)).tolist() == [1.0, 1.0, 0.0]
    assert metric.fingerprint["accuracy_on_true_renders"] == 1.0
    assert len(metric.fingerprint["weights"]) == 64


def test_other_instructions_are_refused_by_the_clip_s_name():
    with pytest.raises(InputError, match=r"'knead the dough' of the clip 'clip 1'"):
        InstructionAccuracy(Oracle()).score(pairs_of([0, 1], ["lift the red box up", "knead the dough"]))


def test_merged_is_all_at_once_in_any_order():
    lift = list(ACTION_SHAPES).index("lift")
    batches = [pairs_of([n, lift], ["lift the red box up"] * 2) for n in range(lift - 2, lift + 3)]
    whole, first, second = (InstructionAccuracy(Oracle()) for _ in range(3))
    for index, batch in enumerate(batches):
        whole.update(batch)
        (first if index % 2 else second).update(batch)
    first.merge_state(second)
    assert float(first.compute()) == float(whole.compute()) == pytest.approx(0.6)
