"""The embedded model's making, every stage in turn, on networks and clips so small that it takes seconds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from embedded import codec, diffusion, encoders, networks, package, pairs, tuning
from embedded.settings import Settings
from showme.backbones.lora import bare_weights
from showme.methods.showme.tasks import STATE_IMAGE, STATE_VIDEO
from showme.pipelines import load_bundle
from showme.run_folder import MODEL
from showme.training import CHECKPOINTS
from showme.training.checkpoint import newest_checkpoint

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(
        clips=40,
        pair_scenes=40,
        validation_clips=0,
        validation_scenes=1,
        size=32,
        frames=4,
        coarse_frames=2,
        minutes=dict.fromkeys(Settings().minutes, 0.005),
        codec_widths=(8, 8, 8, 8),
        codec_crop=16,
        codec_batch=4,
        encoder_batch=8,
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
    instructions = ["push the red box to the left", "lift the blue ball up"]
    for split, count in (("train", settings.clips), ("validation", 1)):
        place = folder / "clips" / split
        place.mkdir(parents=True)
        clips = torch.rand(count, 3, 4, 4, 4)
        clips = torch.nn.functional.interpolate(clips, size=(16, 32, 32), mode="trilinear").movedim(1, -1)
        lines = []
        for number, clip in enumerate(clips):
            save_file({"frames": (clip * 255).byte().contiguous()}, place / f"{number}.safetensors")
            row = {"id": str(number), "file": f"{number}.safetensors", "instruction": instructions[number % 2]}
            lines.append(json.dumps(row))
        (place / "index.jsonl").write_text("\n".join(lines) + "\n")
    write_pairs(folder, settings.pair_scenes, instructions)
    codec.train_codec(folder, settings, CPU)
    codec.train_decoder(folder, settings, CPU)
    encoders.train_encoders(folder, settings, CPU)
    diffusion.train_spatial(folder, settings, CPU)
    diffusion.train_coarse(folder, settings, CPU)
    diffusion.train_base(folder, settings, CPU)
    base = package.write_base(folder, settings, CPU)
    result = tuning.train_stage("state_image", folder, base, settings)
    tuning.train_stage("state_video", folder, result, settings)
    return folder


def write_pairs(folder: Path, count: int, instructions: list[str]) -> None:
    """A shard of coloured noise, with two ends for every first frame."""
    (folder / pairs.PAIRS).mkdir()
    noise = torch.nn.functional.interpolate(torch.rand(3 * count, 3, 4, 4), size=32, mode="bilinear")
    pictures = (noise.movedim(1, -1) * 255).byte().contiguous()
    shard = {"first": pictures[:count], "end": pictures[count:], "scene": torch.arange(2 * count) // 2}
    save_file(shard, pairs.shard_path(folder, 0), {"instructions": json.dumps(instructions * count)})


def bare(network) -> dict[str, torch.Tensor]:
    with bare_weights(network):
        return network.state_dict()


def test_the_scale_makes_unit_latents(run_folder, settings):
    from embedded.cache import EncodedClips

    latents = EncodedClips(run_folder, settings, CPU)[3]["latents"].float()
    assert latents.shape == (settings.frames, settings.latent_channels, 4, 4)
    assert 0.5 < float(latents.std()) < 2


def test_the_base_is_cached_once_for_it_and_for_showmes_stages(run_folder):
    parts = sorted(path.name.split("-")[0] for path in (run_folder / "cache").glob("*-*"))
    assert parts == ["image", "latents", "null_image", "text", "text"], "the text encoder alone went on learning"


def test_a_plain_base_sees_ordinary_frames_alone(run_folder, settings):
    plain = diffusion._pictures(run_folder, settings.model_copy(update={"plain": True}), CPU)
    staged = diffusion._pictures(run_folder, settings, CPU)
    at_the_end = [[int(some[n]["frames"]["level"] == 999) for n in range(200)] for some in (plain, staged)]
    assert sum(at_the_end[0]) < 5
    assert 90 < sum(at_the_end[1]) < 150, "six in ten"


def test_a_share_of_the_clips_knows_its_end(run_folder, settings):
    from embedded.cache import EncodedClips
    from embedded.samples import ClipSamples

    clips = EncodedClips(run_folder, settings, CPU)
    samples = ClipSamples(clips, diffusion._pictures(run_folder, settings, CPU), settings, count=4)
    drawn = [samples[n]["clip"] for n in range(100)]
    ends = [torch.equal(one["known"][:, -1], one["latents"][:, -1]) for one in drawn]
    assert 45 < sum(ends) < 75, "six in ten"
    assert samples[0]["frames"]["latents"].shape == (settings.frames_per_clip, settings.latent_channels, 1, 4, 4)


def test_the_spatial_stage_leaves_the_temporal_half_alone(run_folder):
    with safe_open(newest_checkpoint(run_folder / "spatial" / CHECKPOINTS) / "weights.safetensors", "pt") as file:
        names = list(file.keys())
    assert any("spatial_attention" in name for name in names)
    assert not any("temporal" in name for name in names)


def test_each_stage_changes_its_own_adapters_and_nothing_else(run_folder):
    places = ("base-model", f"state_image/{MODEL}", f"state_video/{MODEL}")
    base, image, video = (load_bundle(run_folder / place, dtype=torch.float32).pipeline for place in places)
    for tuned in (image, video):
        for network in ("unet", "image_projector"):
            before, after = (bare(getattr(p, network)) for p in (base, tuned))
            assert all(torch.equal(before[key], after[key]) for key in before)
    assert set(image.unet.peft_config) == set(image.image_projector.peft_config) == {STATE_IMAGE}
    assert set(video.unet.peft_config) == {STATE_IMAGE, STATE_VIDEO}
    assert set(video.image_projector.peft_config) == {STATE_IMAGE}
    first = {key: value for key, value in image.unet.state_dict().items() if f".{STATE_IMAGE}." in key}
    assert all(torch.equal(value, video.unet.state_dict()[key]) for key, value in first.items())
    assert any(value.any() for key, value in first.items() if "lora_B" in key)
    assert video.config.goal_conditioning


def test_the_bundle_loads_and_generates(run_folder, settings, tmp_path):
    package.write_bundle(run_folder, settings, CPU, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.info.name == "embedded"
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert all(f"| {stage} |" in card for stage in settings.minutes)
    bundle.pipeline.set_progress_bar_config(disable=True)
    picture = Image.new("RGB", (32, 32), (200, 30, 30))
    call = {"task": "both", "seed": 3, "num_inference_steps": 2, "output_type": "np"}
    assert bundle.pipeline(picture, "push the red box to the left", **call).frames.shape == (4, 32, 32, 3)


def test_training_goes_on_from_a_bundle(run_folder, settings, tmp_path):
    package.write_bundle(run_folder, settings, CPU, tmp_path / "bundle")
    package.start_from(str(tmp_path / "bundle"), tmp_path / "more", settings)
    before = networks.base_objective(run_folder, settings, CPU, "base")
    again = networks.base_objective(tmp_path / "more", settings, CPU, "coarse")
    for p, q in zip(before.unet.parameters(), again.unet.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=0.01, rtol=0.01)  # bf16 in the bundle


def test_the_spatial_half_alone_can_be_trained_on_before_clips(run_folder, settings, tmp_path):
    package.write_bundle(run_folder, settings, CPU, tmp_path / "bundle")
    more = tmp_path / "more"
    more.mkdir()
    package.start_from(str(tmp_path / "bundle"), more, settings)
    for name in (pairs.PAIRS, "clips"):
        (more / name).symlink_to(run_folder / name)
    diffusion.train_spatial(more, settings, CPU)
    began, went_on = (networks.base_objective(more, settings, CPU, stage).unet for stage in (networks.START, "coarse"))
    parameters = zip(began.named_parameters(), went_on.parameters(), strict=True)
    changed = {name for (name, p), q in parameters if not torch.equal(p, q)}
    assert changed
    assert not any("temporal" in name or name.startswith("scalar_embedding") for name in changed)


def test_the_decoder_alone_can_be_trained_on_for_a_bundle(run_folder, settings, tmp_path):
    package.write_bundle(run_folder, settings, CPU, tmp_path / "bundle")
    more = tmp_path / "more"
    more.mkdir()
    package.start_from(str(tmp_path / "bundle"), more, settings)
    (more / pairs.PAIRS).symlink_to(run_folder / pairs.PAIRS)
    codec.train_decoder(more, settings, CPU)
    package.write_bundle(more, settings, CPU, tmp_path / "again")
    first, second = (load_bundle(tmp_path / name, dtype=torch.float32).pipeline for name in ("bundle", "again"))
    before, after = first.vae.state_dict(), second.vae.state_dict()
    changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder", "post_quant_conv"}
    assert all(torch.equal(*pair) for pair in zip(first.unet.parameters(), second.unet.parameters(), strict=True))
    card = (tmp_path / "again" / "README.md").read_text()
    assert "| decoder |" in card
    assert "## Before that: the bundle" in card
