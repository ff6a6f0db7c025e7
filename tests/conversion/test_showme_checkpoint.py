"""ShowMe's released LoRA files on a tiny base: what they compute, what is left out, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from showme.conversion.showme_checkpoint import FILES, convert_showme
from showme.errors import ConversionError, InputError
from showme.pipelines import load_bundle, save_bundle
from tests.conftest import make_tiny_info, make_tiny_pipeline

RANK = 3
UNET, PROJECTOR = "model.diffusion_model.middle_block", "image_proj_model.layers.0.0"


def pair(owner: str, part: str, inner: int, outer: int, zero: bool = False) -> dict[str, torch.Tensor]:
    b = torch.zeros(RANK, outer) if zero else 0.1 * torch.randn(RANK, outer)
    return {f"{owner}_lora_{part}.lora_A": torch.randn(inner, RANK), f"{owner}_lora_{part}.lora_B": b}


@pytest.fixture
def bare_pipeline():
    pipeline = make_tiny_pipeline()
    pipeline.unet.delete_adapters(["state_image", "state_video"])
    return pipeline


@pytest.fixture
def base(bare_pipeline, tmp_path) -> Path:
    save_bundle(bare_pipeline, make_tiny_info(), tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def source(tmp_path) -> Path:
    torch.manual_seed(0)
    image = pair(f"{UNET}.1.transformer_blocks.0.attn2.stage1", "cross_attn_ip_k", 16, 32)
    image |= pair(f"{UNET}.1.transformer_blocks.0.attn2.stage1", "cross_attn_k", 16, 32)
    image |= pair(f"{UNET}.2.transformer_blocks.0.ff.stage1", "ff_in", 32, 256, zero=True)
    for part in "qkv":
        image |= pair(f"{PROJECTOR}.stage1", f"cross_attn_{part}", 16, 16)
    video = pair(f"{UNET}.2.transformer_blocks.0.attn1.stage2", "self_attn_v", 32, 32)
    folder = tmp_path / "released"
    folder.mkdir()
    for name, weights in zip(FILES, (image, video), strict=True):
        torch.save(weights, folder / name)
    return folder


def delta(weights: dict, key: str) -> torch.Tensor:
    return (weights[f"{key}.lora_A"] @ weights[f"{key}.lora_B"]).T


def test_the_bundle_computes_what_the_release_does(base, source, bare_pipeline, tmp_path):
    inert = convert_showme(base, source, tmp_path / "out", frames=12, frame_stride=2)
    assert [key.rsplit(".", 1)[0] for key in inert] == [f"{UNET}.2.transformer_blocks.0.ff.stage1_lora_ff_in"] * 2
    converted = load_bundle(tmp_path / "out")
    assert (converted.info.num_frames, converted.info.default_scalar) == (12, 2)
    assert not converted.pipeline.config.repeat_first_frame

    weights = {k: v for name in FILES for k, v in torch.load(source / name, weights_only=True).items()}
    layer, projector = bare_pipeline.unet.mid_layers[0], bare_pipeline.image_projector
    block = f"{UNET}.1.transformer_blocks.0.attn2.stage1_lora_cross_attn"
    layer.spatial_attention.attn2.to_k_ip.weight.data += delta(weights, f"{block}_ip_k")
    layer.spatial_attention.attn2.to_k.weight.data += delta(weights, f"{block}_k")
    video = delta(weights, f"{UNET}.2.transformer_blocks.0.attn1.stage2_lora_self_attn_v")
    keys, values = projector.attentions[0].to_kv.weight.data.chunk(2)
    keys += delta(weights, f"{PROJECTOR}.stage1_lora_cross_attn_k")
    values += delta(weights, f"{PROJECTOR}.stage1_lora_cross_attn_v")
    projector.attentions[0].to_q.weight.data += delta(weights, f"{PROJECTOR}.stage1_lora_cross_attn_q")

    bare_pipeline.register_to_config(repeat_first_frame=False)
    picture = torch.rand(1, 3, 32, 32)
    settings = {"num_frames": 4, "seed": 0, "output_type": "latent", "scalar": 2.0}
    for task, field in (("image", "image"), ("video", "frames")):
        if task == "video":
            layer.temporal_attention.attn1.to_v.weight.data += video
        ours = getattr(converted.pipeline(picture, "push the red box", task, **settings), field)
        theirs = getattr(bare_pipeline(picture, "push the red box", task, **settings), field)
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_both_files_are_needed(base, source, tmp_path):
    (source / FILES[0]).unlink()
    with pytest.raises(InputError, match=f"no {FILES[0]}"):
        convert_showme(base, source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_base_with_adapters_is_refused(tiny_bundle, source, tmp_path):
    with pytest.raises(InputError, match="adapters of its own"):
        convert_showme(tiny_bundle, source, tmp_path / "out")


def test_keys_without_values_are_refused(base, source, tmp_path):
    weights = torch.load(source / FILES[0], weights_only=True)
    torch.save({k: v for k, v in weights.items() if "stage1_lora_cross_attn_v" not in k}, source / FILES[0])
    with pytest.raises(ConversionError, match="for k alone"):
        convert_showme(base, source, tmp_path / "out")
