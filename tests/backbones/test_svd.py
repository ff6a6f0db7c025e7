"""Stable Video Diffusion: as diffusers runs it, with a context for every frame, its temporal half off, under AID."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    StableVideoDiffusionPipeline,
    UNetSpatioTemporalConditionModel,
)
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPImageProcessor, CLIPTextConfig, CLIPTextModel, CLIPVisionConfig
from transformers import CLIPVisionModelWithProjection as Vision

from showme.backbones.svd import SVDBackbone
from showme.cli import main
from showme.errors import InputError
from showme.experiment import open_run, train
from showme.methods.recipes import parse_recipe
from showme.models.svd_unet import SVDUNet
from showme.pipelines import load_bundle
from tests.conftest import TINY_WORDS, make_tiny_tokenizer

SIDE, FRAMES, WIDTH = 64, 3, 16
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8))
SIZES = {
    "sample_size": 8, "block_out_channels": (32, 64), "layers_per_block": 1, "num_frames": FRAMES,
    "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
    "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), "num_attention_heads": (2, 4),
    "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 24, "cross_attention_dim": WIDTH,
}  # fmt: skip


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """A folder as Stability AI's, with small random weights."""
    torch.manual_seed(0)
    vae = AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * 4, block_out_channels=(32, 32, 32, 32), layers_per_block=1
    )
    vision = CLIPVisionConfig(
        hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=224,
        patch_size=56, projection_dim=WIDTH,
    )  # fmt: skip
    scheduler = EulerDiscreteScheduler(
        prediction_type="v_prediction", timestep_type="continuous", timestep_spacing="leading", steps_offset=1,
        use_karras_sigmas=True, sigma_min=0.002, sigma_max=700.0, beta_schedule="scaled_linear",
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("published") / "svd"
    unet = UNetSpatioTemporalConditionModel(**SIZES)
    StableVideoDiffusionPipeline(
        vae, Vision(vision), unet, scheduler, CLIPImageProcessor(crop_size=224)
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def text_encoder(tmp_path_factory) -> Path:
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("text")
    config = CLIPTextConfig(
        vocab_size=4 + len(TINY_WORDS), hidden_size=WIDTH, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=24, pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    make_tiny_tokenizer().save_pretrained(folder / "tokenizer")
    return folder


def convert(*words: object) -> int:
    """The command's exit code."""
    with pytest.raises(SystemExit) as exit_:
        main(["convert", "svd", *map(str, words)])
    return exit_.value.code or 0


@pytest.fixture(scope="module")
def plain(published, tmp_path_factory) -> Path:
    dest = tmp_path_factory.mktemp("plain") / "svd"
    assert convert(published, dest, "--height", SIDE, "--width", SIDE) == 0
    return dest


@pytest.fixture(scope="module")
def worded(published, text_encoder, tmp_path_factory) -> Path:
    dest = tmp_path_factory.mktemp("worded") / "svd"
    assert convert(published, dest, "--height", SIDE, "--width", SIDE, "--text-encoder", text_encoder) == 0
    return dest


@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_it_makes_what_diffusers_own_pipeline_makes(published, plain, guidance):
    ours = load_bundle(plain, "cpu", torch.float32).pipeline
    theirs = StableVideoDiffusionPipeline.from_pretrained(published)
    theirs.set_progress_bar_config(disable=True)
    noise = torch.randn((1, 4, FRAMES, 8, 8), generator=torch.Generator().manual_seed(7))
    expected = theirs(
        PHOTO, SIDE, SIDE, num_inference_steps=4, min_guidance_scale=guidance, max_guidance_scale=guidance,
        noise_aug_strength=0.0, latents=noise.transpose(1, 2), output_type="np",
    ).frames[0]  # fmt: skip
    call = {"visual_guidance": guidance, "num_inference_steps": 4, "seed": 7, "output_type": "latent"}
    latents = ours(PHOTO, "anything", **call).frames
    frames = ours.backbone.decode(latents.transpose(0, 1)[None])[0].clamp(0, 1).permute(0, 2, 3, 1)
    assert np.abs(frames.detach().numpy() - expected).max() < 1e-4


@pytest.mark.parametrize("together", [1, 2])
def test_decoding_in_pieces_is_diffusers_chunks_and_changes_pixels_at_the_seams(published, plain, together):
    ours = load_bundle(plain, "cpu", torch.float32).pipeline.backbone
    theirs = StableVideoDiffusionPipeline.from_pretrained(published)
    torch.manual_seed(0)
    latents = torch.randn(1, 4, FRAMES, 8, 8)
    with torch.no_grad():
        pieces, whole = ours.decode(latents, together), ours.decode(latents)
        expected = theirs.decode_latents(latents.transpose(1, 2), FRAMES, together).transpose(1, 2) / 2 + 0.5
    assert (pieces - expected).abs().max() < 1e-5
    assert (pieces - whole).abs().max() > 1e-3


def network() -> SVDUNet:
    torch.manual_seed(0)
    return SVDUNet(**SIZES).eval()


@torch.no_grad()
def run(unet: SVDUNet, context: torch.Tensor, sample: torch.Tensor | None = None, temporal: bool = True):
    torch.manual_seed(1)
    drawn = torch.randn(1, 8, FRAMES, 8, 8)
    return unet(drawn if sample is None else sample, torch.tensor([0.3]), context, torch.ones(1, 3), temporal)


def test_each_frame_reads_its_own_context_and_time_the_first_ones():
    unet = network()
    contexts = torch.randn(1, FRAMES, 5, WIDTH)
    same = contexts[:, :1].expand(-1, FRAMES, -1, -1)
    torch.testing.assert_close(run(unet, same), run(unet, contexts[:, 0]))
    other = contexts.clone()
    other[:, 2] += 1
    # With the temporal half off a frame's context is its own alone.
    change = (run(unet, other, temporal=False) - run(unet, contexts, temporal=False)).abs().amax((0, 1, 3, 4))
    assert change[:2].tolist() == [0, 0]
    assert change[2] > 1e-4
    seen = []
    name = next(name for name in dict(unet.named_modules()) if name.endswith("temporal_transformer_blocks.0.attn2"))
    hook = unet.get_submodule(name).register_forward_hook(
        lambda layer, arguments, named, result: seen.append(named["encoder_hidden_states"]), with_kwargs=True
    )
    run(unet, contexts)
    hook.remove()
    assert torch.equal(seen[0], contexts[0, :1].expand_as(seen[0]))


def test_without_its_temporal_half_frames_are_single_pictures():
    unet = network()
    torch.manual_seed(2)
    sample, context = torch.randn(1, 8, FRAMES, 8, 8), torch.randn(1, 5, WIDTH)
    together = run(unet, context, sample, temporal=False)
    alone = torch.cat([run(unet, context, sample[:, :, t : t + 1], temporal=False) for t in range(FRAMES)], dim=2)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(together, run(unet, context, sample), atol=1e-3)


def settings(model: Path, clips: Path, out: Path, **changes):
    tree = {
        "method": "aid", "model": str(model), "out": str(out), "validation": {"scenes": 0},
        "dqformer": {"channels": 16, "heads": 2}, "adapters": {"head_dim": 8},
        "cross_attention": {"train": "lora", "rank": 2}, "bundle": "thin",
        "data": {"source": str(clips), "cache": str(out.parent / "cache"), "frames": FRAMES},
        "training": {"steps": 2, "batch_size": 2, "precision": "fp32", "tensorboard": False,
                     "optimizer": {"learning_rate": 0.01}},
    }  # fmt: skip
    return parse_recipe(tree | changes, [], "test.yaml")


def test_aid_trains_on_it_and_is_kept_beside_it(worded, clips, tmp_path):
    model = train(settings(worded, clips, tmp_path / "aid"))
    assert {path.relative_to(model).as_posix() for path in model.rglob("*.safetensors")} == {
        "adapters/aid.safetensors",
        "bottlenecks/diffusion_pytorch_model.safetensors",
        "dqformer/diffusion_pytorch_model.safetensors",
    }
    pipeline = load_bundle(model, "cpu").pipeline
    words = ("push the red box to the left", "lift the blue mug up")
    first, second = (pipeline(PHOTO, each, seed=1, num_inference_steps=2, output_type="np").frames for each in words)
    assert first.shape == (FRAMES, SIDE, SIDE, 3)
    assert not np.array_equal(first, second)


def test_fresh_adapters_leave_it_as_it_is_to_the_bit(worded, clips, tmp_path):
    changes = {"dqformer": {"multimodal": False, "decomposed": False}, "cross_attention": {"train": "frozen"}}
    begun = open_run(settings(worded, clips, tmp_path / "aid", **changes))
    samples = begun.stage.samples(begun.clips())
    begun.stage.prepare()
    objective = begun.stage.objective().eval()
    batch = torch.utils.data.default_collate([samples[0], samples[1]])
    with torch.no_grad():
        ours = objective(batch)["noise"]
        sites = [objective.backbone.sites(kind) for kind in ("spatial", "short_term", "long_term")]
        assert len(objective.handles) == sum(map(len, sites)) > 0
        for handle in objective.handles:
            handle.remove()
        assert torch.equal(objective(batch)["noise"], ours)


def test_what_is_missing_or_does_not_fit_is_one_sentence(published, plain, text_encoder, clips, tmp_path, capsys):
    def said(*words: object) -> str:
        assert convert(*words) == 2
        return " ".join(capsys.readouterr().err.split())

    broken = shutil.copytree(published, tmp_path / "broken")
    shutil.rmtree(broken / "vae")
    assert "has no folder vae: give Stable Video Diffusion's whole folder" in said(broken, tmp_path / "dest")
    wide = shutil.copytree(text_encoder, tmp_path / "wide")
    config = CLIPTextConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=50
    )
    CLIPTextModel(config).save_pretrained(wide / "text_encoder")
    message = said(published, tmp_path / "dest", "--text-encoder", wide)
    assert "has tokens of 8 numbers, and the UNet reads 16: give one of that width" in message
    assert "choose a multiple of 8" in said(published, tmp_path / "dest", "--height", 100)
    assert not (tmp_path / "dest").exists()
    with pytest.raises(InputError, match="has no text encoder, and instructions are read by one: convert it"):
        train(settings(plain, clips, tmp_path / "aid"))


def test_fp16_files_are_read_where_they_are_alone(published, tmp_path):
    source = shutil.copytree(published, tmp_path / "half")
    for path in source.rglob("*.safetensors"):
        path.rename(path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")))
    assert convert(source, tmp_path / "dest", "--height", SIDE, "--width", SIDE) == 0
    assert load_bundle(tmp_path / "dest").pipeline.unet.config.num_frames == FRAMES


def test_the_full_size_finds_all_its_places_on_the_meta_device():
    class Parts:
        pass

    parts = Parts()
    with torch.device("meta"):
        parts.unet = SVDUNet()
    backbone = SVDBackbone(parts)
    assert {kind: len(backbone.sites(kind)) for kind in ("spatial", "long_term", "short_term")} == {
        "spatial": 16, "long_term": 16, "short_term": 22,
    }  # fmt: skip
    assert len(backbone.cross_attention_targets()) == 2 * 16 * 4
    assert len(backbone.targets("spatial")) == 16 * (6 + 2)
    assert len(backbone.targets("temporal")) == 16 * (6 + 4)
    assert round(sum(each.numel() for each in parts.unet.parameters()) / 1e6) == 1525


def test_the_bundle_says_what_it_is(worded):
    index = json.loads((worded / "model_index.json").read_text())
    assert index["unet"] == ["showme.models.svd_unet", "SVDUNet"]
    assert index["repeat_first_frame"] is True
    assert json.loads((worded / "bundle.json").read_text())["backbone"] == "svd"


def test_showmes_two_stages_train_on_it_and_make_both(worded, clips, tmp_path):
    """The picture with the temporal half off, the video over it, and both in fewer steps by a third adapter."""
    common = {"method": "showme", "adapter": {"rank": 2, "dropout": 0.0}}
    keep = {"data", "training", "validation", "bundle"}

    def stage(name: str, model: Path, **more):
        tree = settings(worded, clips, tmp_path / name).model_dump(mode="json", include=keep)
        tree |= common | {"stage": name, "model": str(model), "out": str(tmp_path / name)} | more
        return parse_recipe(tree, [], "test.yaml")

    image = train(stage("state_image", worded))
    video = train(stage("state_video", image))
    names = {path.stem for path in (video / "adapters").glob("*.safetensors")}
    assert names == {"state_image", "state_video"}
    pipeline = load_bundle(video, "cpu").pipeline
    image_targets = set(pipeline.unet.peft_config["state_image"].target_modules)
    assert not any("temporal" in name for name in image_targets)
    made = pipeline(PHOTO, "push the red box to the left", "both", seed=1, num_inference_steps=2)
    assert made.image.size == (SIDE, SIDE)
    assert len(made.frames) == FRAMES
    quick = train(stage("fast", video, fast={"steps": 2, "substeps": 4}))
    assert load_file(quick / "adapters" / "fast.safetensors")
    made = load_bundle(quick, "cpu").pipeline(PHOTO, "push the red box to the left", "both", seed=1, output_type="pt")
    assert torch.isfinite(made.image).all()
    assert torch.isfinite(made.frames).all()


def test_ivg_says_which_backbones_have_a_place_for_a_region(worded, clips, tmp_path):
    tree = settings(worded, clips, tmp_path / "ivg").model_dump(
        mode="json", include={"model", "out", "data", "training", "validation"}
    )
    with pytest.raises(
        InputError, match="method ivg cannot be run on svd, whose backbone is svd: choose a model on video"
    ):
        train(parse_recipe(tree | {"method": "ivg", "stage": "region"}, [], "test.yaml"))
    assert not (tmp_path / "ivg").exists()
