"""A whole checkpoint file becomes a bundle that loads and generates; everything wrong with a file is said in a line."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from showme.conversion.dynamicrafter_checkpoint import convert_checkpoint
from showme.conversion.dynamicrafter_releases import check_schedule, choose_size, make_scheduler
from showme.errors import ConversionError, InputError
from showme.models.schedulers import DynamicRescaleDDIMScheduler
from showme.pipelines import load_bundle
from showme.weight_files.checkpoint_file import read_weights

from .conftest import SIZE
from .originals import schedule_originals


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint):
    return make_checkpoint()


@pytest.fixture(scope="module")
def source(checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "model.ckpt"
    torch.save({"state_dict": checkpoint.weights, "global_step": 100}, path)
    return path


@pytest.fixture(scope="module")
def bundle(source, head_widths, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted") / "dynamicrafter"
    steps: list[str] = []
    assert convert_checkpoint(source, folder, progress=steps.append, head_widths=head_widths) == folder
    assert len(steps) == 3
    assert "model.ckpt" in steps[0]
    return load_bundle(folder, device="cpu")


def assert_same_weights(network, original):
    state, expected = network.state_dict(), original.state_dict()
    assert set(state) == set(expected)
    for key, value in expected.items():
        assert torch.equal(state[key], value), key


def test_weights_and_settings_arrive(bundle, checkpoint):
    pipeline = bundle.pipeline
    assert_same_weights(pipeline.unet, checkpoint.unet)
    assert_same_weights(pipeline.image_projector, checkpoint.projector)
    assert_same_weights(pipeline.vae, checkpoint.vae)
    ignored = ("_use_default_values", "_name_or_path", "_class_name", "_diffusers_version")
    for ours, original in ((pipeline.unet, checkpoint.unet), (pipeline.image_projector, checkpoint.projector)):
        expected = {key: value for key, value in original.config.items() if key not in ignored}
        got = {key: ours.config[key] for key in expected}
        assert {k: list(v) if isinstance(v, tuple) else v for k, v in got.items()} == {
            k: list(v) if isinstance(v, tuple) else v for k, v in expected.items()
        }
    assert (bundle.info.name, bundle.info.height, bundle.info.width) == ("dynamicrafter-256", 256, 256)
    assert (bundle.info.num_frames, bundle.info.default_scalar, bundle.info.vocabulary) == (16, 3, None)
    settings = pipeline.config
    assert (settings.num_frames, settings.repeat_first_frame) == (16, True)
    assert (settings.guidance_scale, settings.guidance_rescale, settings.num_inference_steps) == (7.5, 0.0, 50)
    assert settings.eta == 1.0
    assert pipeline.vae.config.scaling_factor == 0.18215
    assert pipeline.scheduler.config.prediction_type == "epsilon"
    assert pipeline.scheduler.config.timestep_spacing == "leading"
    assert pipeline.scheduler.config.steps_offset == 1


@torch.no_grad()
def test_loaded_towers_give_open_clips_tokens(bundle, checkpoint):
    import open_clip

    clip, sentence = checkpoint.clip, "Pushing the jar to the right!"
    x = clip.token_embedding(open_clip.tokenize([sentence])) + clip.positional_embedding
    for block in clip.transformer.resblocks[:-1]:
        x = block(x, attn_mask=clip.attn_mask)
    torch.testing.assert_close(bundle.pipeline.backbone.encode_text([sentence]), clip.ln_final(x), atol=1e-5, rtol=0)

    pixels = torch.rand(1, 3, 42, 42) * 2 - 1
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN)[:, None, None]
    std = torch.tensor(open_clip.OPENAI_DATASET_STD)[:, None, None]
    visual = clip.visual
    x = visual.conv1((pixels / 2 + 0.5 - mean) / std).flatten(2).transpose(1, 2)
    x = torch.cat([visual.class_embedding.expand(1, 1, -1), x], dim=1) + visual.positional_embedding
    expected = visual.transformer(visual.ln_pre(x))
    torch.testing.assert_close(bundle.pipeline.backbone.encode_image(pixels), expected, atol=1e-5, rtol=0)


def test_bundle_generates(bundle):
    bundle.pipeline.set_progress_bar_config(disable=True)
    photo = torch.rand(1, 3, SIZE, SIZE)
    output = bundle.pipeline(photo, "lift the cup", num_frames=4, num_inference_steps=2, seed=0, output_type="np")
    assert output.image.shape == (SIZE, SIZE, 3)
    assert output.frames.shape == (4, SIZE, SIZE, 3)
    assert np.isfinite(output.frames).all()
    assert output.frames.std() > 0.01


@pytest.mark.parametrize(
    ("size", "base", "shape", "scalar"), [(512, 0.7, (320, 512), 24), (1024, 0.3, (576, 1024), 10)]
)
def test_larger_sizes_bring_their_sampler(make_checkpoint, head_widths, tmp_path, size, base, shape, scalar):
    """Distinguished by scale_arr; from safetensors, and in half precision, which is kept."""
    weights = {
        key: value if key in ("alphas_cumprod", "scale_arr") else value.half().contiguous()
        for key, value in make_checkpoint(base).weights.items()
    }
    save_file(weights, tmp_path / "model.safetensors")
    convert_checkpoint(tmp_path / "model.safetensors", tmp_path / "out", head_widths=head_widths)
    bundle = load_bundle(tmp_path / "out", device="cpu", dtype=torch.float16)
    assert (bundle.info.height, bundle.info.width, bundle.info.default_scalar) == (*shape, scalar)
    assert torch.equal(bundle.pipeline.unet.conv_in.weight, weights["model.diffusion_model.input_blocks.0.0.weight"])
    assert bundle.pipeline.unet.config.default_scalar == scalar
    assert bundle.pipeline.unet.config.image_attention_scale == "fixed"
    assert bundle.pipeline.config.guidance_rescale == 0.7
    scheduler = bundle.pipeline.scheduler
    assert type(scheduler) is DynamicRescaleDDIMScheduler
    assert scheduler.config.rescale_base == base
    assert scheduler.config.prediction_type == "v_prediction"
    assert (scheduler.config.timestep_spacing, scheduler.config.rescale_betas_zero_snr) == ("trailing", True)


def test_size_is_read_or_asked_for():
    learned = {"model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.alpha": torch.zeros(())}
    assert choose_size(learned) == 256
    assert choose_size(schedule_originals(0.3)) == 1024
    assert choose_size({}, 512) == 512
    for weights, asked, said in [
        ({}, None, "512 or -1024"),
        ({}, 256, "not DynamiCrafter-256"),
        (learned, 512, "but 256"),
        (schedule_originals(0.7), 1024, "but 512"),
        (schedule_originals(0.5), 512, "no published size"),
        ({}, 128, "no DynamiCrafter of size 128"),
    ]:
        with pytest.raises(InputError, match=said):
            choose_size(weights, asked)


@pytest.mark.parametrize("base", [None, 0.7, 0.3])
def test_schedule_is_the_originals(base):
    check_schedule(schedule_originals(base), make_scheduler(base))
    with pytest.raises(ConversionError, match="schedule"):
        check_schedule(schedule_originals(None if base else 0.7), make_scheduler(base))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("banana", "banana"),
        ("model.diffusion_model.banana.weight", r"model\.diffusion_model\..*banana"),
        ("image_proj_model.layers.7.0.to_q.weight", r"image_proj_model\..*"),
        ("first_stage_model.encoder.banana", r"first_stage_model\..*banana"),
        ("cond_stage_model.model.transformer.resblocks.2.banana", r"cond_stage_model\..*banana"),
        ("embedder.model.visual.banana", r"embedder\.model\.visual\..*banana"),
        ("embedder.model.transformer.resblocks.0.ln_1.weight", r"embedder\.model\.transformer\.resblocks\.0"),
    ],
)
def test_stray_key_is_named_and_nothing_is_written(checkpoint, head_widths, tmp_path, key, said):
    torch.save({**checkpoint.weights, key: torch.zeros(1)}, tmp_path / "model.ckpt")
    with pytest.raises(ConversionError, match=said):
        convert_checkpoint(tmp_path / "model.ckpt", tmp_path / "out", head_widths=head_widths)
    assert [path.name for path in tmp_path.iterdir()] == ["model.ckpt"]


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("model.diffusion_model.middle_block.0.in_layers.0.bias", r"mid_layers\.0\.resnet\.norm1\.bias"),
        ("model.diffusion_model.input_blocks.0.0.weight", r"input_blocks\.0\.0\.weight"),
        ("image_proj_model.proj_out.weight", r"image_proj_model\..*proj_out\.weight"),
        ("first_stage_model.quant_conv.bias", r"first_stage_model\..*quant_conv\.bias"),
        ("cond_stage_model.", r"cond_stage_model\.model\."),
        ("embedder.", r"embedder\.model\.visual\."),
    ],
)
def test_missing_key_is_named(checkpoint, head_widths, tmp_path, prefix, said):
    torch.save({k: v for k, v in checkpoint.weights.items() if not k.startswith(prefix)}, tmp_path / "model.ckpt")
    with pytest.raises(ConversionError, match=said):
        convert_checkpoint(tmp_path / "model.ckpt", tmp_path / "out", head_widths=head_widths)


def test_destination_with_other_files_is_left_alone(source, head_widths, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="other files"):
        convert_checkpoint(source, tmp_path, head_widths=head_widths)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_containers(checkpoint, tmp_path):
    some = {key: checkpoint.weights[key] for key in list(checkpoint.weights)[:30]}
    wrapped = {f"_forward_module.{key}": value for key, value in some.items()}
    for number, content in enumerate([some, {"state_dict": some}, {"module": wrapped, "dp_world_size": 8}]):
        torch.save(content, tmp_path / f"{number}.ckpt")
        weights = read_weights(tmp_path / f"{number}.ckpt")
        assert set(weights) == set(some)
        assert all(torch.equal(weights[key], some[key]) for key in some)


def test_truncated_files(source, checkpoint, tmp_path):
    whole = source.read_bytes()
    for name in ("model.ckpt", "model.safetensors"):
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ConversionError, match=f"{name} is truncated"):
            read_weights(tmp_path / name)
    save_file({"a": torch.zeros(1000)}, tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:-100])
    with pytest.raises(ConversionError, match=r"a\.safetensors is truncated"):
        read_weights(tmp_path / "a.safetensors")


class Hostile:
    """Runs code when it is unpickled by a loader that lets it."""

    def __reduce__(self):
        return (pytest.fail, ("the pickle was executed",))


def test_things_that_are_no_checkpoint(tmp_path):
    torch.save({"state_dict": {"a": Hostile()}, "b": torch.zeros(1)}, tmp_path / "hostile.ckpt")
    with pytest.raises(ConversionError, match="other things than named tensors"):
        read_weights(tmp_path / "hostile.ckpt")
    (tmp_path / "pickle.ckpt").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(ConversionError, match="no torch checkpoint"):
        read_weights(tmp_path / "pickle.ckpt")
    for content, said in [([1, 2], "other things"), ({"a": 1}, "other things"), ({}, "no weights")]:
        torch.save(content, tmp_path / "odd.ckpt")
        with pytest.raises(ConversionError, match=said):
            read_weights(tmp_path / "odd.ckpt")
    with pytest.raises(InputError, match="does not exist"):
        read_weights(tmp_path / "nowhere.ckpt")
    with pytest.raises(InputError, match="is a folder"):
        read_weights(tmp_path)


def test_another_model_is_refused(tmp_path, head_widths):
    torch.save({"down_blocks.0.weight": torch.zeros(1)}, tmp_path / "model.ckpt")
    with pytest.raises(ConversionError, match=r"model\.diffusion_model\."):
        convert_checkpoint(tmp_path / "model.ckpt", tmp_path / "out", head_widths=head_widths)
