"""Wan's network: equal to diffusers' where both can be asked the same, and what only ours can be asked."""

from __future__ import annotations

import pytest
import torch
from diffusers import WanTransformer3DModel
from peft import LoraConfig

from showme.models.wan_transformer import PLACES, WanTransformer

_TEXT, _IMAGE, _CHANNELS = 12, 10, 4


def networks(image: bool = False, inputs: int = _CHANNELS):
    """diffusers' network and ours with the same random weights."""
    torch.manual_seed(0)
    config = {
        "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": inputs, "out_channels": _CHANNELS,
        "text_dim": _TEXT, "freq_dim": 16, "ffn_dim": 20, "num_layers": 2,
        **({"image_dim": _IMAGE, "added_kv_proj_dim": 24} if image else {}),
    }  # fmt: skip
    theirs = WanTransformer3DModel(**config).eval()
    ours = WanTransformer(**config).eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def given(slots: int = 3, length: int = 7, channels: int = _CHANNELS) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, channels, slots, 6, 8), torch.randn(2, length, _TEXT)


@torch.no_grad()
@pytest.mark.parametrize("image", [False, True])
def test_it_equals_diffusers(image):
    theirs, ours = networks(image)
    noisy, text = given(length=512)
    pictures = torch.randn(2, 5, _IMAGE) if image else None
    t = torch.tensor([300.0, 900.0])
    expected = theirs(noisy, t, text, pictures, return_dict=False)[0]
    torch.testing.assert_close(ours(noisy, t, text, pictures), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_level_for_every_slot_equals_diffusers_level_for_every_token():
    theirs, ours = networks()
    noisy, text = given()
    levels = torch.tensor([[0.0, 500, 700], [0, 100, 999]])
    expected = theirs(noisy, levels.repeat_interleave(12, dim=1), text, return_dict=False)[0]
    torch.testing.assert_close(ours(noisy, levels, text), expected, atol=1e-5, rtol=1e-5)
    equal = torch.full((2, 3), 400.0)
    torch.testing.assert_close(ours(noisy, equal, text), ours(noisy, equal[:, 0], text), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("image", [False, True])
def test_every_slot_may_read_a_text_of_its_own(image):
    _, ours = networks(image)
    noisy, text = given()
    pictures = torch.randn(2, 5, _IMAGE) if image else None
    t = torch.tensor([300.0, 900.0])
    same = ours(noisy, t, text[:, None].expand(-1, 3, -1, -1), pictures)
    torch.testing.assert_close(same, ours(noisy, t, text, pictures), atol=1e-5, rtol=1e-5)
    own = text[:, None].repeat(1, 3, 1, 1)
    own[:, 2] += 1
    assert (ours(noisy, t, own, pictures) - same).abs().amax() > 1e-3


@torch.no_grad()
def test_folded_slots_are_clips_of_one():
    _, ours = networks()
    noisy, text = given()
    t = torch.tensor([300.0, 900.0])
    alone = torch.cat([ours(noisy[:, :, k : k + 1], t, text) for k in range(3)], dim=2)
    torch.testing.assert_close(ours(noisy, t, text, folded=True), alone, atol=1e-5, rtol=1e-5)
    assert (ours(noisy, t, text) - alone).abs().amax() > 1e-3


@torch.no_grad()
def test_places_in_time_count_by_their_distance():
    _, ours = networks()
    noisy, text = given(slots=2)
    t = torch.tensor([300.0, 900.0])
    near, far, moved = (ours(noisy, t, text, positions=places) for places in ((0, 1), (0, 4), (3, 7)))
    torch.testing.assert_close(far, moved, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(near, ours(noisy, t, text))
    assert (near - far).abs().amax() > 1e-4


def test_checkpointing_changes_no_gradient():
    _, ours = networks()
    noisy, text = given()
    gradients = []
    for checkpointed in (False, True):
        ours.zero_grad()
        if checkpointed:
            ours.train()
            ours.enable_gradient_checkpointing()
        ours(noisy, torch.tensor([300.0, 900.0]), text).square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in ours.parameters()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


@torch.no_grad()
@pytest.mark.parametrize("name", PLACES)
def test_places_are_nothing_until_something_stands_there(name):
    theirs, ours = networks()
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    noisy, text = given()
    t = torch.tensor([300.0, 900.0])
    plain, seen = ours(noisy, t, text), []
    place = ours.blocks[0].get_submodule(name)
    zero = place.register_forward_hook(lambda layer, given, result: seen.append(given[0].shape))
    torch.testing.assert_close(ours(noisy, t, text), plain, atol=0, rtol=0)
    zero.remove()
    tokens, slots = 12, 3
    shapes = {"of_space": (2 * slots, tokens, 24), "of_time": (2 * tokens, slots, 24)}
    assert tuple(seen[0]) == shapes.get(name, (2 * slots, 24, 3, 4))
    place.register_forward_hook(lambda layer, given, result: result + given[0])
    assert (ours(noisy, t, text) - plain).abs().amax() > 1e-4


def adapted(names=("image", "video")) -> WanTransformer:
    """A network with adapters of random weights on its self-attention, all of them active."""
    network = networks()[1]
    for name in names:
        network.add_adapter(LoraConfig(r=2, target_modules=r".*attn1\.to_(q|k|v|out\.0)"), name)
    for parameter_name, parameter in network.named_parameters():
        if "lora_B" in parameter_name:
            torch.nn.init.normal_(parameter)
    network.set_adapters(list(names))
    return network.requires_grad_(False)


def test_an_adapter_apart_changes_each_slot_by_itself():
    network = adapted(("image",))
    noisy, text = given()
    level = torch.tensor([300.0, 900.0])
    # Of one slot, together and alone are the same.
    one = network(noisy[:, :, :1], level, text)
    torch.testing.assert_close(network(noisy[:, :, :1], level, text, apart=("image",)), one, atol=1e-5, rtol=1e-5)
    whole = network(noisy, level, text)
    assert (network(noisy, level, text, apart=("image",)) - whole).abs().max() > 1e-3
    # Where nothing goes from slot to slot, likewise.
    folded = network(noisy, level, text, folded=True)
    found = network(noisy, level, text, folded=True, apart=("image",))
    torch.testing.assert_close(found, folded, atol=1e-5, rtol=1e-5)


def test_an_adapter_apart_begins_at_nothing_and_takes_gradients_alone():
    network = adapted()
    noisy, text = given()
    level = torch.tensor([300.0, 900.0])
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(".image." in name)
        if "lora_B.image" in name:
            parameter.data.zero_()
    network.set_adapters(["video"])
    before = network(noisy, level, text)
    network.set_adapters(["image", "video"])
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(".image." in name)
    out = network(noisy, level, text, apart=("image",))
    torch.testing.assert_close(out, before, atol=1e-5, rtol=1e-5)
    out.square().sum().backward()
    taken = {name: parameter for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert taken
    assert all(".image." in name for name in taken)
    assert all(parameter.grad.abs().max() > 0 for name, parameter in taken.items() if "lora_B" in name)
    network.enable_gradient_checkpointing()
    network.train()
    again = network(noisy, level, text, apart=("image",))
    torch.testing.assert_close(again, out, atol=1e-5, rtol=1e-5)
