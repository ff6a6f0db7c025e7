"""Wan 2.2 A14B's two experts: every step is on one side of their boundary, and each learns on its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from showme.backbones.paths import FlowPath
from showme.errors import InputError
from showme.experiment import train
from showme.methods.samples import Draw
from showme.pipelines import load_bundle
from tests.backbones.test_wan import picture
from tests.blob_clips import clips
from tests.conversion.test_wan_folder import run, thin_model
from tests.methods.aid.test_wan import recipe as aid_recipe
from tests.methods.ivg.test_wan import recipe as ivg_recipe
from tests.methods.showme.test_wan import FRAMES, losses, recipe

__all__ = ["clips"]
BOUNDARY = 0.875


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return thin_model("A14B", tmp_path_factory.mktemp("wan"), FRAMES)


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_a_step_is_on_one_side_as_often_as_levels_are(power):
    draw = Draw(0, FlowPath(5.0), timestep_power=power, boundary=BOUNDARY, batch=4)
    levels = torch.stack([draw.one_sided(position) for position in range(8000)]).view(-1, 4)
    above = levels >= BOUNDARY
    assert torch.equal(above.all(1), above.any(1))
    plain = Draw(0, FlowPath(5.0), timestep_power=power)
    free = torch.stack([plain.level(torch.Generator().manual_seed(seed)) for seed in range(8000)])
    assert float(above[:, 0].float().mean()) == pytest.approx(float((free >= BOUNDARY).float().mean()), abs=0.03)
    # Both together are drawn as they were.
    for share in (0.1, 0.25, 0.5, 0.75):
        assert float(levels.quantile(share)) == pytest.approx(float(free.quantile(share)), abs=0.02)


@pytest.mark.parametrize(("gate", "above"), [((-20.0, -5.0), True), ((0.0, 20.0), False)])
def test_a_gate_beyond_the_boundary_leaves_one_side(gate, above):
    draw = Draw(0, FlowPath(5.0), gate=gate, boundary=BOUNDARY, batch=2)
    levels = torch.stack([draw.one_sided(position) for position in range(50)])
    assert bool(((levels >= BOUNDARY) == above).all())


def adapters(model: Path, name: str) -> list[dict[str, torch.Tensor]]:
    return [load_file(model / folder / f"{name}.safetensors") for folder in ("adapters", "adapters/transformer_2")]


@pytest.mark.parametrize("stage", ["state_image", "state_video"])
def test_both_experts_learn_and_a_run_that_stopped_goes_on_to_the_bit(base, clips, tmp_path, stage):
    whole = train(recipe(stage, base, clips, tmp_path / "whole", {"steps": 8}))
    for state in adapters(whole, stage):
        assert any(value.any() for key, value in state.items() if ".lora_B." in key)
    train(recipe(stage, base, clips, tmp_path / "half", {"steps": 5}))
    resumed = train(recipe(stage, base, clips, tmp_path / "half", {"steps": 8}))
    for one, other in zip(adapters(whole, stage), adapters(resumed, stage), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)
    one = train(recipe(stage, base, clips, tmp_path / "one", {"steps": 1}))
    moved = [any(v.any() for key, v in state.items() if ".lora_B." in key) for state in adapters(one, stage)]
    assert sorted(moved) == [False, True]


def test_what_was_trained_is_asked_on_its_side(base, clips, tmp_path):
    model = train(recipe("state_video", base, clips, tmp_path / "run", {"steps": 8}))
    pipeline = load_bundle(model, "cpu", torch.float32).pipeline
    pipeline.set_progress_bar_config(disable=True)
    call = {"task": "video", "seed": 3, "num_inference_steps": 4, "output_type": "pt"}
    made = pipeline(picture(1), "push the red box", **call).frames
    for network in (pipeline.transformer, pipeline.transformer_2):
        network.delete_adapters("state_video")
        without = pipeline(picture(1), "push the red box", **call).frames
        assert (without - made).abs().max() > 1e-5
        made = without


def test_stage_region_of_ivg_trains_both(base, clips, tmp_path):
    model = train(ivg_recipe("region", base, clips, tmp_path / "region", {"steps": 8}))
    assert len(losses(tmp_path / "region")) == 8
    for state in adapters(model, "ivg_region"):
        assert any(value.any() for key, value in state.items() if ".lora_B." in key)


def test_aid_is_refused(base, clips, tmp_path):
    with pytest.raises(InputError, match=r"AID's adapters stand beside one network, and .* has two, by level"):
        train(aid_recipe(base, clips, tmp_path / "aid"))


def test_each_has_a_file_of_its_own_in_other_tools(base, clips, tmp_path, capsys):
    model = train(recipe("state_video", base, clips, tmp_path / "run", {"steps": 8}))
    assert run("convert", "lora", model, tmp_path / "x.safetensors", "--to", "comfyui") == 2
    assert "has two networks, for much noise and for little: say --expert high" in capsys.readouterr().err
    parts = []
    for expert in ("high", "low"):
        file, part = tmp_path / f"{expert}.safetensors", tmp_path / expert
        assert run("convert", "lora", model, file, "--to", "comfyui", "--expert", expert) == 0
        assert run("convert", "lora", file, part, "--base", base, "--expert", expert) == 0
        parts.append(part)
    together = load_bundle(f"{parts[0]}+{parts[1]}", "cpu", torch.float32).pipeline
    for network, state in zip(
        (together.transformer, together.transformer_2), adapters(model, "state_video"), strict=True
    ):
        held = network.blocks[0].attn1.to_q.lora_B["fast"].weight
        assert torch.equal(held, state["blocks.0.attn1.to_q.lora_B.weight"])
