"""IVG's two stages on Wan: the region by a mask video in slots of four frames, and by one more input, or the mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from showme.errors import InputError
from showme.experiment import open_run, train
from showme.methods.recipes import parse_recipe
from showme.pipelines import load_bundle
from tests.backbones.test_wan import SIDE, picture
from tests.blob_clips import clips
from tests.conversion.test_wan_folder import thin_model
from tests.methods.showme.test_wan import FRAMES, losses

__all__ = ["clips"]


@pytest.fixture(scope="module", params=["in place", "2.2"])
def base(request, tmp_path_factory) -> Path:
    return thin_model(request.param, tmp_path_factory.mktemp("wan"), FRAMES)


def recipe(stage: str, model: Path, clips: Path, out: Path, training: dict | None = None, **changes):
    tree = {
        "method": "ivg", "stage": stage, "model": str(model), "out": str(out), "validation": {"scenes": 0},
        "bundle": "thin", "adapter": {"rank": 2}, "estimators": {"hands": "rendered"},
        "data": {"source": str(clips), "cache": str(out.parent / "cache"), "frames": FRAMES},
        "training": {"steps": 2, "batch_size": 2, "precision": "fp32", "tensorboard": False,
                     "optimizer": {"learning_rate": 0.01}} | (training or {}),
    }  # fmt: skip
    return parse_recipe(tree | changes, [], "test.yaml")


def test_both_stages_train_and_the_region_reaches_the_video(base, clips, tmp_path):
    region = train(recipe("region", base, clips, tmp_path / "region"))
    video = train(recipe("video", region, clips, tmp_path / "video", region="truth"))
    names = {path.relative_to(video).as_posix() for path in video.rglob("*.safetensors")}
    assert names == {"adapters/ivg_region.safetensors", "adapters/ivg_video.safetensors"}
    pipeline = load_bundle(video, "cpu", torch.float32).pipeline
    pipeline.set_progress_bar_config(disable=True)
    call = {"seed": 3, "num_inference_steps": 2, "output_type": "pt"}
    left, right = (np.zeros((SIDE, SIDE), np.uint8) for _ in range(2))
    left[:, : SIDE // 2], right[:, SIDE // 2 :] = 255, 255
    made = [pipeline(picture(1), "push the red box", region=mask > 0, **call) for mask in (left, right)]
    assert made[0].frames.shape == (FRAMES, 3, SIDE, SIDE)
    assert (made[0].frames - made[1].frames).abs().max() > 1e-5
    found = pipeline(picture(1), "push the red box", **call)
    assert found.region.shape == (SIDE, SIDE)
    # Regions of the model's own: asked one after another, and the base is left as it was.
    config = recipe("video", region, clips, tmp_path / "own", region="predicted")
    run = open_run(config)
    before = {name: value.clone() for name, value in run.stage.pipeline.transformer.state_dict().items()}
    read = run.clips()
    assert all(torch.equal(before[name], value) for name, value in run.stage.pipeline.transformer.state_dict().items())
    first = run.stage.pipeline(
        run.rows.pixels([0], slice(1))[:, 0], run.rows.record(0).instruction, "region", num_frames=FRAMES,
        seed=config.training.seed, output_type="pt",
    )  # fmt: skip
    assert torch.equal(read[0]["region"], first.region)


@pytest.mark.parametrize("stage", ["region", "video"])
def test_the_loss_falls_and_a_run_that_stopped_goes_on_to_the_bit(base, clips, tmp_path, stage):
    more = {} if stage == "region" else {"region": "truth"}
    train(recipe(stage, base, clips, tmp_path / "long", {"steps": 20, "batch_size": 4}, **more))
    found = losses(tmp_path / "long")
    assert sum(found[-5:]) < sum(found[:5])
    whole = train(recipe(stage, base, clips, tmp_path / "whole", {"steps": 4}, **more))
    train(recipe(stage, base, clips, tmp_path / "half", {"steps": 2}, **more))
    resumed = train(recipe(stage, base, clips, tmp_path / "half", {"steps": 4}, **more))
    name = f"adapters/ivg_{stage}.safetensors"
    assert (whole / name).read_bytes() == (resumed / name).read_bytes()


def test_a_mask_video_of_fewer_frames_is_refused(base, clips, tmp_path):
    with pytest.raises(InputError, match=r"region_frames: .* keeps several frames in a latent"):
        train(recipe("region", base, clips, tmp_path / "run", region_frames=3))
