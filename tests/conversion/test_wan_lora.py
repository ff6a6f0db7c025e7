"""LoRA of Wan between tools: every key used or named, and outputs that are equal whoever loads it."""

from __future__ import annotations

import pytest
import torch
from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline, WanTransformer3DModel
from safetensors.torch import load_file, save_file

from showme.backbones.lora import active_adapters, adapter_state, add_fresh_adapter, attach_adapter, lora_config
from showme.backbones.wan import WanBackbone
from showme.conversion.wan_folder import convert_folder
from showme.conversion.wan_lora import read_lora, write_lora
from showme.errors import InputError
from showme.models.wan_transformer import WanTransformer
from showme.pipelines import load_bundle
from tests.backbones.test_wan import SIDE, make_parts, picture
from tests.conversion.test_wan_folder import publish, run


def given(network) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(5)
    config = network.config
    image = None if config.image_dim is None else torch.randn(1, 5, config.image_dim)
    return (
        torch.randn(1, config.in_channels, 2, 4, 4),
        torch.tensor([500.0]),
        torch.randn(1, 512, config.text_dim),
        image,
    )


@pytest.fixture(params=["in place", "2.1"])
def parts(request):
    """Networks with an adapter that changes something, of two ranks."""
    parts = make_parts(request.param)
    names = WanBackbone(parts).targets("all")
    wide = [name for name in names if ".ffn." in name]
    add_fresh_adapter(parts.transformer, "mine", lora_config(names, 2, 0.0, (wide, 4)))
    for name, parameter in parts.transformer.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return parts


@torch.no_grad()
def output(network, adapters) -> torch.Tensor:
    with active_adapters(network, adapters):
        return network(*given(network))


def fresh(parts) -> WanTransformer:
    """The same network without adapters."""
    network = WanTransformer(**parts.transformer.config).eval()
    state = {k.replace(".base_layer.", "."): v for k, v in parts.transformer.state_dict().items() if ".lora_" not in k}
    network.load_state_dict(state)
    return network


@torch.no_grad()
@pytest.mark.parametrize("to", ["diffusers", "comfyui"])
def test_diffusers_loads_ours_and_ours_is_read_back(parts, tmp_path, to):
    state = adapter_state(parts.transformer, "mine")
    write_lora(state, tmp_path / "lora.safetensors", to)
    expected, bare = output(parts.transformer, ["mine"]), output(fresh(parts), [])
    assert (expected - bare).abs().max() > 1e-2

    config, again = read_lora(tmp_path / "lora.safetensors")
    assert again.keys() == state.keys()
    ours = fresh(parts)
    attach_adapter(ours, "again", config, again, tmp_path / "lora.safetensors")
    torch.testing.assert_close(output(ours, ["again"]), expected, atol=1e-5, rtol=1e-5)

    plain = WanTransformer3DModel(**parts.transformer.config).eval()
    plain.load_state_dict(fresh(parts).state_dict())
    pipeline = WanImageToVideoPipeline(
        parts.tokenizer, parts.text_encoder, parts.vae, UniPCMultistepScheduler(), transformer=plain
    )
    pipeline.load_lora_weights(str(tmp_path), weight_name="lora.safetensors")
    noisy, t, text, image = given(plain)
    torch.testing.assert_close(plain(noisy, t, text, image, return_dict=False)[0], expected, atol=1e-5, rtol=1e-5)


def test_other_spellings_and_scales_are_read(parts, tmp_path):
    state = adapter_state(parts.transformer, "mine")
    write_lora(state, tmp_path / "ours.safetensors", "comfyui")
    tensors = load_file(tmp_path / "ours.safetensors")
    spelled = {}
    for key, value in tensors.items():
        name = key.replace("lora_A", "lora_down").replace("lora_B", "lora_up")
        spelled[name] = value if "lora_A" in key else value * 4
        if "lora_A" in key:
            spelled[key.replace("lora_A.weight", "alpha")] = torch.tensor(len(value) / 4)
    save_file(spelled, tmp_path / "theirs.safetensors")
    _, again = read_lora(tmp_path / "theirs.safetensors")
    for key, value in state.items():
        torch.testing.assert_close(again[key], value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"diffusion_model.blocks.0.self_attn.norm_q.diff": torch.ones(3)}, "which has no place in a LoRA of Wan"),
        ({"lora_unet_blocks_0_self_attn_q.alpha": torch.tensor(1.0)}, "which has no place in a LoRA of Wan"),
        ({"diffusion_model.blocks.9.self_attn.q.lora_A.weight": torch.ones(2, 4)}, "only lora_A"),
        ({"transformer.blocks.0.attn1.to_q.lora_A.weight": torch.ones(2, 4)}, "twice"),
    ],
)
def test_keys_without_a_place_are_named(parts, tmp_path, change, sentence):
    write_lora(adapter_state(parts.transformer, "mine"), tmp_path / "lora.safetensors", "comfyui")
    save_file(load_file(tmp_path / "lora.safetensors") | change, tmp_path / "changed.safetensors")
    with pytest.raises(InputError, match=sentence):
        read_lora(tmp_path / "changed.safetensors")


def test_an_adapter_of_another_width_is_refused(parts, tmp_path):
    write_lora(adapter_state(parts.transformer, "mine"), tmp_path / "lora.safetensors", "diffusers")
    config, state = read_lora(tmp_path / "lora.safetensors")
    wide = WanTransformer(**parts.transformer.config | {"num_attention_heads": 4})
    with pytest.raises(InputError, match=r"does not fit the network: blocks\.\S+ is of \(\d+, \d+\), and"):
        attach_adapter(wide, "mine", config, state, tmp_path / "lora.safetensors")


def test_what_is_no_safetensors(tmp_path):
    (tmp_path / "lora.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        read_lora(tmp_path / "lora.safetensors")
    save_file({"x": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="holds x, which has no place"):
        read_lora(tmp_path / "other.safetensors")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wan")
    publish("2.1", folder / "published")
    return convert_folder(str(folder / "published"), folder / "model", (SIDE, SIDE), 5).folder


def a_lora(path) -> None:
    """As somebody publishes it, of attention to text and to places alone."""
    parts = make_parts("2.1")
    add_fresh_adapter(parts.transformer, "fast", lora_config(WanBackbone(parts).targets("all", False), 2, 0.0))
    state = adapter_state(parts.transformer, "fast")
    torch.manual_seed(6)
    state = {key: torch.randn_like(value) * 0.3 if "lora_B" in key else value for key, value in state.items()}
    write_lora(state, path, "comfyui")


def test_a_published_lora_is_added_to_a_model_and_used(model, tmp_path, capsys):
    a_lora(tmp_path / "fast.safetensors")
    words = ("convert", "lora", tmp_path / "fast.safetensors", tmp_path / "fast", "--base", model)
    assert run(*words) == 0
    assert "says nothing of attn2.add_k_proj" in capsys.readouterr().out
    plain, fast = (load_bundle(each, "cpu", torch.float32) for each in (model, tmp_path / "fast"))
    assert fast.info.default_steps == 4
    call = {"seed": 3, "num_inference_steps": 2, "guidance_scale": 1.0, "output_type": "pt"}
    for each in (plain, fast):
        each.pipeline.set_progress_bar_config(disable=True)
    made = [each.pipeline(picture(1), "push the red box", "both", **call) for each in (plain, fast)]
    assert (made[0].frames - made[1].frames).abs().max() > 1e-4
    assert (made[0].image - made[1].image).abs().max() > 1e-4


def test_over_adapters_of_its_own_both_are_asked_for(model, tmp_path, capsys, monkeypatch, recwarn):
    a_lora(tmp_path / "lora.safetensors")
    words = ("convert", "lora", tmp_path / "lora.safetensors")
    with monkeypatch.context() as patched:
        patched.setattr("showme.conversion.lora_files.FAST", "state_video")
        assert run(*words, tmp_path / "tuned", "--base", model) == 0
    assert not [each for each in recwarn if "meta" in str(each.message)]
    assert run(*words, tmp_path / "fast", "--base", tmp_path / "tuned") == 0
    assert f"--model {tmp_path / 'tuned'}+{tmp_path / 'fast'}" in capsys.readouterr().out
    pipeline = load_bundle(f"{tmp_path / 'tuned'}+{tmp_path / 'fast'}", "cpu", torch.float32).pipeline
    assert set(pipeline.transformer.peft_config) == {"state_video", "fast"}
    assert run(*words, tmp_path / "again", "--base", tmp_path / "fast") == 2
    assert "has an adapter fast already" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def test_an_adapter_goes_out_and_comes_in_as_it_was(model, tmp_path):
    a_lora(tmp_path / "fast.safetensors")
    assert run("convert", "lora", tmp_path / "fast.safetensors", tmp_path / "fast", "--base", model) == 0
    assert run("convert", "lora", tmp_path / "fast", tmp_path / "out.safetensors", "--to", "comfyui") == 0
    before, after = load_file(tmp_path / "fast.safetensors"), load_file(tmp_path / "out.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize(("words", "sentence"), [
    (("{model}", "{out}"), "Say --to diffusers or --to comfyui"),
    (("{model}", "{out}", "--to", "a1111"), "--to 'a1111': choose diffusers or comfyui."),
    (("{model}", "{out}", "--to", "comfyui"), "has these adapters: none; name one with --adapter."),
    (("embedded", "{out}", "--to", "comfyui"), "embedded is a video_unet, and this is for LoRA of Wan"),
    (("{out}", "{out}", "--base", "{model}"), "There is no file"),
])  # fmt: skip
def test_commands_that_cannot_be(model, tmp_path, capsys, words, sentence):
    names = {"model": str(model), "out": str(tmp_path / "out")}
    assert run("convert", "lora", *(word.format(**names) for word in words)) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
