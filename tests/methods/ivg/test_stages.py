"""IVG's two stages as runs of a tiny model: what is trained, what they read, what they make, what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from showme.bundle import open_bundle
from showme.errors import InputError, ShowMeWarning
from showme.experiment import cache_parts, open_run, train
from showme.methods.ivg.config import IVGConfig
from showme.methods.ivg.tasks import REGION, VIDEO
from showme.pipelines import load_bundle
from showme.preparation.annotate import annotate
from showme.preparation.config import AnnotateConfig
from tests.blob_clips import CLIPS


def _log(config: IVGConfig) -> list[dict]:
    return [json.loads(line) for line in (config.out / "log.jsonl").read_text().splitlines()]


def _adapter(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapters" / f"{name}.safetensors")


@pytest.fixture
def region_model(settings) -> Path:
    return train(settings("region"))


def test_stage_1_trains_its_adapter_alone_with_both_terms(settings, region_model, tiny_bundle):
    log = _log(settings("region"))
    assert all(row["noise"] > 0 and 0 < row["mask"] <= 0.1 for row in log)
    files = open_bundle(region_model)
    assert files.info.method == "ivg"
    assert [path.stem for path in files.adapters("unet")] == [REGION]
    before = load_file(Path(tiny_bundle) / "unet" / "diffusion_pytorch_model.safetensors")
    after = load_file(region_model / "unet" / "diffusion_pytorch_model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any(value.any() for key, value in _adapter(region_model, REGION).items() if "lora_B" in key)


def test_stage_2_sees_the_predicted_region_and_keeps_its_entrance(settings, region_model):
    config = settings("video", model=str(region_model), bundle="thin")
    model = train(config)
    kept = _adapter(model, VIDEO)
    # The mask's weights began at zero, and no loss would move them if the region did not come in.
    assert kept["conv_in_masked.weight"][:, 0].any()
    assert not (model / "unet").exists()
    pipeline = load_bundle(model).pipeline
    assert pipeline.takes_region
    photo = Image.new("RGB", (32, 32), (90, 90, 90))
    mask = np.zeros((32, 32), bool)
    mask[8:24, 8:24] = True
    first, again, white = (
        pipeline(photo, "push the red box", region=region, seed=1) for region in (mask, mask, "white")
    )
    assert len(first.frames) == 4
    assert (np.asarray(first.region) == mask * 255).all()
    assert np.asarray(white.region).all()
    assert all(np.array_equal(*pair) for pair in zip(first.frames, again.frames, strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(first.frames, white.frames, strict=True))


@pytest.mark.parametrize("region", ["truth", "prior", "white"])
def test_other_regions_need_no_first_stage(settings, region):
    config = settings("video", region=region)
    run = open_run(config)
    samples = run.stage.samples(run.clips())
    shown = torch.stack([samples[position]["region"] for position in range(CLIPS)])
    assert shown.shape[1:] == (1, 1, 4, 4)
    if region == "truth":
        assert len({tuple(each.flatten().tolist()) for each in shown}) > 1
        sample = samples[0]
        still = sample["latents"] - sample["latents"][:, :1]
        assert not (still * (1 - sample["region"])).any()
        assert (still * sample["region"]).any()
    else:
        assert len({tuple(each.flatten().tolist()) for each in shown}) == 1
    assert bool(shown.all()) == (region == "white")


def test_a_killed_run_goes_on_to_the_same_weights(settings, tmp_path):
    whole = train(settings("region", out=str(tmp_path / "whole")))
    halves = settings("region", {"steps": 1}, out=str(tmp_path / "halves"))
    train(halves)
    resumed = train(settings("region", out=str(tmp_path / "halves")))
    first, second = (_adapter(model, REGION) for model in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_regions_of_labels_are_those_that_would_be_found(settings, clips, tmp_path):
    look = {"height": 32, "width": 32, "frames": 4}
    labels = {"source": str(clips), "out": tmp_path / "labels", "labels": ["region"], "look": look}
    config = settings("region", labels=str(tmp_path / "labels"))
    with pytest.raises(
        InputError, match=r"has no region of all clips as this run sees them \('0', '1', '2' first\): run"
    ):
        train(config)
    annotate(AnnotateConfig(**labels, estimators={"hands": "rendered"}))
    own, read = settings("region", out=str(tmp_path / "own")), settings("region", labels=str(tmp_path / "labels"))
    train(own)
    train(read.model_copy(update={"data": read.data.model_copy(update={"cache": tmp_path / "other"})}))
    assert [row["noise"] for row in _log(own)] == [row["noise"] for row in _log(read)]


def test_what_cannot_be_trained_is_refused(settings, tmp_path, monkeypatch):
    with pytest.raises(
        InputError, match="was not trained to find one: train the stage region first, or choose region="
    ):
        train(settings("video"))
    with pytest.raises(InputError, match="region is of stage video: leave it out, or set stage to video"):
        settings("region", region="white")
    with pytest.raises(InputError, match="mask_loss is of stage region"):
        settings("video", mask_loss={"weight": 0})
    with pytest.raises(InputError, match="region is white: nothing is outside of it"):
        settings("video", region="white", freeze_outside=True)
    assert not (tmp_path / "video").exists()


def test_clips_without_hands_are_named(settings, clips, tmp_path, monkeypatch):
    from showme.methods.ivg import stage

    config = settings("video", region="truth")
    run = open_run(config)
    read = run.clips()
    empty = {row: read[row] | {"region": torch.zeros(32, 32, dtype=torch.bool)} for row in range(CLIPS)}
    some = type("Clips", (), {"ids": read.ids, "__getitem__": lambda self, row: empty[row] if row < 2 else read[row]})()
    with pytest.warns(ShowMeWarning, match=r"2 of 5 clips have an empty region \('0', '1' first\)"):
        stage._check_filled(some)
    white = torch.ones(32, 32, dtype=torch.bool)
    whole = type("Clips", (), {"ids": read.ids, "__getitem__": lambda self, row: {"region": white}})()
    with pytest.raises(InputError, match="region of every clip is the whole picture, which says nothing"):
        stage._check_filled(whole)
    none = type("Clips", (), {"ids": read.ids, "__getitem__": lambda self, row: empty[row]})()
    with pytest.raises(InputError, match="No clip has a region: no hands were found in any"):
        stage._check_filled(none)


def test_stage_2_with_hands_adds_their_term(settings, real_data):
    file = real_data / "weights" / "mediapipe" / "hand_landmarker.task"
    hands = {"estimator": f"torch:{file}", "every": 2, "least_log10_snr": -10}
    train(config := settings("video", region="truth", hands=hands))
    assert all(row["hands"] > 0 for row in _log(config))
    with pytest.raises(InputError, match=r"hands.every 4: of 4 frames none would be looked at: choose a smaller"):
        cache_parts(settings("video", region="truth", hands=hands | {"every": 4}))
    with pytest.raises(InputError, match="hands is of stage video"):
        settings("region", hands=hands)


def test_a_shorter_mask_video_is_learned_and_made(settings):
    config = settings("region", region_frames=2)
    run = open_run(config)
    sample = run.stage.samples(run.clips())[0]
    assert sample["latents"].shape[1] == 2
    assert sample["slots"].tolist() == [1]
    pipeline = load_bundle(train(config)).pipeline
    assert pipeline.config.region_frames == 2
    assert pipeline.config.num_frames == 4
    out = pipeline(Image.new("RGB", (32, 32), (90, 90, 90)), "push the red box", "region", seed=1)
    assert out.region.size == (32, 32)
    with pytest.raises(InputError, match=r"region_frames 5: at most data\.frames, 4"):
        settings("region", region_frames=5)
    with pytest.raises(InputError, match="region_frames is of stage region"):
        settings("video", region_frames=2)


def test_frames_of_a_shorter_mask_video_have_their_own_masks(settings):
    run = open_run(settings("region", region_frames=3, target="frames"))
    clips = run.clips()
    sample = run.stage.samples(clips)[0]
    row = run.stage.samples(clips).row(0)
    # Of the clip's frames 1 to 3, evenly spaced.
    assert torch.equal(sample["masks"], clips[row]["regions"][[1, 3]].float())


def test_a_model_that_was_trained_with_the_prior_is_given_it(settings):
    config = settings("video", region="prior")
    run = open_run(config)
    read = run.clips()
    union = torch.stack([read[row]["region"] for row in range(CLIPS)]).any(0)
    pipeline = load_bundle(train(config)).pipeline
    photo = Image.new("RGB", (32, 32), (90, 90, 90))
    out = pipeline(photo, "push the red box", seed=1, output_type="np")
    assert np.array_equal(out.region, union.numpy())
    assert pipeline(photo, "push the red box", region="white", seed=1, output_type="np").region.all()
    pipeline.register_to_config(region_prior="nothing")
    with pytest.raises(InputError, match="region_prior is no picture: train its stage video anew"):
        pipeline(photo, "push the red box", seed=1)


def test_motion_strength_is_a_term_where_it_is_asked_for(settings):
    train(config := settings("video", region="white", motion_strength_weight=0.001))
    assert all(row["motion"] > 0 for row in _log(config))
    with pytest.raises(InputError, match="motion_strength_weight is of stage video"):
        settings("region", motion_strength_weight=0.001)
