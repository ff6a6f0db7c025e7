"""AnimateAnything's folder as it is published, of tiny networks: converted, asked, refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from showme.cli import main
from showme.conversion.animate_anything_folder import convert_folder
from showme.conversion.clip_tokenizer import find_vocabulary, make_tokenizer
from showme.errors import InputError
from showme.pipelines import load_bundle
from tests.golden.conftest import Golden, golden_files


def _run(words: list[str]) -> int:
    """The exit code of the command line."""
    with pytest.raises(SystemExit) as end:
        main(words)
    return int(end.value.code or 0)


@pytest.fixture(scope="module", params=golden_files("animate_anything"))
def published(request, tmp_path_factory) -> Path:
    """The golden UNet, and a codec, a text encoder and a scheduler of random weights, as diffusers saved them."""
    pytest.importorskip("open_clip", reason="open_clip_torch brings the tokenizer's vocabulary")
    folder = tmp_path_factory.mktemp("published")
    golden = Golden(request.param)
    (folder / "unet").mkdir()
    (folder / "unet" / "config.json").write_text(json.dumps({"_class_name": "UNet3DConditionModel"} | golden.config))
    save_file({k: v.half() for k, v in golden.weights.items()}, folder / "unet" / "diffusion_pytorch_model.safetensors")
    torch.manual_seed(0)
    blocks = {"block_out_channels": (8, 8, 8, 8), "norm_num_groups": 4, "layers_per_block": 1, "latent_channels": 4}
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, **blocks
    ).save_pretrained(folder / "vae")
    width = golden.config["cross_attention_dim"]
    CLIPTextModel(
        CLIPTextConfig(hidden_size=width, intermediate_size=width, num_hidden_layers=1, num_attention_heads=2)
    ).save_pretrained(folder / "text_encoder")
    make_tokenizer(find_vocabulary(None, folder)).save_pretrained(folder / "tokenizer")
    DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1).save_pretrained(
        folder / "scheduler"
    )
    return folder


@pytest.fixture(scope="module")
def converted(published, tmp_path_factory) -> Path:
    return convert_folder(published, tmp_path_factory.mktemp("converted") / "aa", size=64)


def test_the_bundle_samples_as_the_release_does(converted):
    bundle = load_bundle(converted)
    pipeline, info = bundle.pipeline, bundle.info
    assert (info.method, info.num_frames, info.default_steps, info.default_scalar) == ("ivg", 16, 25, 3)
    config = pipeline.config
    assert (config.num_inference_steps, config.guidance_scale, config.start_from_first_frame) == (25, 9.0, True)
    assert type(pipeline.scheduler).__name__ == "DPMSolverMultistepScheduler"
    assert pipeline.takes_region
    assert not pipeline.finds_region
    assert pipeline.image_encoder is None


def test_every_weight_has_its_place(published, converted):
    theirs = load_file(published / "unet" / "diffusion_pytorch_model.safetensors")
    ours = load_file(converted / "unet" / "diffusion_pytorch_model.safetensors")
    kept = {name: value for name, value in theirs.items() if not name.startswith("motion_embedding.")}
    assert len(ours) == len(kept)
    assert {value.dtype for value in ours.values()} == {torch.float16}
    assert sum(value.double().sum() for value in ours.values()) == pytest.approx(
        float(sum(value.double().sum() for value in kept.values()))
    )


def test_generate_takes_region_and_motion(converted, tmp_path, capsys):
    Image.new("RGB", (64, 64), (120, 90, 60)).save(tmp_path / "photo.png")
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    photo, model = str(tmp_path / "photo.png"), str(converted)
    command = ["generate", photo, "stir", "--model", model, "--steps", "2", "--frames", "3"]
    for name, more in (
        ("white", []),
        ("masked", ["--region", str(tmp_path / "mask.png")]),
        ("fast", ["--motion", "9"]),
    ):
        assert _run([*command, "--out", str(tmp_path / name), *more]) == 0
        assert (tmp_path / name / "action.mp4").is_file()
    white, masked = (np.asarray(Image.open(tmp_path / name / "region.png")) for name in ("white", "masked"))
    assert (white == 255).all()
    assert (masked[16:48, 16:48].min(), masked[:14].max()) == (255, 0)
    videos = {(tmp_path / name / "action.mp4").read_bytes() for name in ("white", "masked", "fast")}
    assert len(videos) == 3
    page = (tmp_path / "masked" / "index.html").read_text()
    assert 'src="region.png"' in page
    record = json.loads((tmp_path / "masked" / "run.json").read_text())
    assert record["settings"]["region"].endswith("mask.png")
    assert record["outputs"].keys() >= {"region.png", "action.mp4"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: shutil.rmtree(folder / "vae"), "has no folder vae: give AnimateAnything's whole folder"),
        (lambda folder: (folder / "unet" / "config.json").write_text("{}"), "has no field 'in_channels'"),
        (lambda folder: (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink(), "holds no weights: put"),
    ],
)
def test_other_folders_are_refused(published, tmp_path, change, sentence):
    shutil.copytree(published, tmp_path / "copy")
    change(tmp_path / "copy")
    with pytest.raises(InputError, match=sentence):
        convert_folder(tmp_path / "copy", tmp_path / "dest")
    assert not (tmp_path / "dest").exists()


@pytest.mark.parametrize("extra", [True, False])
def test_missing_and_extra_weights_are_refused_in_one_sentence(published, tmp_path, capsys, extra):
    shutil.copytree(published, tmp_path / "copy")
    file = tmp_path / "copy" / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    if extra:
        weights["conv_in3.weight"] = torch.zeros(1)
    else:
        del weights["conv_out.bias"]
    save_file(weights, file)
    assert _run(["convert", "animate_anything", str(tmp_path / "copy"), str(tmp_path / "dest")]) == 2
    err = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert len(err) == 1
    assert ("conv_in3.weight" if extra else "conv_out.bias") in err[0]
    assert not (tmp_path / "dest").exists()
