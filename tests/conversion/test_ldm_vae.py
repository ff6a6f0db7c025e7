"""The autoencoder under LDM's names comes back as it was; diffusers' own converter agrees on every name."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL

from showme.conversion.ldm_vae import convert_vae, vae_config, vae_keys
from showme.errors import ConversionError

from .originals import vae_originals

KL_F8 = {
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 4,
}


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    tiny = {**KL_F8, "block_out_channels": (32, 32, 64), "layers_per_block": 1, "latent_channels": 3}
    return AutoencoderKL(
        **{**tiny, "down_block_types": tiny["down_block_types"][:3], "up_block_types": tiny["up_block_types"][:3]}
    ).eval()


@torch.no_grad()
def test_outputs_are_equal(vae):
    loss = {"loss.discriminator.main.0.weight": torch.zeros(1)}
    converted = convert_vae({**vae_originals(vae), **loss})
    assert converted.config.scaling_factor == 0.18215
    pixels = torch.randn(2, 3, 32, 24)
    latents = vae.encode(pixels).latent_dist.mode()
    torch.testing.assert_close(converted.encode(pixels).latent_dist.mode(), latents, atol=1e-6, rtol=0)
    torch.testing.assert_close(converted.decode(latents).sample, vae.decode(latents).sample, atol=1e-6, rtol=0)


def test_diffusers_own_converter_agrees(vae):
    utils = pytest.importorskip("diffusers.loaders.single_file_utils")
    originals = vae_originals(vae)
    theirs = utils.convert_ldm_vae_checkpoint(
        {f"first_stage_model.{key}": value for key, value in originals.items()}, dict(vae.config)
    )
    ours = vae_keys(originals, vae_config(originals, 1.0))
    assert set(theirs) == set(ours.values())
    for source, target in ours.items():
        assert torch.equal(originals[source].squeeze(), theirs[target].squeeze()), source


def test_every_full_size_key_is_read():
    with torch.device("meta"):
        original = vae_originals(AutoencoderKL(**KL_F8))
    assert len(original) == 248
    assert original["encoder.mid.attn_1.q.weight"].shape == (512, 512, 1, 1)
    converted = convert_vae(original)
    assert set(vae_keys(original, converted.config)) == set(original)
    for name in ("block_out_channels", "layers_per_block", "latent_channels"):
        assert converted.config[name] == KL_F8[name]


def test_stray_and_missing_keys_are_named(vae):
    weights = vae_originals(vae)
    with pytest.raises(ConversionError, match=r"encoder\.down\.0\.attn\.0\.q\.weight"):
        convert_vae({**weights, "encoder.down.0.attn.0.q.weight": torch.zeros(1)})
    lacking = {key: value for key, value in weights.items() if key != "decoder.norm_out.bias"}
    with pytest.raises(ConversionError, match=r"conv_norm_out\.bias"):
        convert_vae(lacking)
    with pytest.raises(ConversionError, match=r"quant_conv\.weight"):
        convert_vae({**weights, "quant_conv.weight": torch.zeros(5, 5, 1, 1)})
