"""The embedded model in torch alone: the same bits, and another way as soon as anything else is wanted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import showme
from showme.bundle import open_bundle
from showme.errors import InputError
from showme.lazy_pipeline import LazyPipeline
from showme.manifest import write_manifest
from showme.methods.showme import ShowMePipeline
from showme.pipelines import load_pipeline, load_sooner, read_plain

EXAMPLE = Path(showme.__file__).parent / "assets" / "examples" / "push_left.png"
WORDS = "push the orange case to the left"
LATENTS = {"num_frames": 2, "num_inference_steps": 2, "seed": 3, "output_type": "pt"}


@pytest.fixture(scope="module")
def whole():
    pipeline = load_pipeline(open_bundle("embedded"), "cpu")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def photo():
    return Image.open(EXAMPLE)


@pytest.mark.parametrize("settings", [{}, {"guidance_scale": 1.5}, {"goal": True}, {"eta": 0.5}])
def test_the_same_bits(whole, photo, settings):
    plain = read_plain(open_bundle("embedded"), "cpu")
    plain.set_progress_bar_config(disable=True)
    ours, theirs = (pipe(photo, WORDS, **LATENTS, **settings) for pipe in (plain, whole))
    assert torch.equal(ours.image, theirs.image)
    assert torch.equal(ours.frames, theirs.frames)
    assert plain.scheduler.__class__.__name__ == whole.scheduler.__class__.__name__


def test_loading_leaves_random_numbers_and_threads_as_they_are():
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    assert read_plain(open_bundle("embedded"), "cpu") is not None
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("scheduler/scheduler_config.json", '"clip_sample": false', '"clip_sample": true'),
        ("vae/config.json", '"act_fn": "silu"', '"act_fn": "gelu"'),
        ("model_index.json", '"DDIMScheduler"', '"PNDMScheduler"'),
        ("image_encoder/config.json", '"num_hidden_layers": 3', '"num_hidden_layers": 2'),
        ("unet/config.json", '"dropout": 0.0', '"dropout": 0.0, "unheard_of": 1'),
    ],
)
def test_what_is_not_known_is_left_to_the_whole_pipeline(name, old, new, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(open_bundle("embedded").folder, folder)
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    write_manifest(folder)
    assert read_plain(open_bundle(folder), "cpu") is None


def test_another_precision_is_left_to_the_whole_pipeline():
    assert read_plain(open_bundle("embedded"), "cpu", torch.bfloat16) is None


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="no device"):
        read_plain(open_bundle("embedded"), "cuda:99")


def test_a_lazy_pipeline_is_a_pipeline_when_it_must_be(whole, photo):
    pipe = load_sooner(open_bundle("embedded"), "cpu")
    assert isinstance(pipe, ShowMePipeline)
    pipe.set_progress_bar_config(disable=True)
    first = pipe(photo, WORDS, "image", **LATENTS)
    pipe.scheduler = type(whole.scheduler).from_config(pipe.scheduler.config, timestep_spacing="leading")
    other = pipe(photo, WORDS, "image", **LATENTS)
    assert not torch.equal(first.image, other.image)
    pipe.scheduler = whole.scheduler
    assert torch.equal(pipe(photo, WORDS, "image", **LATENTS).image, first.image)
    assert {"unet", "vae"} <= set(pipe.components)


def test_a_lazy_pipeline_takes_tensors_and_callbacks(whole, photo):
    pixels = torch.from_numpy(np.array(photo.convert("RGB"))).permute(2, 0, 1)[None] / 255
    pipe = load_sooner(open_bundle("embedded"), "cpu")
    seen = []

    def callback(pipeline, step, timestep, tensors):
        seen.append(pipeline.unet.dtype)
        return tensors

    answer = pipe(pixels, WORDS, "image", **LATENTS, callback_on_step_end=callback)
    assert torch.equal(answer.image, whole(pixels, WORDS, "image", **LATENTS).image)
    assert seen == [torch.float32] * 2


def test_a_model_that_was_replaced_meanwhile_is_not_mixed_in(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(open_bundle("embedded").folder, folder)
    pipe = load_sooner(open_bundle(folder), "cpu")
    (folder / "README.md").write_text("another\n", encoding="utf-8")
    write_manifest(folder)
    with pytest.raises(InputError, match="was changed since"):
        _ = pipe.unet


def test_loading_and_calling_import_neither_library():
    code = (
        "import sys, showme\nfrom PIL import Image\n"
        "showme.load(device='cpu')(Image.open(sys.argv[1]), sys.argv[2], 'image', num_inference_steps=1)\n"
        "print({name.split('.')[0] for name in sys.modules} & {'diffusers', 'transformers', 'peft', 'sympy'})"
    )
    done = subprocess.run([sys.executable, "-c", code, EXAMPLE, WORDS], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_load_gives_the_lazy_one():
    assert type(showme.load(device="cpu")) is LazyPipeline
