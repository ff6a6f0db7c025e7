"""Wan's published folder under ShowMe: named and not copied, generated from, and refused where it does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    SkyReelsV2ImageToVideoPipeline,
    SkyReelsV2Transformer3DModel,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanTransformer3DModel,
)
from PIL import Image

from showme.cli import main
from showme.conversion.wan_folder import convert_folder
from showme.pipelines import load_bundle
from tests.backbones.test_wan import FORMS, FRAMES, SIDE, make_parts, ours, picture


def run(*words: object) -> int:
    """The exit code of the command line."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


def publish(form: str, folder: Path) -> Path:
    """A folder as the authors publish it, of small random weights."""
    parts = make_parts(form)
    plain = []
    for network in (parts.transformer, parts.transformer_2):
        plain.append(None if network is None else WanTransformer3DModel(**network.config))
        if network is not None:
            plain[-1].load_state_dict(network.state_dict())
    WanImageToVideoPipeline(
        parts.tokenizer, parts.text_encoder, parts.vae, UniPCMultistepScheduler(**parts.scheduler.config),
        parts.feature_extractor, parts.image_encoder, *plain, parts.config.boundary_ratio,
        parts.config.expand_timesteps,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def thin_model(form: str, folder: Path, frames: int) -> Path:
    """A thin bundle over a published folder of small random weights, both in ``folder``."""
    publish(form, folder / "published")
    return convert_folder(str(folder / "published"), folder / "model", (SIDE, SIDE), frames).folder


@pytest.fixture(scope="module", params=FORMS)
def published(request, tmp_path_factory) -> tuple[str, Path]:
    return request.param, publish(request.param, tmp_path_factory.mktemp("published") / "wan")


@pytest.fixture(scope="module")
def converted(published, tmp_path_factory) -> tuple[str, Path]:
    form, folder = published
    dest = tmp_path_factory.mktemp("converted") / "model"
    assert run("convert", "wan", folder, dest, "--height", SIDE, "--width", SIDE, "--frames", FRAMES) == 0
    return form, dest


def test_nothing_of_the_base_is_copied(converted):
    _, dest = converted
    assert not list(dest.rglob("*.safetensors"))
    assert sum(path.stat().st_size for path in dest.rglob("*") if path.is_file()) < 20_000


def test_it_generates_what_the_backbone_does(converted):
    form, dest = converted
    pipeline = load_bundle(dest, device="cpu").pipeline
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(
        picture(1), "push the red box", "video", num_inference_steps=4, guidance_scale=3.0, seed=7, output_type="latent"
    ).frames
    expected = ours(make_parts(form), [picture(1)], (0,), 3.0, 4)[0].transpose(0, 1)
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-4)


def test_the_command_makes_picture_and_video(converted, tmp_path):
    _, dest = converted
    picture(1).save(tmp_path / "photo.png")
    out = tmp_path / "out"
    words = ("generate", tmp_path / "photo.png", "push the red box", "--model", dest, "--steps", 2, "--out", out)
    assert run(*words) == 0
    record = json.loads((out / "run.json").read_text())
    assert record["settings"]["frames"] == FRAMES
    assert Image.open(out / "result.png").size == (SIDE, SIDE)
    assert run(*words, "--frames", 16) == 2


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return publish("2.2", tmp_path_factory.mktemp("plain") / "wan")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--frames", 16), "--frames 16: this codec takes 13 or 17, of which none is left out."),
        (("--height", 36), "--height 36: this codec takes multiples of 8, like 32."),
    ],
)
def test_shapes_that_do_not_fit(plain, tmp_path, capsys, words, sentence):
    sizes = {"--height": SIDE, "--width": SIDE} | dict([words])
    assert run("convert", "wan", plain, tmp_path / "model", *np.ravel(list(sizes.items())).tolist()) == 2
    assert capsys.readouterr().err.strip() == f"error: {sentence}"
    assert not (tmp_path / "model").exists()


def changed(plain: Path, tmp_path: Path, part: str, **values: object) -> Path:
    folder = tmp_path / "changed"
    shutil.copytree(plain, folder)
    file = folder / part
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
    return folder


@pytest.mark.parametrize(
    ("part", "values", "sentence"),
    [
        ("transformer/config.json", {"in_channels": 4}, "takes 4 channels, and a picture to begin with needs 12"),
        (
            "transformer/config.json",
            {"in_channels": 8},
            "this checkpoint is for something else, fetch",
        ),
        ("transformer/config.json", {"pos_embed_seq_len": 514}, "reads first and last frame at once (FLF2V)"),
        ("transformer/config.json", {"_class_name": "FluxTransformer2DModel"}, "holds a FluxTransformer2DModel"),
    ],
)
def test_other_checkpoints_are_named(plain, tmp_path, capsys, part, values, sentence):
    folder = changed(plain, tmp_path, part, **values)
    assert run("convert", "wan", folder, tmp_path / "model", "--height", SIDE, "--width", SIDE) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def publish_skyreels(folder: Path) -> SkyReelsV2ImageToVideoPipeline:
    """SkyReels-V2's pipeline of small random weights, and its folder."""
    parts = make_parts("2.1")
    network = SkyReelsV2Transformer3DModel(**{k: v for k, v in parts.transformer.config.items() if k[0] != "_"})
    network.load_state_dict(parts.transformer.state_dict())
    pipeline = SkyReelsV2ImageToVideoPipeline(
        parts.tokenizer, parts.text_encoder, parts.image_encoder, parts.feature_extractor, network.eval(), parts.vae,
        UniPCMultistepScheduler(**parts.scheduler.config),
    )  # fmt: skip
    pipeline.save_pretrained(folder)
    return pipeline


def test_skyreels_is_generated_from_as_diffusers_does_and_its_licence_is_printed(tmp_path, capsys):
    theirs = publish_skyreels(tmp_path / "published")
    words = ("--height", SIDE, "--width", SIDE, "--frames", FRAMES)
    assert run("convert", "wan", tmp_path / "published", tmp_path / "model", *words) == 0
    assert "Skywork community licence" in capsys.readouterr().out
    pipelines = load_bundle(tmp_path / "model", device="cpu").pipeline, theirs
    for pipeline in pipelines:
        pipeline.set_progress_bar_config(disable=True)
    made = pipelines[0](
        picture(1), "push the red box", "video", num_inference_steps=4, guidance_scale=3.0, seed=7, output_type="latent"
    ).frames
    noise = torch.randn(made.transpose(0, 1)[None].shape, generator=torch.Generator().manual_seed(7))
    expected = theirs(
        image=picture(1), prompt="push the red box", negative_prompt="", height=SIDE, width=SIDE, num_frames=FRAMES,
        num_inference_steps=4, guidance_scale=3.0, latents=noise, output_type="latent",
    ).frames  # fmt: skip
    torch.testing.assert_close(made, expected[0].transpose(0, 1), atol=1e-4, rtol=1e-4)


def test_a_skyreels_that_goes_block_by_block_is_refused(tmp_path, capsys):
    publish_skyreels(tmp_path / "published")
    folder = changed(tmp_path / "published", tmp_path, "transformer/config.json", inject_sample_info=True)
    assert run("convert", "wan", folder, tmp_path / "model", "--height", SIDE, "--width", SIDE) == 2
    assert "block by block (diffusion forcing, DF), which is not done: fetch" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_a_folder_that_is_not_there_and_one_without_its_codec(plain, tmp_path, capsys):
    assert run("convert", "wan", tmp_path / "absent", tmp_path / "model") == 2
    assert "There is no folder" in capsys.readouterr().err
    folder = changed(plain, tmp_path, "transformer/config.json")
    shutil.rmtree(folder / "vae")
    assert run("convert", "wan", folder, tmp_path / "model") == 2
    assert "has no folder vae" in capsys.readouterr().err
    (folder / "vae").mkdir()
    (folder / "model_index.json").write_text("[]")
    assert run("convert", "wan", folder, tmp_path / "model") == 2
    assert "model_index.json holds no settings by name" in capsys.readouterr().err


def test_a_base_that_was_changed_is_another(plain, tmp_path, capsys):
    folder = changed(plain, tmp_path, "transformer/config.json")
    assert run("convert", "wan", folder, tmp_path / "model", "--height", SIDE, "--width", SIDE, "--frames", 5) == 0
    changed_file = folder / "scheduler" / "scheduler_config.json"
    changed_file.write_text(json.dumps(json.loads(changed_file.read_text()) | {"flow_shift": 3.0}))
    picture(1).save(tmp_path / "photo.png")
    assert run("generate", tmp_path / "photo.png", "push it", "--model", tmp_path / "model") == 2
    assert "was made on another" in capsys.readouterr().err
