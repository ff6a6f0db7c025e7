"""What a call of the pipeline cannot use: one sentence with the argument and the remedy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import showme
from showme.bundle import open_bundle
from showme.errors import InputError, InstructionWarning
from showme.lazy_pipeline import LazyPipeline
from showme.pipelines import load_pipeline
from tests.conftest import make_tiny_pipeline

WORDS = "push the red box to the left"
PHOTO = Image.fromarray(np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))).convert("RGB")
FAST = {"task": "image", "num_inference_steps": 1, "seed": 0}


@pytest.fixture(scope="module")
def pipe():
    pipeline = showme.load("embedded", "cpu")
    assert type(pipeline) is LazyPipeline
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def tiny():
    pipeline = make_tiny_pipeline()
    pipeline.register_to_config(goal_conditioning=True)
    return pipeline


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"num_frames": 0}, "num_frames 0: choose a whole number of at least 1"),
        ({"num_frames": -3}, "num_frames -3: choose"),
        ({"num_frames": 2.0}, "num_frames 2: choose a whole number"),
        ({"num_frames": True}, "num_frames True: choose"),
        ({"num_inference_steps": 0}, "num_inference_steps 0: choose a whole number of at least 1"),
        ({"num_inference_steps": "4"}, "num_inference_steps '4': choose"),
        ({"seed": -1}, "seed -1: choose a whole number from 0 to 9,223,372,036,854,775,807"),
        ({"seed": 1.5}, "seed 1.5: choose"),
        ({"seed": 2**64}, "seed 18446744073709551616: choose"),
        ({"guidance_scale": float("nan")}, "guidance_scale nan: choose a finite number"),
        ({"guidance_scale": "strong"}, "guidance_scale 'strong': choose"),
        ({"guidance_rescale": 2}, "guidance_rescale 2: choose a number from 0 to 1"),
        ({"eta": -0.5}, "eta -0.5: choose a number from 0 to 1"),
        ({"scalar": [3]}, r"scalar \[3\]: choose a finite number"),
        ({"generator": 5}, "generator is an int: give a torch.Generator, or a whole number as seed"),
        ({"callback_on_step_end": 5}, "callback_on_step_end is an int: give a function"),
        ({"instruction": ""}, "The instruction is empty: say what is to be done, like"),
        ({"instruction": " \n"}, "The instruction is empty"),
        ({"instruction": "?!"}, "The instruction has no words"),
        ({"instruction": None}, "instruction is None: give one sentence, like"),
        ({"instruction": 5}, "instruction is an int: give one sentence"),
        ({"instruction": [WORDS]}, "instruction is a list: give one sentence"),
        ({"image": Image.new("RGB", (4, 4))}, "image is 4x4 pixels: give a picture of at least 16 on each side"),
        ({"image": None}, "image is None: give a PIL image, a tensor or an array"),
        ({"image": 5}, "image is an int: give"),
        ({"goal": "photo.png"}, "goal is a str: give"),
        ({"goal": Image.new("RGB", (4, 40))}, "goal is 4x40 pixels: give"),
    ],
)
def test_values(pipe, tiny, settings, sentence):
    for each in (pipe, tiny):
        with pytest.raises(InputError, match=f"^{sentence}"):
            each(**{"image": PHOTO, "instruction": WORDS, **settings})
    assert vars(pipe)["_whole"] is None, "diffusers is not imported for it"


@pytest.mark.parametrize("task", [None, 5, {"video"}])
def test_a_task_of_another_kind(pipe, task):
    with pytest.raises(ValueError, match=r"^task is .*: choose image, video or both\.$"):
        pipe(PHOTO, WORDS, task)


@pytest.mark.parametrize(
    ("given", "settings", "said"),
    [
        ((PHOTO, WORDS), {"height": 256}, "has no argument 'height'"),
        ((PHOTO,), {}, "misses the argument 'instruction'"),
        ((), {"instruction": WORDS}, "misses the argument 'image'"),
        ((PHOTO, WORDS, "image", 4), {}, "got too many positional arguments"),
        ((PHOTO, WORDS), {"image": PHOTO}, "got multiple values for argument 'image'"),
    ],
)
def test_arguments_that_there_are_not(pipe, tiny_pipeline, given, settings, said):
    for each in (pipe, tiny_pipeline):
        with pytest.raises(TypeError, match=f"^The call {said}: its arguments are image, instruction, task, goal, "):
            each(*given, **settings)


def test_what_is_of_another_library_is_taken(pipe):
    settings = FAST | {"seed": np.int64(0), "guidance_scale": np.float32(2.0), "num_frames": np.int32(2)}
    ours = pipe(image=PHOTO, instruction=WORDS, **settings).image
    assert np.array_equal(ours, pipe(PHOTO, WORDS, **FAST, guidance_scale=2.0).image)


def test_words_that_the_model_has_never_seen_are_reported(pipe):
    whole = load_pipeline(open_bundle("embedded"), "cpu")
    whole.set_progress_bar_config(disable=True)
    for each in (pipe, whole):
        sentence = 'never seen the word "botle" and passes over it; the nearest that it knows: bottle'
        with pytest.warns(InstructionWarning, match=sentence) as caught:
            each(PHOTO, "push the red botle to the left", **FAST)
        assert len(caught) == 1
        with pytest.warns(InstructionWarning, match='never seen the word "cup": write "mug" instead'):
            each(PHOTO, "push the red cup to the left", **FAST)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            each(PHOTO, WORDS, **FAST)


def test_a_generator_and_an_own_model_warn_of_nothing(tiny_pipeline):
    with warnings.catch_warnings():
        warnings.simplefilter("error", InstructionWarning)
        tiny_pipeline(PHOTO, "frobnicate it", task="image", generator=torch.Generator().manual_seed(1))
