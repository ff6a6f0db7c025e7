"""Wan's codec: equal to diffusers' where that cuts nothing off, with a gradient where it does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from diffusers import AutoencoderKLWan

from showme.models.wan_codec import decode_clips, encode_clips


def make_codec(form: str) -> AutoencoderKLWan:
    """A tiny one of random weights, of Wan 2.1 or of 2.2 (patches, residual blocks)."""
    torch.manual_seed(0)
    config = {
        "base_dim": 8, "z_dim": 4, "dim_mult": [1, 2, 2], "num_res_blocks": 1, "temperal_downsample": [True, True],
        "latents_mean": [0.1, -0.2, 0.3, 0.0], "latents_std": [1.5, 0.5, 2.0, 1.0], "scale_factor_spatial": 4,
    }  # fmt: skip
    if form == "2.2":
        config |= {"decoder_base_dim": 8, "is_residual": True, "in_channels": 12, "out_channels": 12, "patch_size": 2}
        config["scale_factor_spatial"] = 8
    return AutoencoderKLWan(**config).eval()


@pytest.fixture(params=["2.1", "2.2"])
def codec(request) -> AutoencoderKLWan:
    return make_codec(request.param)


@torch.no_grad()
def test_it_equals_diffusers(codec):
    torch.manual_seed(1)
    pixels = torch.rand(2, 5, 3, 32, 32) * 2 - 1
    latents = encode_clips(codec, pixels)
    statistics = codec.config.latents_mean, codec.config.latents_std
    mean, deviation = (torch.tensor(each).view(-1, 1, 1, 1) for each in statistics)
    plain = codec.encode(pixels.transpose(1, 2)).latent_dist.mode()
    torch.testing.assert_close(latents * deviation + mean, plain, atol=1e-5, rtol=1e-5)
    expected = codec.decode(latents * deviation + mean).sample.transpose(1, 2)
    assert (expected.abs() < 1).float().mean() > 0.5
    torch.testing.assert_close(decode_clips(codec, latents).clamp(-1, 1), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_slot_after_the_first_holds_four_frames_and_the_first_one_alone(codec):
    torch.manual_seed(1)
    pixels = torch.rand(1, 9, 3, 32, 32) * 2 - 1
    latents = encode_clips(codec, pixels)
    assert latents.shape[2] == 3
    torch.testing.assert_close(latents[:, :, :1], encode_clips(codec, pixels[:, :1]))
    decoded = decode_clips(codec, latents)
    assert decoded.shape == pixels.shape
    torch.testing.assert_close(decoded[:, :5], decode_clips(codec, latents[:, :, :2]))


def test_the_gradient_goes_on_where_pictures_are_out_of_range(codec):
    torch.manual_seed(1)
    latents = (torch.randn(1, 4, 2, 4, 4) * 200).requires_grad_()
    pictures = decode_clips(codec, latents)
    assert pictures.abs().max() > 1
    (gradient,) = torch.autograd.grad(pictures.square().mean(), latents)
    direction = torch.randn_like(latents)
    step = 1e-2
    with torch.no_grad():
        ahead, behind = (decode_clips(codec, latents + sign * step * direction).square().mean() for sign in (1, -1))
    slope = (gradient * direction).sum()
    torch.testing.assert_close(slope, (ahead - behind) / (2 * step), rtol=2e-2, atol=1e-5)


def test_decoding_again_in_the_backward_pass_changes_no_gradient(codec, monkeypatch):
    torch.manual_seed(1)
    latents = torch.randn(1, 4, 3, 4, 4, requires_grad=True)
    (again,) = torch.autograd.grad(decode_clips(codec, latents).square().mean(), latents)
    monkeypatch.setattr("showme.models.wan_codec.checkpoint", lambda f, *given, use_reentrant: f(*given))
    (kept,) = torch.autograd.grad(decode_clips(codec, latents).square().mean(), latents)
    torch.testing.assert_close(again, kept)


@torch.no_grad()
def test_threads_do_not_spoil_each_others_clips(codec):
    torch.manual_seed(1)
    clips = [torch.rand(1, 9, 3, 32, 32) * 2 - 1 for _ in range(8)]
    expected = [encode_clips(codec, clip) for clip in clips]
    with ThreadPoolExecutor(4) as pool:
        for made, alone in zip(pool.map(lambda clip: encode_clips(codec, clip), clips), expected, strict=True):
            torch.testing.assert_close(made, alone)
