"""Goal conditioning: the video may know the picture that it is to end with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from showme.backbones.placing import in_slots
from tests.conftest import make_tiny_pipeline

TEXT = "push the red box to the left"


@pytest.fixture(scope="module")
def pipeline():
    pipeline = make_tiny_pipeline()
    pipeline.register_to_config(goal_conditioning=True)
    return pipeline


@pytest.fixture(scope="module")
def photo_image() -> Image.Image:
    gradient = np.linspace(0, 255, 32, dtype=np.uint8)
    return Image.fromarray(np.stack([np.tile(gradient, (32, 1))] * 3, axis=-1))


def conditions_seen(pipeline, *args, **kwargs):
    """The condition half of the network's input at every step (1, C, T, h, w), and what was made."""
    seen = []
    handle = pipeline.unet.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0][:1, inputs[0].shape[1] // 2 :].clone())
    )
    try:
        output = pipeline(*args, seed=0, output_type="latent", **kwargs)
    finally:
        handle.remove()
    return seen, output


def test_the_picture_of_the_same_call_is_the_goal(pipeline, photo_image):
    seen, output = conditions_seen(pipeline, photo_image, TEXT, "both", goal=True)
    image, video = seen[0], seen[-1]
    assert image.shape[2] == 1
    z0 = image
    both = torch.cat([z0, output.image[None, :, None]], dim=2)
    assert torch.equal(video, in_slots(both, (0, -1), video.shape[2]).latents)


def test_without_a_goal_the_last_slot_is_zero(pipeline, photo_image):
    for kwargs in ({"task": "both"}, {"task": "video"}):
        video = conditions_seen(pipeline, photo_image, TEXT, **kwargs)[0][-1]
        assert not video[:, :, 1:].any()


def test_a_goal_can_be_given(pipeline, photo_image):
    goal = photo_image.rotate(180)
    video = conditions_seen(pipeline, photo_image, TEXT, "video", goal=goal)[0][-1]
    pixels = pipeline.image_processor.preprocess(goal)
    with torch.no_grad():
        expected = pipeline.backbone.encode_pictures(pixels)
    torch.testing.assert_close(video[:, :, -1], expected)
    free = pipeline(photo_image, TEXT, "video", seed=0, output_type="np").frames
    aimed = pipeline(photo_image, TEXT, "video", seed=0, output_type="np", goal=goal).frames
    assert abs(free - aimed).max() > 0


def test_a_model_that_was_not_trained_for_it_refuses_a_goal(tiny_pipeline, photo_image):
    with pytest.raises(ValueError, match="not trained to reach a goal"):
        tiny_pipeline(photo_image, TEXT, goal=photo_image)
    with pytest.raises(ValueError, match="not trained to reach a goal"):
        tiny_pipeline(photo_image, TEXT, goal=True)


def test_the_picture_of_the_result_must_be_asked_for_to_be_the_goal(pipeline, photo_image):
    with pytest.raises(ValueError, match='task="both"'):
        pipeline(photo_image, TEXT, "video", goal=True)
