"""Wrong instructions: never a clip's own, as often as before, alike for one seed; the world's where it knows them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from showme.data.media import Rendered
from showme.data.sources import Record
from showme.errors import InputError
from showme.evaluation.study.instructions import wrongly_asked
from showme.worlds.tabletop import sample_scene, wrong_instruction


def records(sentences: list[str]) -> list[Record]:
    return [Record(str(n), Rendered(Path(f"{n}.safetensors")), text) for n, text in enumerate(sentences)]


def test_no_clip_keeps_its_own_and_every_sentence_comes_as_often():
    rng = np.random.default_rng(0)
    for case in range(200):
        # Some sentences come often, up to half of all.
        share = rng.integers(1, 8)
        sentences = [f"push box {n % share}" for n in range(int(share) * int(rng.integers(1, 6)))] + ["lift", "pull"]
        if 2 * max(Counter(sentences).values()) > len(sentences):
            continue
        rng.shuffle(sentences)
        given = records(sentences)
        wrong = wrongly_asked(given, seed=case)
        assert all(a.instruction != b.instruction for a, b in zip(given, wrong, strict=True))
        assert Counter(r.instruction for r in wrong) == Counter(sentences)
        assert [(r.id, r.media) for r in wrong] == [(r.id, r.media) for r in given]
        assert wrong == wrongly_asked(given, seed=case)


def test_seeds_exchange_differently():
    given = records([f"push box {n}" for n in range(12)])
    exchanged = {tuple(r.instruction for r in wrongly_asked(given, seed)) for seed in range(5)}
    assert len(exchanged) == 5


def test_sentences_that_differ_in_case_and_spaces_alone_are_one():
    wrong = wrongly_asked(records(["Push  it", "push it", "lift", "pull"]), seed=0)
    assert {r.instruction for r in wrong[:2]} == {"lift", "pull"}


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        (["push", "push", "lift"], "2 of the 3 true clips are asked 'push'.*no more than half"),
        (["push", " "], "The true clip '1' has no instruction, and a wrong one is asked for"),
    ],
)
def test_what_cannot_be_exchanged_is_refused(sentences, message):
    with pytest.raises(InputError, match=message):
        wrongly_asked(records(sentences), seed=0)


def test_the_world_knows_what_else_its_scenes_allow(tmp_path):
    scenes = [sample_scene(seed, "test") for seed in range(6)]
    given = []
    for number, scene in enumerate(scenes):
        path = tmp_path / f"{number}.safetensors"
        save_file({"frames": np.zeros((1, 8, 8, 3), np.uint8)}, path, {"scene": json.dumps(scene.to_dict())})
        given.append(Record(str(number), Rendered(path), scene.instruction))
    wrong = [r.instruction for r in wrongly_asked(given, seed=0)]
    assert wrong == [wrong_instruction(scene) for scene in scenes]
    assert all(a != b.instruction for a, b in zip(wrong, given, strict=True))
