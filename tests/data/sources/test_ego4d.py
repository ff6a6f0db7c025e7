"""Ego4D's fho_main.json and LEGO's pairs of pictures.

The schemas are the published ones: that of fho_main.json on ego4d-data.org (``videos`` of ``annotated_intervals`` of
``narrated_actions``, the uid after them), and ``{clip: {action: {image_0, image_1, action, ...}}}`` of LEGO's release.
"""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from showme.data.clips import Look, read_clip
from showme.data.sources import ego4d as module
from showme.data.sources import open_source
from showme.data.sources.ego4d import Ego4dSource, LegoSource, instruction_of, read_videos
from showme.errors import ClipError, InputError

from ..media.videos import HEIGHT, WIDTH, decode_all, picture, write_clip

UID = "02ae39e3-8b7b-4a35-a5a1-7ffc9d5fc3e4"
FRAMES = {"pre_45": 0, "pre_30": 5, "pre_15": 20, "pre_frame": 35, "contact_frame": None, "pnr_frame": 47,
          "post_frame": 60}  # fmt: skip


def action(**fields) -> dict:
    return {
        "warnings": [],
        "uid": "a1",
        "start_sec": 0.5,
        "end_sec": 2.5,
        "start_frame": 15,
        "end_frame": 75,
        "is_valid_action": True,
        "is_partial": False,
        "clip_start_sec": 9.5,
        "clip_end_sec": 17.5,
        "narration_timestamp_sec": 1.2,
        "narration_text": "#C C Picks up  the jar",
        "structured_verb": "take",
        "critical_frames": FRAMES,
        "clip_critical_frames": dict.fromkeys(FRAMES, 300),
        "frames": [{"frame_type": "pnr_frame", "boxes": [{"object_type": "left_hand", "bbox": {"x": 1.5}}]}],
        "is_rejected": False,
        "is_invalid_annotation": False,
        "reject_reason": None,
        "stage": "complete",
        **fields,
    }


def fho(*actions, **fields) -> dict:
    interval = {"clip_id": "1", "clip_uid": "c1", "start_sec": 0.0, "end_sec": 300.0, "narrated_actions": list(actions)}
    video = {"annotated_intervals": [interval], "video_metadata": {"fps": 30.0, "num_frames": 90}, "video_uid": UID}
    return {"version": "v2", "date": "220101", "metadata": "", "videos": [{**video, **fields}]}


def write(folder: Path, value, name: str = "fho_main.json") -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def source(path: Path, **fields) -> Ego4dSource:
    return Ego4dSource(kind="ego4d", annotations=path, videos=path.parent, **fields)


def lego(path: Path, **fields) -> LegoSource:
    return LegoSource(kind="lego", annotations=path, **fields)


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_clip(tmp_path_factory.mktemp("ego4d") / f"{UID}.mp4", 90, fps=30)


def test_actions_of_full_length_videos(tmp_path, video):
    annotations = write(tmp_path, fho(action(), action(uid=None, narration_text="#c c puts the Jar on the table.")))
    first, second = open_source("ego4d", [f"annotations={annotations}", f"videos={video.parent}"]).records()
    assert (first.id, first.instruction, first.media.path) == ("a1", "picks up the jar", video)
    assert (second.id, second.instruction) == (f"{UID}/1/2", "puts the jar on the table.")
    assert second.origin == f"{annotations}, video 1, interval 1, action 2"
    clip = read_clip(first, Look(height=HEIGHT, width=WIDTH, frames=60))
    assert np.array_equal(clip.frames, decode_all(video)[15:75])


def test_critical_frames_are_cut_out_exactly(tmp_path, video):
    path = write(tmp_path, fho(action()))
    (record,) = Ego4dSource(kind="ego4d", annotations=path, videos=video.parent, span="pre_15_to_pnr").records()
    clip = read_clip(record, Look(height=HEIGHT, width=WIDTH, frames=28))
    assert np.array_equal(clip.frames, decode_all(video)[20:48])
    slower = write(tmp_path, fho(action(), video_metadata={"fps": 15.0}))
    (record,) = source(slower, span="pre_15_to_pnr").read()
    assert (record.span.start, record.span.stop) == pytest.approx((19.5 / 15, 47.5 / 15))


def test_a_span_past_the_end_is_reported(tmp_path, video):
    path = write(tmp_path, fho(action(end_sec=3.5)))
    (record,) = Ego4dSource(kind="ego4d", annotations=path, videos=video.parent).records()
    with pytest.raises(ClipError, match=r"the span 0\.5 to 3\.5 seconds reaches past the end, which has 90 frames"):
        record.media.open(record.span)


def test_what_is_no_action_to_learn_from_is_left_out_and_counted(tmp_path):
    path = write(tmp_path, fho(
        action(),
        action(is_rejected=True),
        action(is_invalid_annotation=True),
        action(is_valid_action=False, critical_frames=None),
        action(narration_text="#C C picks a #Unsure from the shelf"),
        action(narration_text="#unsure"),
        action(narration_text="#O A man lifts the jar"),
        action(narration_text="The man lifts the jar"),
        action(narration_text="#C C "),
        action(uid="a2", critical_frames=None),
        action(uid="a3", critical_frames={**FRAMES, "pnr_frame": None}),
    ))  # fmt: skip
    counts = r"2 rejected by the annotators, 1 no valid action, 2 with #unsure, 2 not of the camera wearer \(#C\), "
    with pytest.warns(UserWarning, match=f"8 actions were left out: {counts}1 without words"):
        assert [record.id for record in source(path).read()] == ["a1", "a2", "a3"]
    with pytest.warns(UserWarning, match="10 actions were left out: .* 2 without critical frames"):
        assert [record.id for record in source(path, span="pre_15_to_pnr").read()] == ["a1"]


@pytest.mark.parametrize(
    ("narration", "instruction"),
    [
        ("#C C picks up the jar", "picks up the jar"),
        ("#c c Picks\tup  the jar ", "picks up the jar"),
        ("#C picks up the jar", "picks up the jar"),
        ("# C C cuts carrots", "cuts carrots"),
        ("#C cuts carrots", "cuts carrots"),
        ("Open Drawer", "open drawer"),
        ("#C C gives #C the jar", "gives #c the jar"),
    ],
)
def test_narrations_lose_the_mark_of_the_camera_wearer(narration, instruction):
    assert instruction_of(narration) == instruction


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (fho(action(start_sec=3)), r"video 1, interval 1, action 1: it ends \(2\.5 s\) before it begins \(3 s\)"),
        (fho(action(end_sec=None)), "action 1: the field 'end_sec' is missing or empty"),
        (fho(action(start_sec="soon")), "action 1: the field 'start_sec' is 'soon', no number"),
        (fho(action(narration_text=None)), "action 1: the field 'narration_text' is missing or empty"),
        (fho(action(), video_uid="../a"), r"video 1: the file '\.\./a\.mp4' does not lie in"),
        (fho(action(), video_uid=None), "video 1: the field 'video_uid' is missing"),
        (fho(action(), video_metadata={"fps": 0}), "video 1: the field 'fps' is not above 0"),
        (fho(action(), annotated_intervals=None), "video 1: the field 'annotated_intervals' is no list of objects"),
        (fho(3), "interval 1: the field 'narrated_actions' is no list of objects"),
        (fho(action()), r"action 1: there is no .*mp4: fetch it, or leave the clip out"),
        ({"videos": {}}, "has no list 'videos'"),
        ({"clips": []}, "has no list 'videos'"),
        ([{"videos": []}], "has no list 'videos'"),
        ('{"videos": [' + '{"fps":' * 29 + '{"a": 1, "b": 2' + "}" * 30 + "]}", "video 1: the field 'video_uid' is"),
        ({"videos": [7]}, "an entry of 'videos' is no object"),
        ('{"videos": [{"video_uid": "a", ', "is not JSON"),
        ("", "is not JSON"),
        ('{"videos": [{"fps": 1e999}]}', "is not JSON"),
        ('{"videos": [{"uid": 99999999999999999999}]}', "is not JSON"),
    ],
)
def test_faults_are_reported_with_file_and_row(tmp_path, value, sentence):
    path = write(tmp_path, value)
    with pytest.raises(InputError, match=sentence) as caught:
        source(path).records()
    assert str(path) in str(caught.value)


def test_critical_frames_in_the_wrong_order(tmp_path):
    path = write(tmp_path, fho(action(critical_frames={**FRAMES, "pnr_frame": 10})))
    with pytest.raises(InputError, match="action 1: pnr_frame 10 comes before pre_15 20: correct it"):
        source(path, span="pre_15_to_pnr").records()


def test_an_id_twice_is_refused(tmp_path, video):
    path = write(tmp_path, fho(action(), action()))
    with pytest.raises(InputError, match="interval 1, action 2: the id 'a1' was given before"):
        Ego4dSource(kind="ego4d", annotations=path, videos=video.parent).records()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"videos": [' + "[" * 10**6, "is nested deeper than 32"),
        ('{"videos": [{"frames": ' + '{"a":' * 10**6, "is nested deeper than 32"),
        ("[" * 10**6, "is nested deeper than 32"),
        ('{"videos": [{"video_uid": "' + "a" * 2**22, "has an entry that never ends"),
        ('{"videos": [' + " " * 2**22, "has an entry that never ends"),
        ('{"videos": [{"annotated_intervals": [' + "0," * 10**6, "has a video of more than 100000 actions"),
    ],
    ids=["arrays", "unread", "outside", "string", "blanks", "list"],
)
def test_bombs_end_at_once_and_in_little_memory(tmp_path, text, sentence):
    path = write(tmp_path, text)
    del text
    tracemalloc.start()
    start = time.monotonic()
    try:
        with pytest.raises(InputError, match=sentence):
            list(read_videos(path))
        assert time.monotonic() - start < 5
        assert tracemalloc.get_traced_memory()[1] < 48 * 2**20
    finally:
        tracemalloc.stop()


def test_annotations_of_one_video_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MAX_VIDEO", 2**18)
    path = write(tmp_path, fho(*[action(narration_text="a" * 1000) for _ in range(300)]))
    with pytest.raises(InputError, match="has an entry that never ends"):
        list(read_videos(path))
    many = fho()
    many["videos"] = [fho(action())["videos"][0] for _ in range(300)]
    assert len(list(read_videos(write(tmp_path, many)))) == 300


def test_one_video_at_a_time_is_in_memory(tmp_path):
    value = fho()
    value["videos"] = [fho(*[action() for _ in range(20)])["videos"][0] for _ in range(300)]
    path = write(tmp_path, value)
    assert path.stat().st_size > 2**22
    del value
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_videos(path)) == 300
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


def test_a_byte_order_mark_and_fields_of_later_releases_are_no_hindrance(tmp_path):
    value = {"later": {"videos": [1, [2]]}, **fho(action(later=[{"a": [{}]}]))}
    path = tmp_path / "fho_main.json"
    path.write_text(json.dumps(value, indent=2), encoding="utf-8-sig")
    (record,) = source(path).read()
    assert record.instruction == "picks up the jar"


def pair(first: str = "frame_0000020.jpg", last: str = "frame_0000047.jpg", clip: str = UID, **fields) -> dict:
    names = {"image_0": f"{clip}/7/{first}", "image_1": f"{clip}/7/{last}"}
    texts = {"action": "#C C Picks up  the jar", "llava_forecast_finetune": "The\nhand."}
    return {clip: {"7": {**names, **texts, **fields}}}


def test_pairs_of_pictures(tmp_path):
    images = tmp_path / "EgoGen" / "ego4d.fho" / "val"
    (images / UID / "7").mkdir(parents=True)
    for number in (20, 33, 47):
        Image.fromarray(picture(number)).save(images / UID / "7" / f"frame_{number:07d}.jpg", quality=95)
    annotations = write(tmp_path, pair(), "ego4d_val.json")
    (record,) = open_source("lego", [f"annotations={annotations}", f"images={images}"]).records()
    assert (record.id, record.instruction, record.split) == (f"{UID}/7", "picks up the jar", "validation")
    truth = [np.asarray(Image.open(images / UID / "7" / f"frame_{number:07d}.jpg")) for number in (20, 47)]
    clip = read_clip(record, Look(height=HEIGHT, width=WIDTH, frames=2))
    assert np.array_equal(clip.frames, truth)
    (described,) = lego(annotations, images=images, text="llava_forecast_finetune").records()
    assert described.instruction == "The hand."
    bare = write(tmp_path, pair(image_0="frame_0000020.jpg", image_1="frame_0000047.jpg"), "ego4d_train.json")
    (same,) = lego(bare, images=images).records()
    assert same.media == record.media
    before = record.media.identity()
    Image.fromarray(picture(48)).save(images / UID / "7" / "frame_0000047.jpg", quality=95)
    assert record.media.identity() != before
    (images / UID / "7" / "frame_0000047.jpg").unlink()
    for look in (record.media.identity, record.media.open):
        with pytest.raises(ClipError, match=r"frame_0000047\.jpg cannot be read as a clip \(there is no such file\)"):
            look()


def test_what_lies_between_the_pictures(tmp_path, video):
    path = write(tmp_path, pair(), "ego4d_train.json")
    (record,) = lego(path, videos=video.parent).records()
    clip = read_clip(record, Look(height=HEIGHT, width=WIDTH, frames=28))
    assert np.array_equal(clip.frames, decode_all(video)[20:48])
    assert record.split == "train"


def test_epic_kitchens_in_the_same_layout(tmp_path, video):
    (tmp_path / "P01" / "videos").mkdir(parents=True)
    (tmp_path / "P01" / "videos" / "P01_01.MP4").write_bytes(video.read_bytes())
    path = write(tmp_path, pair(clip="P01_01", action="Open Drawer"), "epickitchen_train.json")
    (record,) = lego(path, dataset="epickitchen", videos=tmp_path).records()
    assert (record.instruction, record.licence) == ("open drawer", "CC BY-NC 4.0 (EPIC-KITCHENS-100)")
    clip = read_clip(record, Look(height=HEIGHT, width=WIDTH, frames=28))
    assert np.array_equal(clip.frames, decode_all(video)[20:48])
    (record,) = lego(path, dataset="epickitchen", videos=tmp_path, fps=60).read()
    assert (record.span.unit, record.span.start) == ("seconds", 19.5 / 60)


def test_pairs_with_unsure_are_counted(tmp_path):
    unsure, other = pair(clip="b", action="#C C lifts #unsure"), pair(clip="c", action="#O lifts")
    path = write(tmp_path, {**pair(), **unsure, **other})
    with pytest.warns(UserWarning, match=r"2 actions were left out: 1 with #unsure, 1 not of the camera wearer"):
        assert len(list(lego(path, images=tmp_path).read())) == 1


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([], "is no table of clips"),
        ({UID: []}, f"clip {UID}: it is no table of actions"),
        ({UID: {"7": 3}}, f"clip {UID}, action 7: no JSON object"),
        (pair(image_1=None), "action 7: the field 'image_1' is missing or empty"),
        (pair(action=None), "action 7: the field 'action' is missing or empty"),
        (pair(first="frame_50.jpg"), r"action 7: image_1 \(47\) comes before image_0 \(50\)"),
        (pair(first="frame.jpg"), r"action 7: the picture '.*/frame\.jpg' has no frame number in its name"),
        (pair(first="9" * 5000 + ".jpg"), "action 7: the picture .* has no frame number in its name"),
        (pair(clip="../x"), r"action 7: the file '\.\./x\.mp4' does not lie in"),
        (pair(), r"action 7: there is no .*\.mp4: fetch it"),
    ],
)
def test_faults_of_pairs_are_reported_with_clip_and_action(tmp_path, value, sentence):
    path = write(tmp_path, value)
    with pytest.raises(InputError, match=sentence) as caught:
        lego(path, videos=tmp_path).records()
    assert str(path) in str(caught.value)


def test_places_of_pairs(tmp_path):
    path = write(tmp_path, pair(image_1="/etc/passwd"))
    with pytest.raises(ValidationError, match="give images or videos, one of them"):
        lego(path)
    with pytest.raises(InputError, match="action 7: the file '/etc/passwd' does not lie in"):
        lego(path, images=tmp_path).records()
    with pytest.raises(InputError, match=r"There is no folder .*none: give the one of the images"):
        lego(path, images=tmp_path / "none").records()
