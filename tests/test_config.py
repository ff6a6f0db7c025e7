"""Settings: what a file says, what the line changes, and one sentence for everything wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from showme.config import dump_config, load_config
from showme.data.sources import open_source
from showme.errors import InputError
from showme.evaluation.study import StudyConfig
from showme.methods.recipes import load_recipe
from showme.methods.showme.config import ShowMeConfig
from showme.preparation.config import CurateConfig

CONFIGS = Path(__file__).parents[1] / "configs"
LEAST = """
stage: state_image
out: run
data: {source: clips}
training: {steps: 10}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(LEAST)
    return path


def test_the_defaults_are_the_papers(file):
    config = load_config(file, ShowMeConfig)
    assert (config.rank, config.feed_forward_rank, config.adapter.projector_rank) == (128, 128, 128)
    assert (config.dropout.text, config.dropout.image, config.dropout.both) == (0.05, 0.05, 0.05)
    optimizer = config.training.optimizer
    assert (optimizer.name, optimizer.learning_rate, optimizer.clip_norm) == ("adamw", 1e-4, 0.5)
    assert (config.training.batch_size, config.training.seed, config.training.schedule) == (64, 20230211, "constant")
    video = load_config(file, ShowMeConfig, ["stage=state_video"])
    assert (video.rank, video.feed_forward_rank) == (64, 64)


def test_fields_on_the_line_win_and_survive_a_round_trip(file, tmp_path):
    fields = ["training.optimizer.learning_rate=2e-4", "data.clips=7", "rewards.edge=sobel", "training.ema=0.99"]
    config = load_config(file, ShowMeConfig, fields)
    assert config.data.clips == 7
    assert config.rewards.structure == {"edge": "sobel"}
    dump_config(config, tmp_path / "again.yaml")
    assert load_config(tmp_path / "again.yaml", ShowMeConfig) == config


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (["stagee=state_video"], r"command line: there is no field stagee: did you mean stage\?"),
        (["training.optimizer.lr=1"], r"there is no field training.optimizer.lr: .*choose name, learning_rate"),
        (["adapter.rnak=1"], r"there is no field adapter.rnak: did you mean rank\?"),
        (["stage=image"], r"stage 'image': input should be 'state_image', 'state_video' or 'fast'"),
        (["training.steps=null"], r"training: give steps or minutes, one of them"),
        (["training.minutes=1", "training.steps=2"], r"training: give steps or minutes, one of them"),
        (["training.optimizer.betas=[0.9]"], r"betas \[0\.9\]: wrong value: AdamW's moments, two numbers in a list"),
        (["training.optimizer.betas=[2,0.9]"], r"betas 2: input should be less than 1: AdamW's moments"),
        (["training.minutes=.inf"], r"training.minutes inf: input should be a finite number"),
        (["training=3"], r"command line: training 3: wrong value: fields of its own: steps, minutes"),
        (["training.steps.x=3"], r"training.steps: wrong value: bound in optimiser steps"),
        (["data.frame_stride=fast"], r"data.frame_stride: wrong value: a number above 0, .*clip: that of each clip"),
        (["data.frame_stride=0"], r"data.frame_stride: wrong value: a number above 0"),
        (["out=3"], r"command line: out 3: wrong value: folder of the run"),
        (["out="], r"out must not be null: folder of the run"),
        (["out=true"], r"command line: out true: wrong value: folder of the run"),
        (["out=''"], r"out: name a folder of the run's own"),
        (["data.source.x=3"], r"there is no field data\.source\.x: choose exclude, keep, track, colours, kind, path"),
        (["data.source={kind: epic_kitchens, anotations: x}"], r"source\.anotations: did you mean annotations\?"),
        (["data.source={kind: imagenet}"], r"data\.source: there is no kind 'imagenet': choose folder, "),
        (["validation.source.fsp=3"], r"there is no field validation\.source\.fsp: did you mean fps\?"),
        (["data.frames=5000"], r"data\.frames 5000: .*less than or equal to 1024"),
        (["data.source=3"], r"data\.source 3: .*: folder or list of clips"),
        (["training.batch_size=0"], r"training.batch_size 0: input should be greater than or equal to 1"),
        (
            ["training.batch_size=9", "training.accumulation=2"],
            r"batch_size 9 does not divide into 2 acc",
        ),
        (["dropout.text=0.9", "dropout.both=0.2"], r"dropout: text, image and both add up to more than 1"),
        (["rewards.motion=dis"], r"rewards.motion is of stage state_video: leave it out, or set stage"),
        (["stage=state_video", "rewards.edge=sobel"], r"rewards.edge is of stage state_image"),
        (["rewards.motion=''"], r"rewards.motion is of stage state_video"),
        (["stage=state_video", "image_temporal_convolutions=true"], r"convolutions is of stage state_image: leave it"),
        (["goal_share=0.5"], r"goal_share is of stage state_video"),
        (["tuning=full", "memory.base=int8"], r"tuning full trains no int8 weights: set memory.base to bf16"),
        (["rewards.levels=gate"], r"rewards.levels is gate, but no reward is on"),
        (["data.clips=many"], r"data.clips 'many': input should be a valid integer"),
        (["data={}"], r"the field data.source is missing: folder or list of clips, a YAML of a source"),
        (["justaword"], r"'justaword' on the command line: write field=value"),
        (["a=[1"], r"'a=\[1' on the command line: '\[1' is no YAML value"),
    ],
)
def test_a_wrong_setting_is_one_sentence_with_file_field_and_remedy(file, fields, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        load_config(file, ShowMeConfig, fields)
    assert "\n" not in str(error.value)


def test_a_bound_on_the_line_takes_the_place_of_the_files(file):
    training = load_config(file, ShowMeConfig, ["training.minutes=2"]).training
    assert (training.steps, training.minutes) == (None, 2)
    training = load_config(file, ShowMeConfig, ["training.minutes=null", "training.steps=4"]).training
    assert (training.steps, training.minutes) == (4, None)


def test_what_stands_in_the_file_is_said_of_the_file(file):
    file.write_text(LEAST.replace("steps: 10", "steps: 0"))
    with pytest.raises(
        InputError, match=r"run.yaml: training.steps 0: input should be greater than or equal to 1: bou"
    ):
        load_config(file, ShowMeConfig, ["out=other"])


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.relative_to(CONFIGS).as_posix())
def test_every_recipe_is_valid(path, monkeypatch):
    if path.parent.name == "studies":
        assert load_config(path, StudyConfig).rows
        return
    monkeypatch.chdir(CONFIGS.parent)
    assert f"configs/{path.relative_to(CONFIGS).as_posix()}" in path.read_text(), "it says how it is run"
    if path.parent.name == "sources":
        assert open_source(str(path)).place.parts[:2] == ("data", path.stem.rpartition("_")[0])
        return
    if path.parent.name == "curation":
        assert load_config(path, CurateConfig).out.parts[0] == "runs"
        return
    config = load_recipe(path)
    assert getattr(config, "stage", "") in path.name
    if path.relative_to(CONFIGS).parts[0] == "showme":
        assert config.training.batch_size == 64
        paper = 12 if "ssv2" in path.parts else 16
        # Wan's codec takes 4 n + 1.
        assert config.data.frames == (17 if "wan22_5b" in path.parts else paper)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- a\n- b\n", "holds no settings"),
        ("a: 1\nb: [", "bad.yaml, line 2: this is not YAML"),
        ("a: \x07", "is not YAML"),
        (b"a: \xff", "is not UTF-8 text: .*saved as UTF-8"),
        ("a: " + "[" * 5000, "is nested deeper than any settings"),
        ("a: 2026-13-45", "holds a value that is none"),
        ("folder", "is a folder"),
        ("pipe", "is not a regular file"),
        ("", "holds no settings"),
        (None, "There is no file"),
    ],
)
def test_a_file_without_settings_is_refused(tmp_path, text, sentence):
    path = tmp_path / "bad.yaml"
    if text == "folder":
        path.mkdir()
    elif text == "pipe":
        os.mkfifo(path)
    elif text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=sentence):
        load_config(path, ShowMeConfig)


def test_fields_of_an_optional_source_are_set_beside_its_path(file):
    source = load_config(file, ShowMeConfig, ["validation.source=clips", "validation.source.fps=5"]).validation.source
    assert (source.path, source.fps) == (Path("clips"), 5)
