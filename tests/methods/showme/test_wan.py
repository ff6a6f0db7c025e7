"""ShowMe's two stages on Wan, in both forms: they learn, resume to the bit, and leave the published folder alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from showme.errors import InputError
from showme.experiment import train
from showme.methods.recipes import parse_recipe
from showme.pipelines import load_bundle
from tests.backbones.test_wan import SIDE, picture
from tests.blob_clips import clips
from tests.conversion.test_wan_folder import thin_model

__all__ = ["clips"]
FRAMES = 5


@pytest.fixture(scope="module", params=["in place", "2.1"])
def base(request, tmp_path_factory) -> Path:
    """A thin bundle over a published folder of small random weights."""
    return thin_model(request.param, tmp_path_factory.mktemp("wan"), FRAMES)


def recipe(stage: str, model: Path, clips: Path, out: Path, training: dict | None = None, **changes):
    tree = {
        "stage": stage, "model": str(model), "out": str(out), "validation": {"scenes": 0}, "bundle": "thin",
        "adapter": {"rank": 4, "dropout": 0.0},
        "data": {"source": str(clips), "cache": str(out.parent / "cache"), "frames": FRAMES},
        "training": {"steps": 2, "batch_size": 2, "precision": "fp32", "tensorboard": False,
                     "optimizer": {"learning_rate": 0.01}} | (training or {}),
    }  # fmt: skip
    return parse_recipe(tree | changes, [], "test.yaml")


def losses(out: Path) -> list[float]:
    return [json.loads(line)["noise"] for line in (out / "log.jsonl").read_text().splitlines()]


def test_both_stages_train_and_are_kept_beside_the_published_folder(base, clips, tmp_path):
    image = train(recipe("state_image", base, clips, tmp_path / "image"))
    video = train(recipe("state_video", image, clips, tmp_path / "video"))
    names = {path.relative_to(video).as_posix() for path in video.rglob("*.safetensors")}
    assert names == {"adapters/state_image.safetensors", "adapters/state_video.safetensors"}
    loaded, plain = (load_bundle(each, "cpu", torch.float32).pipeline for each in (video, base))
    call = {"task": "both", "seed": 3, "num_inference_steps": 2, "output_type": "pt"}
    for pipeline in (loaded, plain):
        pipeline.set_progress_bar_config(disable=True)
    made, before = (each(picture(1), "push the red box", **call) for each in (loaded, plain))
    assert made.frames.shape == (FRAMES, 3, SIDE, SIDE)
    assert (made.image - before.image).abs().max() > 1e-4
    assert (made.frames - before.frames).abs().max() > 1e-4


@pytest.mark.parametrize("stage", ["state_image", "state_video"])
def test_the_loss_of_one_clip_falls(base, clips, tmp_path, stage):
    one = tmp_path / "one"
    one.mkdir()
    shutil.copyfile(clips / "0.safetensors", one / "0.safetensors")
    (one / "index.jsonl").write_text((clips / "index.jsonl").read_text().splitlines()[0] + "\n")
    more = {"steps": 20, "batch_size": 8, "optimizer": {"learning_rate": 0.03}}
    train(recipe(stage, base, one, tmp_path / stage, more, dropout={"text": 0, "image": 0, "both": 0}))
    found = losses(tmp_path / stage)
    assert len(found) == 20
    assert sum(found[-5:]) < 0.97 * sum(found[:5])


@pytest.mark.parametrize("stage", ["state_image", "state_video"])
def test_a_run_that_stopped_goes_on_to_the_bit(base, clips, tmp_path, stage):
    whole = train(recipe(stage, base, clips, tmp_path / "whole", {"steps": 4}))
    train(recipe(stage, base, clips, tmp_path / "half", {"steps": 2}))
    resumed = train(recipe(stage, base, clips, tmp_path / "half", {"steps": 4}))
    name = f"adapters/{stage}.safetensors"
    assert (whole / name).read_bytes() == (resumed / name).read_bytes()


@pytest.fixture
def long_clips(tmp_path) -> Path:
    """Clips of three slots: of two there is one step in time, over which motion has no distribution."""
    folder = tmp_path / "long"
    folder.mkdir()
    for number in range(3):
        frames = np.full((9, SIDE, SIDE, 3), 90, np.uint8)
        for time, frame in enumerate(frames):
            frame[8 : 8 + 6 + number, 2 * time : 2 * time + 8] = 220
        save_file({"frames": frames}, folder / f"{number}.safetensors")
    rows = ({"id": str(n), "file": f"{n}.safetensors", "instruction": "push the red box"} for n in range(3))
    (folder / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.mark.parametrize(("stage", "rewards"), [("state_image", {"edge": "sobel"}), ("state_video", {"motion": "dis"})])
def test_rewards_are_tuned_under_flow_matching(base, long_clips, tmp_path, stage, rewards):
    first = train(recipe("state_image", base, long_clips, tmp_path / "image"))
    data = {"source": str(long_clips), "cache": str(tmp_path / "cache"), "frames": 9}
    model = first if stage == "state_image" else train(recipe(stage, first, long_clips, tmp_path / "video", data=data))
    off = {"dropout": {"text": 0, "image": 0, "both": 0}, "rewards": rewards | {"levels": "gate"}, "data": data}
    train(recipe(stage, model, long_clips, tmp_path / "tuned", **off))
    rows = [json.loads(line) for line in (tmp_path / "tuned" / "log.jsonl").read_text().splitlines()]
    assert all(row[next(iter(rewards))] > 0 and row["gradient_norm"] > 0 for row in rows), rows


def test_frames_that_do_not_fit_are_refused_before_anything_is_read(base, clips, tmp_path):
    tree = recipe("state_video", base, clips, tmp_path / "run")
    data = tree.data.model_copy(update={"frames": 6})
    with pytest.raises(
        InputError, match="6 frames do not fit this model, which keeps 4 frames in a latent: choose 5 or"
    ):
        train(tree.model_copy(update={"data": data}))
    assert not (tmp_path / "cache").exists()


def generated(model: Path, **call):
    pipeline = load_bundle(model, "cpu", torch.float32).pipeline
    pipeline.set_progress_bar_config(disable=True)
    call = {"seed": 3, "num_inference_steps": 2, "output_type": "pt"} | call
    return pipeline, pipeline(picture(1), "push the red box", **call)


@pytest.mark.parametrize(
    "changes",
    [{"still": {"position": 4}}, {"still": {"slots": 1}}, {"adapter": {"rank": 4, "attention": "folded"}}],
)
def test_a_model_makes_its_picture_as_it_was_trained(base, clips, tmp_path, changes):
    in_place = load_bundle(base, "cpu", torch.float32).pipeline.backbone.in_place
    settings = recipe("state_image", base, clips, tmp_path / "image", **changes)
    if in_place and changes == {"still": {"slots": 1}}:
        with pytest.raises(InputError, match=r"still\.slots 1: this Wan is told the given picture"):
            train(settings)
        return
    model = train(settings)
    video = train(recipe("state_video", model, clips, tmp_path / "video"))
    pipeline, made = generated(video, task="image")
    assert dict(pipeline.config.still) == {
        key: ["state_image"] if value == "folded" else value
        for key, value in ({"folded": "folded"} if "adapter" in changes else changes["still"]).items()
    }
    pipeline.register_to_config(still=None)
    usual = pipeline(picture(1), "push the red box", task="image", seed=3, num_inference_steps=2, output_type="pt")
    assert (made.image - usual.image).abs().max() > 1e-4


def test_choices_of_a_picture_are_refused_where_there_are_none(clips, tmp_path, tiny_bundle):
    for changes in ({"still": {"slots": 2}}, {"still": {"position": 2}}, {"adapter": {"attention": "folded"}}):
        with pytest.raises(InputError, match=r"leave still and adapter\.attention out, which are of Wan"):
            train(recipe("state_image", tiny_bundle, clips, tmp_path / "run", **changes))


def test_a_video_ends_with_its_goal(base, clips, long_clips, tmp_path):
    data = {"source": str(long_clips), "cache": str(tmp_path / "cache"), "frames": 9}
    aimed = {"goal_share": 1.0, "dropout": {"text": 0, "image": 0, "both": 0}}
    model = train(recipe("state_video", base, long_clips, tmp_path / "video", data=data, **aimed))
    pipeline, made = generated(model, task="video", goal=picture(2), output_type="latent")
    backbone = pipeline.backbone
    pixels = pipeline.pixels(picture(2), "goal")
    if backbone.in_place:
        with torch.no_grad():
            end = backbone.end(2 * backbone.decode(backbone.encode(pixels[:, None]))[:, 0].clamp(0, 1) - 1)
        torch.testing.assert_close(made.frames[-1], end[0, :, 0])
        with pytest.raises(InputError, match=r"told both ends and has nothing to predict: set data\.frames to 9"):
            train(recipe("state_video", base, clips, tmp_path / "short", **aimed))
    other = generated(model, task="video", goal=picture(4), output_type="latent")[1]
    assert not torch.equal(made.frames[-1], other.frames[-1])
