"""The embedded model's making, every stage in turn, on networks and clips so small that it takes seconds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from embedded import cache, codec, diffusion, encoders, frames, package
from embedded.settings import Settings

CPU = torch.device("cpu")
STAGES = ("codec", "encoders", "spatial", "base", "stage1", "stage2")


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(
        clips=40,
        size=32,
        frames=4,
        minutes=dict.fromkeys(STAGES, 0.005),
        codec_widths=(8, 8, 8, 8),
        codec_crop=16,
        codec_batch=4,
        latent_channels=4,
        text_width=16,
        text_layers=1,
        image_width=32,
        image_layers=1,
        image_queries=4,
        unet_widths=(16, 16),
        unet_attention=(False, True),
        head_dim=16,
        image_batch=4,
        video_batch=2,
        lora_rank=2,
    )


@pytest.fixture(scope="module")
def run_folder(settings, tmp_path_factory) -> Path:
    """A run with every stage done, on clips of coloured noise."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    clips = torch.rand(settings.clips, settings.frames, 3, 4, 4)
    clips = torch.nn.functional.interpolate(clips.flatten(0, 1), scale_factor=8, mode="bilinear").unflatten(0, (-1, 4))
    instructions = ["push the red box to the left", "lift the blue ball up"] * (settings.clips // 2)
    pixels = (clips * 255).to(torch.uint8).contiguous()
    save_file({"frames": pixels}, folder / "train.safetensors", {"instructions": json.dumps(instructions)})
    codec.train_codec(folder, settings, CPU)
    encoders.train_encoders(folder, settings, CPU)
    cache.write_cache(folder, settings, CPU)
    diffusion.train_spatial(folder, settings, CPU)
    diffusion.train_base(folder, settings, CPU)
    diffusion.train_stage1(folder, settings, CPU)
    diffusion.train_stage2(folder, settings, CPU)
    return folder


def test_kept_frames_hold_first_and_last():
    assert frames.kept_frames(16) == list(range(16))
    assert frames.kept_frames(8) == [0, 2, 4, 6, 9, 11, 13, 15]


def test_the_scale_makes_unit_latents(run_folder, settings):
    latents = cache.read_cache(run_folder).latents.float()
    assert latents.shape == (settings.clips, settings.frames, settings.latent_channels, 4, 4)
    assert 0.5 < float(latents.std()) < 2


def test_stage1_touches_the_first_adapter_and_the_projector_alone(run_folder, settings):
    base = diffusion.base_networks(run_folder, settings, CPU, "base")
    tuned = diffusion.stage2_networks(run_folder, settings, CPU)
    kept = {k.replace(".base_layer", ""): v for k, v in tuned.unet.state_dict().items() if "lora" not in k}
    assert all(torch.equal(kept[k], v) for k, v in base.unet.state_dict().items())
    first = [v for k, v in tuned.unet.state_dict().items() if "lora_B.state_image" in k]
    assert first
    assert any(v.any() for v in first)
    moved = [
        not torch.equal(a, b) for a, b in zip(base.projector.parameters(), tuned.projector.parameters(), strict=True)
    ]
    assert any(moved)


def test_stage2_trains_the_second_adapter_alone(run_folder, settings):
    networks = diffusion.stage2_networks(run_folder, settings, CPU)
    trained = {name for name, p in networks.unet.named_parameters() if p.requires_grad}
    assert trained
    assert all("state_video" in name for name in trained)
    assert {"state_image" in name for name in trained} == {False}
    assert any("temporal_attention" in name for name in trained)
    assert any("spatial_attention" in name for name in trained)
    assert not any(p.requires_grad for m in (networks.projector, networks.text_encoder) for p in m.parameters())


def test_the_bundle_loads_and_generates_alike(run_folder, settings, tmp_path):
    from showme.bundle import load_bundle

    package.write_bundle(run_folder, settings, CPU, tmp_path / "bundle")
    loaded = load_bundle(tmp_path / "bundle").pipeline
    straight = package.build_pipeline(run_folder, settings, CPU)
    picture = Image.new("RGB", (32, 32), (200, 30, 30))
    for pipeline in (loaded, straight):
        pipeline.set_progress_bar_config(disable=True)
    call = {"task": "both", "seed": 3, "num_inference_steps": 2, "output_type": "np"}
    a = loaded(picture, "push the red box to the left", **call)
    b = straight(picture, "push the red box to the left", **call)
    # The bundle's weights are bf16 on disk.
    assert abs(a.frames - b.frames).max() < 0.1
    assert abs(a.image - b.image).max() < 0.1
    assert a.frames.shape == (4, 32, 32, 3)


def test_training_goes_on_from_a_bundle(run_folder, settings, tmp_path):
    package.write_bundle(run_folder, settings, CPU, tmp_path / "bundle")
    package.start_from(str(tmp_path / "bundle"), tmp_path / "more", settings)
    before = diffusion.base_networks(run_folder, settings, CPU, "base")
    (tmp_path / "more" / "cache.safetensors").symlink_to(run_folder / "cache.safetensors")
    again = diffusion.base_networks(tmp_path / "more", settings, CPU, "spatial")
    for p, q in zip(before.unet.parameters(), again.unet.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=0.01, rtol=0.01)  # bf16 in the bundle
    record = package.training_record(tmp_path / "more", settings, CPU)
    assert record["stages"] == {}
    assert "| codec |" in record["before"]
