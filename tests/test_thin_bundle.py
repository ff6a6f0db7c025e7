"""Thin bundles: small, verified with their base, stacked, and merged back to the very files of the whole one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from showme.base_model import record_base, weight_hashes
from showme.bundle import open_bundle
from showme.bundle_folder import merge_bundle
from showme.errors import InputError
from showme.manifest import read_manifest, sha256_of, write_manifest
from showme.pipelines import Thin, load_bundle, save_bundle
from tests.conftest import make_tiny_info, make_tiny_pipeline

WORDS = "push the red box to the left"


@pytest.fixture
def house(tmp_path, monkeypatch) -> Path:
    """A folder with a whole bundle ``base`` and the same model as ``thin`` over it; names are relative to it."""
    monkeypatch.chdir(tmp_path)
    pipeline = make_tiny_pipeline()
    save_bundle(pipeline, make_tiny_info(), "base")
    save_bundle(pipeline, make_tiny_info(), "thin", thin=Thin(record_base("base", Path("base"))))
    return tmp_path


def answers(model) -> list[np.ndarray]:
    pipeline = load_bundle(model).pipeline
    pipeline.set_progress_bar_config(disable=True)
    out = pipeline(Image.new("RGB", (32, 32), "teal"), WORDS, seed=3, output_type="np")
    return [out.image, out.frames]


def test_a_thin_bundle_answers_as_the_whole_one(house):
    assert sorted(path.name for path in (house / "thin").iterdir() if path.is_dir()) == ["adapters"]
    size = {name: sum(entry["size"] for entry in read_manifest(house / name).values()) for name in ("base", "thin")}
    assert size["thin"] < 0.3 * size["base"]
    for thin, whole in zip(answers("thin"), answers("base"), strict=True):
        assert (thin == whole).all()


def test_merged_back_it_is_the_whole_one_file_by_file(house):
    merge_bundle("thin", "merged")
    merged, base = read_manifest(house / "merged"), read_manifest(house / "base")
    assert merged.keys() == base.keys()
    assert merged == base
    with pytest.raises(InputError, match="is a whole model already"):
        merge_bundle("merged", "again")


def test_a_component_that_was_trained_as_a_whole_comes_along(house):
    pipeline = load_bundle("base").pipeline
    pipeline.image_projector.proj_out.weight.data += 1
    save_bundle(pipeline, make_tiny_info(), "more", thin=Thin(record_base("base", Path("base")), ("image_projector",)))
    found = load_bundle("more").pipeline.image_projector.proj_out.weight
    assert (found == pipeline.image_projector.proj_out.weight).all()
    assert (answers("more")[0] != answers("base")[0]).any()


def test_both_move_together(house, monkeypatch):
    (house / "elsewhere").mkdir()
    save_bundle(load_bundle("base").pipeline, make_tiny_info(), "runs/base")
    save_bundle(
        load_bundle("base").pipeline, make_tiny_info(), "runs/thin",
        thin=Thin(record_base("runs/base", Path("runs/base"))),
    )  # fmt: skip
    shutil.move(house / "runs", house / "elsewhere" / "runs2")
    assert open_bundle("elsewhere/runs2/thin").base == (house / "elsewhere" / "runs2" / "base")


def test_a_base_that_is_gone_damaged_or_another_is_reported_in_one_sentence(house):
    (house / "base").rename(house / "away")
    with pytest.raises(InputError, match="thin is a thin bundle over base, which is not here"):
        open_bundle("thin")
    (house / "away").rename(house / "base")
    weights = house / "base" / "vae" / "diffusion_pytorch_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=r"vae.*is damaged"):
        open_bundle("thin")
    write_manifest(house / "base")
    with pytest.raises(InputError, match=r"was made on another base than the one in .*: vae/.* differs"):
        open_bundle("thin")
    shutil.rmtree(house / "base" / "vae")
    write_manifest(house / "base")
    with pytest.raises(InputError, match=r"of which base/vae/.* is missing"):
        open_bundle("thin")


def one_adapter(house: Path, name: str, adapter: str) -> None:
    """A thin bundle that holds one of the two adapters."""
    save_bundle(load_bundle("base").pipeline, make_tiny_info(name=name), name,
                thin=Thin(record_base("base", Path("base"))))  # fmt: skip
    for path in (house / name / "adapters").glob("*.safetensors"):
        if path.stem != adapter:
            path.unlink()
    write_manifest(house / name)


def test_thin_bundles_are_stacked(house):
    one_adapter(house, "first", "state_image")
    one_adapter(house, "second", "state_video")
    for stacked, whole in zip(answers("first+second"), answers("base"), strict=True):
        assert (stacked == whole).all()
    assert (answers("second")[0] != answers("base")[0]).any()
    hashes = {open_bundle(name).hash for name in ("first", "second", "first+second", "second+first")}
    assert len(hashes) == 4
    merge_bundle("first+second", "both")
    assert (answers("both")[1] == answers("base")[1]).all()


def thin_over(name: str, base: str, components: tuple[str, ...] = ()) -> None:
    """A thin bundle of the tiny model with its adapters, over a base that is named so."""
    save_bundle(load_bundle("base").pipeline, make_tiny_info(name=name), name,
                thin=Thin(record_base(base, Path(base)), components))  # fmt: skip


def test_what_the_manifest_does_not_name_is_passed_over(house):
    """Nobody has verified it."""
    before = answers("thin")
    shutil.copytree(house / "base" / "vae", house / "thin" / "vae")
    weights = load_file(house / "thin" / "vae" / "diffusion_pytorch_model.safetensors")
    save_file({name: value + 1 for name, value in weights.items()},
              house / "thin" / "vae" / "diffusion_pytorch_model.safetensors")  # fmt: skip
    assert all((a == b).all() for a, b in zip(answers("thin"), before, strict=True))


def test_another_sampler_in_the_base_is_another_base(house):
    path = house / "base" / "scheduler" / "scheduler_config.json"
    path.write_text(path.read_text().replace('"beta_end": 0.02', '"beta_end": 0.03'))
    write_manifest(house / "base")
    with pytest.raises(InputError, match=r"was made on another base than the one in .*scheduler_config.json differs"):
        open_bundle("thin")


def test_adapters_of_a_component_and_all_of_it_do_not_stack(house):
    one_adapter(house, "first", "state_image")
    thin_over("whole_unet", "base", ("unet",))
    shutil.rmtree(house / "whole_unet" / "adapters")
    write_manifest(house / "whole_unet")
    for stack in ("first+whole_unet", "whole_unet+first"):
        with pytest.raises(InputError, match=r"both hold denoiser \(adapter state_image\): they cannot be stacked"):
            open_bundle(stack)


def test_one_base_under_two_spellings_is_one_base(house):
    thin_over("here", "base")
    thin_over("absolute", str(house / "base"))
    for name, adapter in (("here", "state_image"), ("absolute", "state_video")):
        for path in (house / name / "adapters").glob("*.safetensors"):
            if path.stem != adapter:
                path.unlink()
        write_manifest(house / name)
    assert all((a == b).all() for a, b in zip(answers("here+absolute"), answers("base"), strict=True))


def test_a_base_is_found_where_both_were_moved(house, monkeypatch):
    """By its name beside any folder that holds the thin bundle, in the layout that training writes."""
    for name in ("runs/first/model", "runs/second/model"):
        (house / name).parent.mkdir(parents=True)
    shutil.copytree(house / "base", house / "runs" / "first" / "model")
    thin_over("runs/second/model", "runs/first/model")
    (house / "elsewhere").mkdir()
    monkeypatch.chdir(house / "elsewhere")
    assert open_bundle("../runs/second/model").base == house / "runs" / "first" / "model"
    (house / "runs").rename(house / "runs2")
    assert open_bundle("../runs2/second/model").base == house / "runs2" / "first" / "model"
    # A name without a slash, and a folder of that name which is no model.
    (house / "both").mkdir()
    shutil.copytree(house / "thin", house / "both" / "thin")
    shutil.copytree(house / "base", house / "both" / "base")
    (house / "elsewhere" / "base").mkdir()
    assert open_bundle("../both/thin").base == house / "both" / "base"


def test_merging_writes_over_nothing(house):
    for dest in ("base", "thin"):
        with pytest.raises(InputError, match=f"{dest} is not empty: choose another folder for the whole model"):
            merge_bundle("thin", dest)
    assert all((a == b).all() for a, b in zip(answers("thin"), answers("base"), strict=True))


def test_stacks_that_do_not_go_together_are_refused(house):
    one_adapter(house, "first", "state_image")
    with pytest.raises(InputError, match=r"both hold denoiser \(adapter state_image\)"):
        open_bundle("first+thin")
    with pytest.raises(InputError, match="base is a whole model: only thin bundles"):
        open_bundle("base+first")
    save_bundle(make_tiny_pipeline(1), make_tiny_info(), "other")
    save_bundle(make_tiny_pipeline(1), make_tiny_info(), "thin2", thin=Thin(record_base("other", Path("other"))))
    with pytest.raises(InputError, match="first stands on base and thin2 on other"):
        open_bundle("first+thin2")


def test_a_published_folder_without_a_manifest_is_hashed_once_and_known_again(house, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(house / "cache"))
    for name in ("manifest.json", "bundle.json"):
        (house / "base" / name).unlink()
    save_bundle(make_tiny_pipeline(), make_tiny_info(), "thin", thin=Thin(record_base("base", Path("base"))))
    whole = [array.copy() for array in answers("thin")]
    assert len(json.loads((house / "cache" / "showme" / "weights.json").read_text())) == 15
    monkeypatch.setattr("showme.base_model.sha256_of", lambda path: pytest.fail(f"{path} was hashed again"))
    assert all((a == b).all() for a, b in zip(answers("thin"), whole, strict=True))


def test_the_hubs_own_names_are_believed(house, monkeypatch):
    folder, blobs = house / "models" / "snapshots" / "abc123", house / "models" / "blobs"
    (folder / "unet").mkdir(parents=True)
    blobs.mkdir()
    save_file(load_file(house / "base" / "vae" / "diffusion_pytorch_model.safetensors"), blobs / "new")
    name = sha256_of(blobs / "new")
    (blobs / "new").rename(blobs / name)
    (folder / "unet" / "model.safetensors").symlink_to(blobs / name)
    monkeypatch.setattr("showme.base_model.sha256_of", lambda path: pytest.fail("hashed"))
    assert weight_hashes(folder) == {"unet/model.safetensors": name}
    assert record_base("owner/name", folder).revision == "abc123"
