"""A bundle is found, vouched for, and comes back as it was; anything else is refused in one sentence."""

from __future__ import annotations

import json
import shutil
import time

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import showme
from showme.bundle import BundleInfo, open_bundle, resolve_model, verify_bundle
from showme.errors import InputError
from showme.manifest import write_manifest
from showme.models.schedulers import DynamicRescaleDDIMScheduler
from showme.pipelines import load_bundle, save_bundle
from tests.conftest import TINY_SIZE, make_tiny_info, make_tiny_pipeline

IMAGE = Image.linear_gradient("L").resize((TINY_SIZE, TINY_SIZE)).convert("RGB")
TEXT = "push the red box to the left"


@pytest.fixture
def copy(tiny_bundle, tmp_path):
    """A copy of the bundle that a test may harm."""
    return shutil.copytree(tiny_bundle, tmp_path / "copy")


def run(pipeline):
    """The picture and the video as one array of frames."""
    out = pipeline(IMAGE, TEXT, seed=0, output_type="np")
    return np.concatenate([out.image[None], out.frames])


def test_a_loaded_bundle_gives_what_the_saved_pipeline_gave(tiny_pipeline, tiny_bundle):
    loaded = showme.load(tiny_bundle, device="cpu")
    loaded.set_progress_bar_config(disable=True)
    assert np.abs(run(loaded) - run(tiny_pipeline)).max() < 1e-5


def test_adapters_matter_and_come_back(tiny_pipeline, tiny_bundle):
    unet = load_bundle(tiny_bundle, "cpu").pipeline.unet
    ours = {k: v for k, v in unet.state_dict().items() if "lora_" in k}
    theirs = {k: v for k, v in tiny_pipeline.unet.state_dict().items() if "lora_" in k}
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    with_adapters = run(tiny_pipeline)
    bare = load_bundle(tiny_bundle, "cpu").pipeline
    bare.unet.delete_adapters(["state_image", "state_video"])
    assert np.abs(run(bare) - with_adapters).max() > 1e-3


def test_saving_leaves_the_pipeline_as_it_was_and_repeats_itself(tiny_pipeline, tiny_bundle, tmp_path):
    before = {key: value.clone() for key, value in tiny_pipeline.unet.state_dict().items()}
    half = save_bundle(tiny_pipeline, make_tiny_info(), tmp_path / "half", dtype=torch.bfloat16)
    after = tiny_pipeline.unet.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert half == save_bundle(tiny_pipeline, make_tiny_info(), tmp_path / "half", dtype=torch.bfloat16)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half"]


def test_half_precision_on_disk_is_read_as_fp32_on_the_cpu(tiny_pipeline, tmp_path):
    save_bundle(tiny_pipeline, make_tiny_info(), tmp_path / "half", dtype=torch.bfloat16)
    stored = load_file(tmp_path / "half" / "unet" / "diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}
    pipeline = load_bundle(tmp_path / "half", "cpu").pipeline
    networks = (pipeline.unet, pipeline.vae, pipeline.text_encoder, pipeline.image_encoder, pipeline.image_projector)
    assert {network.dtype for network in networks} == {torch.float32}


def test_the_unet_file_holds_plain_weights_and_adapters_stand_alone(tiny_bundle):
    names = load_file(tiny_bundle / "unet" / "diffusion_pytorch_model.safetensors").keys()
    assert not any("lora" in name or "base_layer" in name for name in names)
    with safe_open(tiny_bundle / "adapters" / "state_video.safetensors", "pt") as file:
        config = json.loads(file.metadata()["lora_config"])
        assert config["r"] == 2
        assert len(file.keys()) == 2 * len(config["target_modules"])


def test_diffusers_own_loader_reads_an_adapter(tiny_pipeline, tiny_bundle):
    unet = make_tiny_pipeline(seed=1).unet
    unet.delete_adapters(["state_image", "state_video"])
    unet.load_lora_adapter(
        load_file(tiny_bundle / "adapters" / "state_image.safetensors"), prefix=None, adapter_name="state_image"
    )
    expected = {k: v for k, v in tiny_pipeline.unet.state_dict().items() if ".state_image." in k}
    found = unet.state_dict()
    assert expected
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_our_own_scheduler_comes_back(tmp_path):
    pipeline = make_tiny_pipeline()
    pipeline.register_modules(scheduler=DynamicRescaleDDIMScheduler(rescale_base=0.3))
    save_bundle(pipeline, make_tiny_info(vocabulary=None), tmp_path / "rescaled")
    loaded = load_bundle(tmp_path / "rescaled", "cpu")
    assert isinstance(loaded.pipeline.scheduler, DynamicRescaleDDIMScheduler)
    assert loaded.pipeline.scheduler.config.rescale_base == 0.3
    assert loaded.info.vocabulary is None


def test_no_file_of_a_bundle_names_the_machine_it_was_made_on(tiny_bundle, tmp_path):
    save_bundle(load_bundle(tiny_bundle, "cpu").pipeline, make_tiny_info(), tmp_path / "again")
    texts = [path.read_text() for path in (tmp_path / "again").rglob("*.json")]
    assert not any(str(tiny_bundle.parent) in text for text in texts)


@pytest.mark.parametrize(
    "name", ["unet/diffusion_pytorch_model.safetensors", "adapters/state_image.safetensors", "bundle.json", "README.md"]
)
def test_one_flipped_byte_is_found(copy, name):
    path = copy / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"{name} is damaged .*: fetch or save"):
        open_bundle(copy)


@pytest.mark.parametrize("name", ["vae/config.json", "adapters/state_video.safetensors", "manifest.json"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is missing"):
        open_bundle(copy)


def test_a_cut_file_and_a_broken_manifest_are_named(copy):
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="bytes where"):
        verify_bundle(copy)
    (copy / "manifest.json").write_text("[]")
    with pytest.raises(InputError, match="not a manifest"):
        verify_bundle(copy)


def test_weights_that_do_not_fit_are_named_though_the_manifest_agrees(copy):
    path = copy / "adapters" / "state_image.safetensors"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    state = load_file(path)
    lost = sorted(state)[0]
    save_file({key: value for key, value in state.items() if key != lost}, path, metadata)
    write_manifest(copy)
    with pytest.raises(InputError, match=f"lacks {lost}"):
        load_bundle(copy, "cpu")
    save_file({**state, "stranger.lora_A.weight": torch.zeros(1)}, path, metadata)
    write_manifest(copy)
    with pytest.raises(InputError, match=r"holds unknown stranger\.lora_A\.weight"):
        load_bundle(copy, "cpu")


def test_a_network_without_one_of_its_weights_is_refused(copy):
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    del state["conv_in.weight"]
    save_file(state, path, {"format": "pt"})
    write_manifest(copy)
    with pytest.raises(InputError, match=r"lacks conv_in\.weight"):
        load_bundle(copy, "cpu")


def test_a_component_from_a_foreign_library_is_never_imported(copy):
    index = json.loads((copy / "model_index.json").read_text())
    index["vae"] = ["os", "system"]
    (copy / "model_index.json").write_text(json.dumps(index))
    write_manifest(copy)
    with pytest.raises(InputError, match="never loaded"):
        load_bundle(copy, "cpu")


def test_an_unknown_field_in_the_description_is_named(copy):
    info = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps({**info, "colour": "blue"}))
    write_manifest(copy)
    with pytest.raises(InputError, match="colour"):
        open_bundle(copy)


def test_a_bundle_says_which_versions_read_it_and_others_are_refused(copy, monkeypatch):
    info = json.loads((copy / "bundle.json").read_text())
    assert info["requires"] == {"transformers": ">=5.6"}
    (copy / "bundle.json").write_text(json.dumps({**info, "requires": {"transformers": ">=99"}}))
    write_manifest(copy)
    with pytest.raises(
        InputError, match=r'transformers .* is installed, >=99 is needed\): pip install "transf'
    ) as caught:
        open_bundle(copy)
    assert "\n" not in str(caught.value)
    # What was saved before bundles said so has the same form.
    del info["requires"]
    (copy / "bundle.json").write_text(json.dumps(info))
    write_manifest(copy)
    assert open_bundle(copy).info.requires == {"transformers": ">=5.6"}


@pytest.mark.parametrize("requires", [{"transformers": "new"}, {"another-package": ">=1"}])
def test_versions_that_are_none_are_refused(copy, requires):
    info = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps({**info, "requires": requires}))
    write_manifest(copy)
    with pytest.raises(InputError, match=r"bundle\.json: requires"):
        open_bundle(copy)


def test_a_folder_with_other_files_is_never_replaced(tiny_pipeline, tmp_path):
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(InputError, match="holds other files"):
        save_bundle(tiny_pipeline, make_tiny_info(), tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "irreplaceable"


def test_a_failed_save_leaves_the_old_bundle_and_nothing_else(copy, tiny_pipeline, monkeypatch):
    before = verify_bundle(copy)
    monkeypatch.setattr("showme.bundle_folder.write_manifest", lambda folder: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_bundle(tiny_pipeline, make_tiny_info(), copy)
    assert verify_bundle(copy) == before
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_unknown_names_get_a_suggestion(tiny_bundle, monkeypatch):
    monkeypatch.chdir(tiny_bundle.parent)
    with pytest.raises(InputError, match="did you mean tiny"):
        resolve_model("tinny")
    with pytest.raises(InputError, match="hub id"):
        resolve_model("nothing-like-it")


def test_files_and_other_folders_are_no_models(tmp_path):
    (tmp_path / "model.ckpt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"is a file: .*convert"):
        resolve_model(tmp_path / "model.ckpt")
    with pytest.raises(InputError, match=r"no bundle\.json"):
        resolve_model(tmp_path)


def test_verifying_50_mib_takes_less_than_half_a_second(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(np.random.default_rng(0).bytes(50 * 2**20))
    write_manifest(tmp_path)
    # Processor seconds, which a busy machine does not stretch.
    start = time.process_time()
    verify_bundle(tmp_path)
    assert time.process_time() - start < 0.5


def test_bundle_info_refuses_nonsense():
    with pytest.raises(ValueError, match="fps"):
        BundleInfo(name="x", height=32, width=32, num_frames=4, fps=0)
