"""Sets of clips: every form that people keep them in, and one sentence for what cannot be a number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showme.data.media import Video
from showme.data.sources.record import Record
from showme.errors import InputError, ShowMeWarning
from showme.evaluation.clip_sets import open_clip_set, paired
from showme.generation.outputs import write_video

from .conftest import FRAMES, SIZE, moving_square, write_set


def frames_of(media) -> np.ndarray:
    with media.open() as frames:
        return np.stack(list(frames.read(range(len(frames)))))


def records(*names: str) -> dict[str, Record]:
    return {name: Record(name, Video(Path("x.mp4")), "push it") for name in names}


def test_every_form_is_read_by_its_name(tmp_path):
    clip = moving_square(1)
    write_set(tmp_path, {"arrays": clip})
    np.savez_compressed(tmp_path / "numpy.npz", frames=clip, other=np.zeros(3))
    np.savez(tmp_path / "only.npz", clip)
    (tmp_path / "pictures").mkdir()
    for number, frame in enumerate(clip):
        Image.fromarray(frame).save(tmp_path / "pictures" / f"{number}.png")
    Image.fromarray(clip[-1]).save(tmp_path / "one.png")
    images = [Image.fromarray(frame) for frame in clip]
    images[0].save(tmp_path / "moving.gif", save_all=True, append_images=images[1:], duration=125)
    write_video(images, tmp_path / "coded.mp4", 8)
    (tmp_path / ".hidden").touch()
    found = open_clip_set(tmp_path)
    assert set(found.clips) == {"arrays", "numpy", "only", "pictures", "one", "moving", "coded"}
    for name in ("arrays", "numpy", "only", "pictures"):
        assert np.array_equal(frames_of(found.clips[name]), clip)
    assert np.array_equal(frames_of(found.clips["one"]), clip[-1:])
    assert frames_of(found.clips["moving"]).shape == clip.shape
    assert len(frames_of(found.clips["coded"])) == FRAMES


def test_answers_of_generate_are_clips_with_pictures(tmp_path):
    (tmp_path / "7").mkdir()
    write_video([Image.fromarray(frame) for frame in moving_square(1)], tmp_path / "7" / "action.mp4", 8)
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "7" / "result.png")
    found = open_clip_set(tmp_path)
    assert found.clips == {"7": Video(tmp_path / "7" / "action.mp4")}
    assert found.pictures == {"7": tmp_path / "7" / "result.png"}


def test_a_list_names_clips_and_pictures(tmp_path):
    write_set(tmp_path / "clips", {"a": moving_square(1)})
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "a.png")
    rows = [{"id": "x", "file": "clips/a.safetensors", "picture": "a.png"}]
    (tmp_path / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for place in (tmp_path, tmp_path / "index.jsonl"):
        found = open_clip_set(place)
        assert list(found.clips) == ["x"]
        assert found.pictures == {"x": tmp_path / "a.png"}


def test_other_files_are_reported(tmp_path):
    write_set(tmp_path, {"a": moving_square(1)})
    (tmp_path / "notes.md").write_text("mine")
    with pytest.warns(ShowMeWarning, match=r"holds other files too, such as notes\.md: 1 were passed over"):
        assert list(open_clip_set(tmp_path).clips) == ["a"]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "holds no clips: give a folder with videos"),
        (["a.mp4", "a.gif"], r"has two clips 'a', a\.gif and a\.mp4: remove one"),
        (["run/one/a.png"], "run is a folder of other folders or clips: give the folder right above"),
        (["run/a.mp4"], "run is a folder of other folders or clips"),
        (["list.csv"], r"list\.csv is no list of clips: give a \.jsonl"),
    ],
)
def test_what_is_no_set_is_said(tmp_path, files, sentence):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    place = tmp_path / files[0] if files[:1] == ["list.csv"] else tmp_path
    with pytest.raises(InputError, match=sentence):
        open_clip_set(place)
    with pytest.raises(InputError, match=r"There is no .*nowhere"):
        open_clip_set(tmp_path / "nowhere")


def test_every_clip_without_a_partner_is_named(tmp_path):
    made = open_clip_set(write_set(tmp_path, {name: moving_square(1) for name in "abcde"}))
    assert paired(made, records(*"edcba"), records(*"edcba")) == list("edcba")
    with pytest.raises(InputError, match="has 2 clips, 'd', 'e', without a true clip: remove them"):
        paired(made, records(*"abc"), records(*"abc"))
    with pytest.raises(InputError, match="lacks 1 clip, 'f', that the reference has: generate it"):
        paired(made, records(*"abcdef"), records(*"abcdef"))
    with pytest.raises(InputError, match=r"has 1 clip, 'e', without a true clip, and lacks 1 clip, 'f', that the"):
        paired(made, records(*"abcdf"), records(*"abcdf"))
    # A protocol that takes a part of the true clips leaves generated ones of the others alone.
    assert paired(made, records(*"ac"), records(*"abcde")) == ["a", "c"]


def test_what_operating_systems_leave_is_no_clip(tmp_path):
    write_set(tmp_path, {"a": moving_square(1)})
    (tmp_path / "@eaDir" / "a.mp4").mkdir(parents=True)
    (tmp_path / "__MACOSX").mkdir()
    for name in ("._a.mp4", "Thumbs.db", "desktop.ini", "__MACOSX/._a.mp4"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    (tmp_path / "index.jsonl").unlink(missing_ok=True)
    assert set(open_clip_set(tmp_path).clips) == {"a"}
