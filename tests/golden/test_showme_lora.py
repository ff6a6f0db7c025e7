"""ShowMe's released adapters, through peft, give the released network's outputs; every key has its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from showme.backbones.lora import attach_adapter
from showme.conversion import dynamicrafter
from showme.conversion.showme_lora import convert_lora, lora_places, peft_adapter
from showme.errors import ConversionError
from showme.methods.showme.tasks import STATE_IMAGE, STATE_VIDEO

from .conftest import Golden, golden_files
from .test_networks import split_context
from .test_reference_keys import DYNAMICRAFTER

CASES = {"image_stage1": [STATE_IMAGE], "video16_stage2_only": [STATE_VIDEO]}


@pytest.mark.parametrize("path", golden_files("showme_lora"))
@torch.no_grad()
def test_released_adapters(path, compare):
    golden = Golden(path)
    model = dynamicrafter.convert_unet(golden.weights, golden.config)
    for name, adapter in convert_lora(lora_weights(path), model.config).items():
        config, state = peft_adapter(adapter.unet)
        attach_adapter(model, name, config, state, path)
    for name in golden.metadata["cases"]:
        case = golden.case(name)
        text, image = split_context(case["context"], case["sample"].shape[2])
        model.set_adapters(CASES.get(name, [STATE_IMAGE, STATE_VIDEO]))
        temporal = not name.startswith("image")
        output = model(case["sample"], case["timestep"], text, image, scalar=case["fs"], temporal=temporal)
        compare(f"{path.stem}:{name}", output, case["output"])


def lora_weights(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, "pt") as file:
        names = [key for key in file.keys() if key.startswith("lora.")]  # noqa: SIM118 (not a dict)
        return {name.removeprefix("lora."): file.get_tensor(name).float() for name in names}


@pytest.mark.parametrize(("file", "adapter", "untrained"), [("image", STATE_IMAGE, 34), ("video", STATE_VIDEO, 0)])
def test_every_key_of_a_full_size_file_has_one_place(reference_keys, file, adapter, untrained):
    keys = reference_keys[f"showme_lora_{file}"]
    places = lora_places(keys, dynamicrafter.unet_config(_full_size()))
    assert sorted(key for place in places for key in (place.a, place.b)) == sorted(keys)
    assert {place.adapter for place in places} == {adapter}
    assert len({(place.network, place.module, place.part) for place in places}) == len(places)
    assert sum(place.untrained for place in places) == untrained
    assert all("ff." in place.module for place in places if place.untrained)


def test_trained_sizes_are_those_of_the_specification(reference_keys):
    sizes = dict.fromkeys((STATE_IMAGE, STATE_VIDEO), 0)
    for keys in (reference_keys["showme_lora_image"], reference_keys["showme_lora_video"]):
        for place in lora_places(keys, dynamicrafter.unet_config(_full_size())):
            if not place.untrained:
                sizes[place.adapter] += sum(torch.Size(keys[key]).numel() for key in (place.a, place.b))
    assert sizes[STATE_IMAGE] / 1e6 == pytest.approx(52.7, abs=0.05)
    assert sizes[STATE_VIDEO] / 1e6 == pytest.approx(46.6, abs=0.05)


def test_an_unknown_key_and_half_a_pair_are_named(reference_keys):
    keys = list(reference_keys["showme_lora_image"])
    config = dynamicrafter.unet_config(_full_size())
    with pytest.raises(ConversionError, match=r"lacks its other half"):
        lora_places(keys[1:], config)
    with pytest.raises(ConversionError, match=r"model\.diffusion_model\.nothing"):
        lora_places([*keys, "model.diffusion_model.nothing"], config)


def _full_size() -> dict:
    return {**DYNAMICRAFTER, "image_cross_attention": True, "image_cross_attention_scale_learnable": True}
