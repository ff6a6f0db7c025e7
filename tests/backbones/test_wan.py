"""Wan in both forms: as diffusers runs it, and as only training asks it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

from showme.backbones.base import Conditions
from showme.backbones.sampling import Sampling, sample
from showme.backbones.wan import WanBackbone
from showme.errors import InputError
from showme.models.wan_transformer import WanTransformer
from tests.conftest import make_tiny_tokenizer
from tests.models.test_wan_codec import make_codec

SIDE, FRAMES, TEXT, IMAGE = 32, 9, 16, 24
FORMS = ("2.1", "2.2", "A14B", "in place")


def make_parts(form: str) -> SimpleNamespace:
    """Small networks of random weights, as they are named in a published folder."""
    torch.manual_seed(0)
    in_place = form == "in place"
    codec = make_codec("2.2" if in_place else "2.1")
    inputs = codec.config.z_dim * (1 if in_place else 2) + (0 if in_place else 4)
    config = {
        "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": inputs, "out_channels": codec.config.z_dim,
        "text_dim": TEXT, "freq_dim": 16, "ffn_dim": 20, "num_layers": 2,
        **({"image_dim": IMAGE, "added_kv_proj_dim": 24} if form == "2.1" else {}),
    }  # fmt: skip
    networks = [WanTransformer(**config).eval() for _ in range(2 if form == "A14B" else 1)]
    text = UMT5Config(vocab_size=200, d_model=TEXT, d_kv=8, d_ff=16, num_layers=2, num_heads=2)
    vision = CLIPVisionConfig(
        hidden_size=IMAGE, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56,
        patch_size=14,
    )  # fmt: skip
    tokenizer = make_tiny_tokenizer()
    # What diffusers' pipeline pads to, and its attention counts on.
    tokenizer.model_max_length = 512
    return SimpleNamespace(
        transformer=networks[0],
        transformer_2=networks[1] if form == "A14B" else None,
        vae=codec,
        text_encoder=UMT5EncoderModel(text).eval(),
        tokenizer=tokenizer,
        image_encoder=CLIPVisionModel(vision).eval() if form == "2.1" else None,
        feature_extractor=CLIPImageProcessor(size={"shortest_edge": 56}, crop_size=56) if form == "2.1" else None,
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0, num_train_timesteps=1000
        ),
        config=SimpleNamespace(expand_timesteps=in_place, boundary_ratio=0.875 if form == "A14B" else None),
        device=torch.device("cpu"),
    )


@pytest.fixture(params=FORMS)
def parts(request) -> SimpleNamespace:
    return make_parts(request.param)


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8))


def pixels_of(*pictures: Image.Image) -> torch.Tensor:
    """(1, K, 3, H, W) in [-1, 1]."""
    arrays = np.stack([np.asarray(each) for each in pictures])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2)[None].float() / 127.5 - 1


def ours(parts, pictures, frames, guidance: float, steps: int) -> torch.Tensor:
    """Latents by our sampler, the noise of seed 7."""
    backbone = WanBackbone(parts)
    pixels = pixels_of(*pictures)
    known = backbone.known_frames(pixels, frames, FRAMES)
    image = backbone.encode_image(pixels[0, :1])
    conditions = Conditions(
        backbone.encode_text(["", "push the red box"]), None if image is None else image.expand(2, -1, -1), known
    )
    how = Sampling(
        steps,
        lambda both: both[:1] + guidance * (both[1:] - both[:1]),
        branches=2,
        generator=torch.Generator().manual_seed(7),
    )
    return sample(backbone, parts.scheduler, conditions, known.latents.shape, how)


def theirs(parts, pictures, guidance: float, steps: int) -> torch.Tensor:
    from diffusers import WanTransformer3DModel

    plain = []
    for network in (parts.transformer, parts.transformer_2):
        plain.append(None if network is None else WanTransformer3DModel(**network.config).eval())
        if network is not None:
            plain[-1].load_state_dict(network.state_dict())
    pipeline = WanImageToVideoPipeline(
        parts.tokenizer, parts.text_encoder, parts.vae, UniPCMultistepScheduler(**parts.scheduler.config),
        parts.feature_extractor, parts.image_encoder, *plain, parts.config.boundary_ratio,
        parts.config.expand_timesteps,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    facts = WanBackbone(parts).facts
    shape = (1, parts.vae.config.z_dim, facts.slots(FRAMES), SIDE // facts.space, SIDE // facts.space)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(7))
    return pipeline(
        image=pictures[0], prompt="push the red box", negative_prompt="", height=SIDE, width=SIDE, num_frames=FRAMES,
        num_inference_steps=steps, guidance_scale=guidance, latents=noise, output_type="latent",
        last_image=pictures[1] if len(pictures) > 1 else None,
    ).frames  # fmt: skip


@torch.no_grad()
def test_plain_generation_equals_diffusers(parts):
    expected = theirs(parts, [picture(1)], 3.0, 4)
    torch.testing.assert_close(ours(parts, [picture(1)], (0,), 3.0, 4), expected, atol=1e-4, rtol=1e-4)


# The two others have no counterpart: diffusers leaves the last picture out in place, and 2.1's tokens of two pictures
# need another network.
@torch.no_grad()
@pytest.mark.parametrize("form", ["2.2", "A14B"])
def test_generation_between_two_pictures_equals_diffusers(form):
    parts, pictures = make_parts(form), [picture(1), picture(2)]
    expected = theirs(parts, pictures, 3.0, 4)
    torch.testing.assert_close(ours(parts, pictures, (0, -1), 3.0, 4), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_pictures_equal_diffusers(parts):
    latents = ours(parts, [picture(1)], (0,), 1.0, 2)
    pipeline_pictures = parts.vae.decode(
        latents * torch.tensor(parts.vae.config.latents_std).view(-1, 1, 1, 1)
        + torch.tensor(parts.vae.config.latents_mean).view(-1, 1, 1, 1)
    ).sample
    decoded = WanBackbone(parts).decode(latents).clamp(0, 1)
    torch.testing.assert_close(decoded, (pipeline_pictures.transpose(1, 2) / 2 + 0.5).clamp(0, 1), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_network_that_answers_the_target_gives_the_latents_back(parts, monkeypatch):
    torch.manual_seed(3)
    backbone = WanBackbone(parts)
    known = backbone.known_frames(pixels_of(picture(1)), (0,), FRAMES)
    clean = torch.randn_like(known.latents)
    clean = torch.where(known.where.bool(), known.latents, clean) if parts.config.expand_timesteps else clean
    path = backbone.path

    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(7))
    monkeypatch.setattr(WanBackbone, "predict", lambda self, noisy, level, *_: path.target(clean, noise, level))
    how = Sampling(20, lambda one: one, generator=torch.Generator().manual_seed(7))
    conditions = Conditions(backbone.encode_text(["push"]), None, known)
    made = sample(backbone, parts.scheduler, conditions, clean.shape, how)
    torch.testing.assert_close(made, clean, atol=1e-4, rtol=1e-4)


def test_frames_that_fill_no_slot_are_refused_with_those_that_do(parts):
    backbone = WanBackbone(parts)
    with pytest.raises(
        InputError, match="16 frames do not fit this model, which keeps 4 frames in a latent: choose 13"
    ):
        backbone.encode(torch.zeros(1, 16, 3, SIDE, SIDE))
    with pytest.raises(InputError, match="choose 9 or 13 frames"):
        backbone.known_frames(pixels_of(picture(1)), (0,), 10)


@torch.no_grad()
def test_a_still_is_the_wanted_one_of_two_slots_with_a_gradient_for_the_text(parts):
    torch.manual_seed(4)
    backbone = WanBackbone(parts)
    known = backbone.known(backbone.encode(pixels_of(picture(1))), (0,), 1)
    noisy = torch.randn_like(known.latents)
    image = backbone.encode_image(pixels_of(picture(1))[0])
    text = backbone.encode_text(["push the red box"])
    level = torch.tensor([0.9])
    predicted = backbone.predict(noisy, level, Conditions(text, image, known), still=True)
    assert predicted.shape == noisy.shape
    other = backbone.known(backbone.encode(pixels_of(picture(2))), (0,), 1)
    changed = backbone.predict(noisy, level, Conditions(text, image, other), still=True)
    assert (predicted - changed).abs().max() > 1e-4


def test_lora_names_every_attention_and_feed_forward_once(parts):
    backbone = WanBackbone(parts)
    names = backbone.targets("all")
    assert len(names) == len(set(names)) == 2 * (8 + 2)
    assert backbone.targets("spatial") == backbone.targets("temporal") == names
    assert len(backbone.targets("all", feed_forward=False)) == 16
    assert len(backbone.cross_attention_targets()) == 8


def test_levels_on_both_sides_of_the_experts_are_refused():
    parts = make_parts("A14B")
    backbone = WanBackbone(parts)
    known = backbone.known_frames(pixels_of(picture(1)).expand(2, -1, -1, -1, -1), (0,), FRAMES)
    conditions = Conditions(backbone.encode_text(["push", "lift"]), None, known)
    with pytest.raises(InputError, match="both sides of the experts' boundary"):
        backbone.predict(torch.randn_like(known.latents), torch.tensor([0.5, 0.95]), conditions)
