"""The pipeline's public life: tasks, seeds, output types, callbacks, schedulers, adapters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler
from PIL import Image

import showme
from showme.methods.pipeline_steps import resolve_tasks
from showme.methods.showme import ShowMePipeline
from showme.methods.showme.tasks import TASKS
from showme.models.schedulers import DynamicRescaleDDIMScheduler

WORDS = "push the red box to the left"


@pytest.fixture
def photo() -> Image.Image:
    gradient = np.linspace(0, 255, 32, dtype=np.uint8)
    return Image.fromarray(np.stack([np.tile(gradient, (32, 1))] * 3, axis=-1))


def test_tasks_are_named_or_refused():
    assert resolve_tasks("both", TASKS) == ["image", "video"]
    assert resolve_tasks(["video", "image"], TASKS) == ["image", "video"]
    assert resolve_tasks("video", TASKS) == ["video"]
    for wrong in ("film", [], ["image", "film"]):
        with pytest.raises(ValueError, match="choose image, video or both"):
            resolve_tasks(wrong, TASKS)


def test_a_task_not_asked_for_is_none(tiny_pipeline, photo):
    image_only = tiny_pipeline(photo, WORDS, task="image", seed=0)
    assert image_only.frames is None
    assert image_only.image.size == (32, 32)
    video_only = tiny_pipeline(photo, WORDS, task="video", seed=0, num_frames=3)
    assert video_only.image is None
    assert [frame.size for frame in video_only.frames] == [(32, 32)] * 3


def test_each_task_has_the_seed_to_itself(tiny_pipeline, photo):
    both = tiny_pipeline(photo, WORDS, task="both", seed=5)
    alone = tiny_pipeline(photo, WORDS, task="video", seed=5)
    assert all(np.array_equal(a, b) for a, b in zip(both.frames, alone.frames, strict=True))
    other = tiny_pipeline(photo, WORDS, task="video", seed=6)
    assert not all(np.array_equal(a, b) for a, b in zip(both.frames, other.frames, strict=True))


def test_seed_equals_a_generator_with_that_seed(tiny_pipeline, photo):
    seeded = tiny_pipeline(photo, WORDS, task="image", seed=5)
    generated = tiny_pipeline(photo, WORDS, task="image", generator=torch.Generator().manual_seed(5))
    assert np.array_equal(seeded.image, generated.image)
    with pytest.raises(ValueError, match="not both"):
        tiny_pipeline(photo, WORDS, seed=1, generator=torch.Generator())


def test_output_types_agree(tiny_pipeline, photo):
    call = {"task": "both", "seed": 1}
    latents = tiny_pipeline(photo, WORDS, output_type="latent", **call)
    arrays = tiny_pipeline(photo, WORDS, output_type="np", **call)
    pictures = tiny_pipeline(photo, WORDS, **call)
    assert latents.frames.shape == (4, 4, 4, 4)
    decoded = tiny_pipeline.backbone.decode_pictures(latents.frames, 4).clamp(0, 1).permute(0, 2, 3, 1)
    np.testing.assert_allclose(arrays.frames, decoded.detach().numpy(), atol=1e-5)
    np.testing.assert_array_equal(np.asarray(pictures.frames[2]), np.round(arrays.frames[2] * 255).astype(np.uint8))
    np.testing.assert_array_equal(np.asarray(pictures.image), np.round(arrays.image * 255).astype(np.uint8))
    with pytest.raises(ValueError, match="output_type"):
        tiny_pipeline(photo, WORDS, output_type="jpeg")


def test_the_callback_sees_and_changes_every_step(tiny_pipeline, photo):
    seen = []

    def callback(pipeline, step, timestep, tensors):
        seen.append((step, int(timestep)))
        return {"latents": torch.zeros_like(tensors["latents"])}

    output = tiny_pipeline(
        photo, WORDS, task="image", seed=0, num_inference_steps=3, callback_on_step_end=callback, output_type="latent"
    )
    assert [step for step, _ in seen] == [0, 1, 2]
    assert not output.image.any()


@pytest.mark.parametrize("scheduler", [EulerDiscreteScheduler, DPMSolverMultistepScheduler])
def test_schedulers_can_be_swapped(tiny_pipeline, photo, scheduler):
    old = tiny_pipeline.scheduler
    tiny_pipeline.scheduler = scheduler.from_config(old.config)
    try:
        output = tiny_pipeline(photo, WORDS, task="image", seed=0, output_type="np")
    finally:
        tiny_pipeline.scheduler = old
    assert np.isfinite(output.image).all()


def test_the_image_task_runs_without_the_second_adapter(tiny_pipeline, photo):
    before = [tiny_pipeline(photo, WORDS, task=task, seed=0, output_type="np") for task in ("image", "video")]
    second = [p for name, p in tiny_pipeline.unet.named_parameters() if "lora_B.state_video" in name]
    kept = [p.detach().clone() for p in second]
    try:
        for p in second:
            p.data.add_(0.5)
        after = [tiny_pipeline(photo, WORDS, task=task, seed=0, output_type="np") for task in ("image", "video")]
    finally:
        for p, value in zip(second, kept, strict=True):
            p.data.copy_(value)
    np.testing.assert_array_equal(before[0].image, after[0].image)
    assert not np.array_equal(before[1].frames, after[1].frames)


def test_guidance_one_is_the_conditional_prediction_alone(tiny_pipeline, photo):
    batches = []
    hook = tiny_pipeline.unet.register_forward_pre_hook(lambda m, args: batches.append(args[0].shape[0]))
    try:
        tiny_pipeline(photo, WORDS, task="image", seed=0, guidance_scale=1.0)
        tiny_pipeline(photo, WORDS, task="image", seed=0, guidance_scale=3.0)
    finally:
        hook.remove()
    assert batches == [1, 1, 2, 2]


def test_the_instruction_and_the_photo_matter(tiny_pipeline, photo):
    base = tiny_pipeline(photo, WORDS, task="image", seed=0, output_type="np").image
    words = tiny_pipeline(photo, "lift the blue ball up", task="image", seed=0, output_type="np").image
    mirrored = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture = tiny_pipeline(mirrored, WORDS, task="image", seed=0, output_type="np").image
    assert not np.array_equal(base, words)
    assert not np.array_equal(base, picture)


def test_saved_and_loaded_it_is_the_same_with_its_adapters(tiny_pipeline, photo, tmp_path):
    tiny_pipeline.save_pretrained(tmp_path)
    assert {path.name for path in (tmp_path / "adapters").iterdir()} == {
        "state_image.safetensors",
        "state_video.safetensors",
    }
    again = ShowMePipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    before = tiny_pipeline(photo, WORDS, seed=0, output_type="np")
    after = again(photo, WORDS, seed=0, output_type="np")
    np.testing.assert_allclose(after.image, before.image, atol=1e-5)
    np.testing.assert_allclose(after.frames, before.frames, atol=1e-5)
    assert after.frames.shape == (4, 32, 32, 3)


def test_a_pipeline_with_our_own_scheduler_loads(tiny_pipeline, tmp_path):
    old = tiny_pipeline.scheduler
    tiny_pipeline.scheduler = DynamicRescaleDDIMScheduler(rescale_base=0.3)
    try:
        tiny_pipeline.save_pretrained(tmp_path)
    finally:
        tiny_pipeline.scheduler = old
    assert ShowMePipeline.from_pretrained(tmp_path).scheduler.config.rescale_base == 0.3


MODES = ("RGB", "RGBA", "LA", "L", "P", "1", "CMYK", "I;16")


@pytest.mark.parametrize("mode", MODES)
def test_a_photo_of_any_mode_and_size_is_brought_to_the_models(tiny_bundle, mode):
    pipeline = showme.load(tiny_bundle)
    picture = Image.effect_noise((50, 40), 60)
    picture = picture.convert("I").convert("I;16") if mode == "I;16" else picture.convert("RGB").convert(mode)
    output = pipeline(picture, WORDS, task="image", seed=0, num_inference_steps=1)
    assert (output.image.mode, output.image.size) == ("RGB", (32, 32))


def test_a_photo_is_turned_upright_first(tiny_bundle, photo):
    pipeline = showme.load(tiny_bundle)
    sideways = photo.rotate(90)
    sideways.getexif()[0x0112] = 6
    settings = {"task": "image", "seed": 0, "num_inference_steps": 1, "output_type": "latent"}
    assert torch.equal(pipeline(sideways, WORDS, **settings).image, pipeline(photo, WORDS, **settings).image)


def test_tensors_come_out_when_asked_for(tiny_pipeline, photo):
    output = tiny_pipeline(photo, WORDS, task="image,video", seed=0, output_type="pt")
    assert output.image.shape == (3, 32, 32)
    assert output.frames.shape == (4, 3, 32, 32)
    assert 0 <= float(output.frames.min()) <= float(output.frames.max()) <= 1


def test_no_step_at_all_is_refused(tiny_pipeline, photo):
    with pytest.raises(ValueError, match="at least 1"):
        tiny_pipeline(photo, WORDS, num_inference_steps=0)
