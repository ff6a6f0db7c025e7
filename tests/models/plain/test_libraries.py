"""The plain classes against those of diffusers and transformers, on random weights: the same names, the same bits."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL
from diffusers import DDIMScheduler as DiffusersDDIM
from diffusers.models.embeddings import Timesteps as DiffusersTimesteps
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModel

from showme.models.plain import DDIMScheduler, PlainAutoencoder, PlainTextEncoder, PlainVisionEncoder
from showme.models.timesteps import Timesteps

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_hidden_layers": 2}


def both_ways(theirs, ours, folder):
    """Their saved weights into ours, and ours into theirs again; every name is known to both."""
    theirs.eval().save_pretrained(folder)
    (weights,) = folder.glob("*.safetensors")
    ours.load_state_dict(load_file(weights))
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(0.25)
    save_file({key: value.contiguous() for key, value in ours.state_dict().items()}, weights, {"format": "pt"})
    again, report = type(theirs).from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    ours.eval()
    return again.eval()


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@torch.no_grad()
def test_text_encoder(activation, tmp_path):
    config = CLIPTextConfig(**SIZES, vocab_size=19, max_position_embeddings=8, hidden_act=activation)
    ours = PlainTextEncoder(config.to_dict())
    theirs = both_ways(CLIPTextModel(config), ours, tmp_path)
    ids = torch.randint(0, 19, (3, 8), generator=torch.Generator().manual_seed(0))
    assert torch.equal(ours(ids).last_hidden_state, theirs(ids).last_hidden_state)


@torch.no_grad()
def test_vision_encoder(tmp_path):
    config = CLIPVisionConfig(**SIZES, image_size=32, patch_size=8)
    ours = PlainVisionEncoder(config.to_dict())
    theirs = both_ways(CLIPVisionModel(config), ours, tmp_path)
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ours(pixels).last_hidden_state, theirs(pixels).last_hidden_state)
    assert ours.config.image_size == theirs.config.image_size


@torch.no_grad()
def test_autoencoder(tmp_path):
    theirs = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=[8, 16, 24],
        norm_num_groups=4,
        latent_channels=4,
        layers_per_block=2,
        mid_block_add_attention=False,
    )
    ours = PlainAutoencoder(theirs.config)
    theirs = both_ways(theirs, ours, tmp_path)
    for network in (ours, theirs):
        network.to(memory_format=torch.channels_last)
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latents = theirs.encode(pixels).latent_dist.mode()
    assert torch.equal(ours.encode(pixels).latent_dist.mode(), latents)
    assert torch.equal(ours.decode(latents).sample, theirs.decode(latents).sample)


@pytest.mark.parametrize("eta", [0.0, 0.7])
@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_ddim(prediction, eta):
    theirs = DiffusersDDIM(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        prediction_type=prediction,
        # Without noise at the end the clean latent cannot be had from the noise: it is divided by 0.
        rescale_betas_zero_snr=prediction == "v_prediction",
        set_alpha_to_one=prediction == "v_prediction",
        timestep_spacing="trailing",
    )
    ours = DDIMScheduler(theirs.config)
    drawn = torch.Generator().manual_seed(0)
    samples = [torch.randn(1, 4, 3, 8, 8, generator=drawn)] * 2
    schedulers = (ours, theirs)
    for scheduler in schedulers:
        scheduler.set_timesteps(7, device="cpu")
    assert torch.equal(ours.timesteps, theirs.timesteps)
    for t in theirs.timesteps:
        answer = torch.randn(samples[0].shape, generator=drawn)
        generators = [torch.Generator().manual_seed(int(t)) for _ in schedulers]
        samples = [
            scheduler.step(answer, t, scheduler.scale_model_input(sample, t), eta=eta, generator=generator)[0]
            for scheduler, sample, generator in zip(schedulers, samples, generators, strict=True)
        ]
        assert samples[0].isfinite().all()
        assert torch.equal(*samples)


def test_ddim_refuses_more_steps_than_timesteps():
    ours = DDIMScheduler(DiffusersDDIM(beta_schedule="scaled_linear").config)
    with pytest.raises(ValueError, match="the model has 1000 timesteps"):
        ours.set_timesteps(1001, device="cpu")


def test_timesteps():
    numbers = torch.tensor([0, 1, 250, 999])
    theirs = DiffusersTimesteps(64, flip_sin_to_cos=True, downscale_freq_shift=0)
    assert torch.equal(Timesteps(64)(numbers), theirs(numbers))
