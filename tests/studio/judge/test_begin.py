"""Beginning a study: what is asked, and that nothing stays of one that cannot be."""

from __future__ import annotations

import json

import pytest

from showme.errors import InputError, ShowMeWarning
from showme.judging import Question
from showme.studio.judge.begin import StudyRequest, begin_study
from showme.studio.judge.clips import CLIPS

from .conftest import write_candidates, write_instructions


def test_a_study_goes_on_with_the_same_request(tmp_path):
    request = StudyRequest(write_candidates(tmp_path, count=2), instructions=write_instructions(tmp_path, 2))
    study = begin_study(tmp_path / "out", request)
    assert len(list((tmp_path / "out" / CLIPS).iterdir())) == 4
    assert begin_study(tmp_path / "out", request) == study
    assert study.instructions["clip 0"] == "push the box 0"
    assert [question.key for question in study.questions] == ["quality", "instruction", "consistency"]
    with pytest.raises(InputError, match="holds another study"):
        begin_study(tmp_path / "out", StudyRequest(request.places, title="Another", instructions=request.instructions))
    # What was there stays.
    assert begin_study(tmp_path / "out", request) == study


def test_without_instructions_nobody_is_asked_what_follows_them(tmp_path):
    with pytest.warns(ShowMeWarning, match="No instructions are known"):
        study = begin_study(tmp_path / "out", StudyRequest(write_candidates(tmp_path, count=2)))
    assert [question.key for question in study.questions] == ["quality", "consistency"]


def test_instructions_lie_beside_the_clips(tmp_path):
    places = write_candidates(tmp_path, count=2)
    rows = [{"id": f"clip {n}", "file": f"clip {n}.safetensors", "instruction": f"push {n}"} for n in range(2)]
    (places[1] / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    study = begin_study(tmp_path / "out", StudyRequest(places))
    assert study.instructions == {"clip 0": "push 0", "clip 1": "push 1"}
    rows[0]["instruction"] = "pull 0"
    (places[0] / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match="another instruction for 'clip 0' than a folder before it"):
        begin_study(tmp_path / "other", StudyRequest(places))
    study = begin_study(tmp_path / "third", StudyRequest(places, instructions=places[1] / "index.jsonl"))
    assert study.instructions["clip 0"] == "push 0"


def test_folders_of_generate_say_what_was_asked_for(tmp_path):
    from PIL import Image

    from showme.generation.outputs import write_video
    from tests.studio.judge.conftest import clip

    for name in "ab":
        for number in range(2):
            folder = tmp_path / name / str(number)
            folder.mkdir(parents=True)
            write_video([Image.fromarray(frame) for frame in clip(100)], folder / "action.mp4", 8)
            (folder / "run.json").write_text(json.dumps({"settings": {"instruction": f"lift {number}"}}))
    study = begin_study(tmp_path / "out", StudyRequest([tmp_path / "a", tmp_path / "b"]))
    assert study.instructions == {"0": "lift 0", "1": "lift 1"}


def test_instructions_of_some_clips_are_refused_unless_nobody_is_asked(tmp_path):
    places, some = write_candidates(tmp_path, count=3), write_instructions(tmp_path, 2)
    with pytest.raises(InputError, match=r"1 of 3 clips have no instruction \('clip 2' first\): give all of them"):
        begin_study(tmp_path / "out", StudyRequest(places, instructions=some))
    own = (Question(key="motion", text="Which moves more naturally?"),)
    study = begin_study(tmp_path / "out", StudyRequest(places, instructions=some, questions=own))
    assert study.questions == own


def test_a_list_with_two_instructions_for_one_clip_is_refused(tmp_path):
    places, file = write_candidates(tmp_path, count=2), write_instructions(tmp_path, 2)
    file.write_text(file.read_text() + json.dumps({"id": "clip 1", "instruction": "other"}))
    with pytest.raises(InputError, match=r"line 3: the id 'clip 1' was given before with another instruction"):
        begin_study(tmp_path / "out", StudyRequest(places, instructions=file))


@pytest.mark.filterwarnings("ignore:No instructions")
def test_nothing_stays_of_a_study_that_cannot_be(tmp_path):
    places = write_candidates(tmp_path, count=3)
    (places[1] / "clip 2.safetensors").write_bytes(b"junk")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    (tmp_path / "mine" / "clips").mkdir()
    (tmp_path / "mine" / "clips" / "my own.mp4").touch()
    for name in ("out", "mine"):
        with pytest.raises(InputError, match="cannot be read as a clip"):
            begin_study(tmp_path / name, StudyRequest(places))
    assert not (tmp_path / "out").exists()
    assert {path.name for path in (tmp_path / "mine").rglob("*")} == {"notes.txt", "clips", "my own.mp4"}
    with pytest.raises(InputError, match=r"notes.txt cannot be written to \(Not a directory|cannot be written"):
        begin_study(tmp_path / "mine" / "notes.txt", StudyRequest(places[:1] * 2, names=["x", "y"]))


def test_names_are_text_wherever_they_point(tmp_path):
    places = write_candidates(tmp_path, count=2)
    request = StudyRequest(places, names=["../../up", "<b>=1+1</b>"], instructions=write_instructions(tmp_path, 2))
    study = begin_study(tmp_path / "out", request)
    assert [each.name for each in study.candidates] == ["../../up", "<b>=1+1</b>"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "instructions.jsonl", "out"]


def test_a_study_within_its_own_clips_is_refused(tmp_path):
    places = write_candidates(tmp_path, count=2)
    for folder in (places[0], places[1] / "study"):
        with pytest.raises(InputError, match="whose clips are compared: choose a folder of its own"):
            begin_study(folder, StudyRequest(places))
    assert not (places[1] / "study").exists()
