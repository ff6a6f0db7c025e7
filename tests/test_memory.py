"""Frozen weights that are narrow, packed, or wait in main memory: what trains beside them, and what is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from showme.backbones.waiting import BlockLoader, wait, waits
from showme.bundle import open_bundle
from showme.errors import InputError
from showme.experiment import open_run, train
from showme.methods import find_method
from showme.methods.recipes import parse_recipe
from showme.models.wan_transformer import WanTransformer
from showme.pipeline_files import _placed
from showme.pipelines import load_bundle, load_pipeline
from showme.quantization import Base, packing
from tests.blob_clips import clips
from tests.conversion.test_wan_folder import thin_model
from tests.methods.showme.test_wan import FRAMES, generated, losses, recipe

__all__ = ["clips"]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A thin bundle over a published folder of small random weights."""
    return thin_model("in place", tmp_path_factory.mktemp("wan"), FRAMES)


def small() -> WanTransformer:
    torch.manual_seed(0)
    return WanTransformer(
        num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=12, freq_dim=16,
        ffn_dim=20, num_layers=3,
    )  # fmt: skip


def gradients(network: WanTransformer) -> list[torch.Tensor]:
    torch.manual_seed(1)
    noisy, text = torch.randn(2, 4, 3, 6, 8), torch.randn(2, 7, 12)
    network(noisy, torch.tensor([300.0, 900.0]), text).square().mean().backward()
    found = [parameter.grad for parameter in network.parameters() if parameter.requires_grad]
    network.zero_grad(set_to_none=True)
    return found


def test_blocks_that_wait_give_the_same_gradients():
    network = small().train()
    network.enable_gradient_checkpointing()
    network.requires_grad_(False)
    for block in network.blocks:
        block.attn1.to_q.requires_grad_(True)
    expected = gradients(network)
    assert not waits(network)
    wait(network, torch.device("cpu"))
    assert waits(network)
    for one, other in zip(gradients(network), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_block_holds_its_weights_for_its_turn_alone():
    network = small().requires_grad_(False)
    loader = BlockLoader(network.blocks, torch.device("cpu"))
    block, before = network.blocks[1], network.blocks[1].ffn.net[2].weight

    def look(x: torch.Tensor) -> torch.Tensor:
        assert block.ffn.net[2].weight is not before
        return x + block.ffn.net[2].weight.sum()

    block.forward = look
    torch.testing.assert_close(loader.run(block, torch.zeros(())), before.sum())
    assert block.ffn.net[2].weight is before


@pytest.mark.parametrize("kind", ["fp8", "int8"])
def test_a_run_on_packed_weights_learns_and_keeps_its_adapter_alone(base, clips, tmp_path, kind):
    plain = train(recipe("state_video", base, clips, tmp_path / "plain"))
    model = train(recipe("state_video", base, clips, tmp_path / kind, {"precision": "auto"}, memory={"base": kind}))
    # Another rounding of the same network.
    assert losses(tmp_path / kind) == pytest.approx(losses(tmp_path / "plain"), rel=0.1)
    assert losses(tmp_path / kind) != losses(tmp_path / "plain")
    names = [path.relative_to(model).as_posix() for path in model.rglob("*.safetensors")]
    assert names == ["adapters/state_video.safetensors"]
    assert adapter(model).keys() == adapter(plain).keys()
    assert {value.dtype for value in adapter(model).values()} == {torch.float32}
    state = json.loads(next((tmp_path / kind / "checkpoints").glob("*/state.json")).read_text())
    assert state["pace"]["precision"] == "bf16"
    assert torch.isfinite(generated(model, task="video")[1].frames).all()


def adapter(model: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(model / "adapters" / "state_video.safetensors")


@pytest.mark.parametrize("stage", ["state_image", "state_video"])
def test_a_run_whose_blocks_wait_is_the_same_run(base, clips, tmp_path, stage):
    checkpointed = {"gradient_checkpointing": True}
    validated = {"validation": {"scenes": 1, "steps": 1}}
    train(recipe(stage, base, clips, tmp_path / "there", checkpointed, **validated))
    train(recipe(stage, base, clips, tmp_path / "waits", checkpointed, memory={"offload": True}, **validated))
    assert losses(tmp_path / "waits") == losses(tmp_path / "there")
    assert (tmp_path / "waits" / "validation" / "index.html").is_file()


def test_a_run_on_a_narrow_base_goes_on_to_the_bit(base, clips, tmp_path):
    narrow = {"memory": {"base": "bf16"}}
    whole = train(recipe("state_video", base, clips, tmp_path / "whole", {"steps": 4, "precision": "bf16"}, **narrow))
    for steps in (2, 4):
        half = {"steps": steps, "precision": "bf16"}
        resumed = train(recipe("state_video", base, clips, tmp_path / "half", half, **narrow))
    name = "adapters/state_video.safetensors"
    assert (whole / name).read_bytes() == (resumed / name).read_bytes()


def test_a_whole_model_keeps_the_weights_that_it_came_with(clips, tmp_path, tiny_bundle):
    settings = recipe(
        "state_video", tiny_bundle, clips, tmp_path / "run", {"precision": "bf16"}, memory={"base": "bf16"},
        bundle="whole", fresh=True,
    )  # fmt: skip
    model = train(settings)
    tuned, before = (load_bundle(each, "cpu", torch.float32).pipeline for each in (model, tiny_bundle))
    for name in ("vae", "text_encoder"):
        one, other = getattr(tuned, name).state_dict(), getattr(before, name).state_dict()
        assert all(torch.equal(one[key], other[key]) for key in other)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"memory": {"base": "int3"}}, "memory.base 'int3'"),
        ({"memory": {"base": "int8"}}, "memory.base is int8, which computes in bf16: set training.precision to it"),
        ({"memory": {"offload": True}}, "set training.gradient_checkpointing"),
    ],
)
def test_settings_that_do_not_go_together(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        recipe("state_video", Path("model"), Path("clips"), Path("out"), **changes)


def test_int4_and_waiting_do_not_go_together(tmp_path):
    training = {"gradient_checkpointing": True, "precision": "bf16"}
    with pytest.raises(InputError, match=r"int4's cannot be: set memory\.base to int8, fp8 or bf16"):
        recipe("state_video", tmp_path, tmp_path, tmp_path, training, memory={"base": "int4", "offload": True})


@pytest.mark.parametrize("stage", ["state_image", "state_video"])
def test_a_cache_is_filled_without_the_denoiser(base, clips, tmp_path, stage):
    run = open_run(recipe(stage, base, clips, tmp_path / "run"))
    # Whatever would ask it fails.
    run.stage.pipeline.transformer.to("meta")
    cached = run.clips()
    assert torch.isfinite(cached[0]["latents"]).all()


def test_until_training_begins_the_denoiser_stays_in_main_memory(base, clips, tmp_path):
    pipeline = load_pipeline(open_bundle(base), "cpu", base=Base("bf16"))
    # Another device that every machine has; of one that computes there may be none.
    there = torch.device("meta")
    assert _placed(pipeline, there, Base("bf16")) is pipeline
    assert {parameter.device.type for parameter in pipeline.transformer.parameters()} == {"cpu"}
    assert {parameter.device for parameter in pipeline.vae.parameters()} == {there}
    assert pipeline.backbone.device == there
    stage = find_method("showme").stage(recipe("state_video", base, clips, tmp_path / "run"), pipeline)
    stage.prepare()
    stage.objective().place(there)
    assert {parameter.device for parameter in pipeline.transformer.parameters()} == {there}


def test_a_denoiser_that_is_asked_for_the_cache_is_there(clips, tmp_path, tiny_bundle):
    settings = {"method": "ivg", "region": "predicted"}
    config = recipe("video", tiny_bundle, clips, tmp_path / "run", **settings, adapter={"rank": 2})
    assert find_method("ivg").stage(config, load_pipeline(open_bundle(tiny_bundle), method="ivg")).caches_predictions
    other = parse_recipe(config.model_dump(mode="json"), ["region=truth"], "test.yaml")
    assert not find_method("ivg").stage(other, load_pipeline(open_bundle(tiny_bundle), method="ivg")).caches_predictions


def test_what_a_machine_cannot_run_is_refused(monkeypatch):
    with pytest.raises(InputError, match=r"memory\.base int4 runs on CUDA GPUs alone, this is cpu: choose int8"):
        packing(Base("int4"), torch.device("cpu"))
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(InputError, match=r"memory\.base int8 needs the package torchao: pip install"):
        packing(Base("int8"), torch.device("cpu"))


def test_a_network_without_such_blocks_is_refused(clips, tmp_path, tiny_bundle):
    training = {"gradient_checkpointing": True}
    with pytest.raises(InputError, match=r"memory\.offload: VideoUNet has no blocks that can wait: it is for Wan"):
        train(recipe("state_video", tiny_bundle, clips, tmp_path / "run", training, memory={"offload": True}))


def test_what_one_process_alone_can_do_is_refused_to_several(base, clips, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    training = {"gradient_checkpointing": True, "precision": "bf16"}
    with pytest.raises(InputError, match=r"memory\.offload is for one process"):
        train(recipe("state_video", base, clips, tmp_path / "run", training, memory={"offload": True}))
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(InputError, match=r"FSDP2 shards weights of one precision: set memory\.base to fp32"):
        train(recipe("state_video", base, clips, tmp_path / "run", training, memory={"base": "bf16"}))
