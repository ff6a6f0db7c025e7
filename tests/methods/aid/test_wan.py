"""AID on Wan: what is added learns, all of it, and the frozen network stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from showme.errors import InputError
from showme.experiment import open_run, train
from showme.methods import find_method
from showme.methods.recipes import parse_recipe
from showme.pipelines import load_bundle
from tests.backbones.test_wan import SIDE, picture
from tests.blob_clips import clips
from tests.conversion.test_wan_folder import thin_model
from tests.methods.showme.test_wan import FRAMES, long_clips, losses

__all__ = ["clips", "long_clips"]


@pytest.fixture(scope="module", params=["in place", "2.1"])
def base(request, tmp_path_factory) -> Path:
    return thin_model(request.param, tmp_path_factory.mktemp("wan"), FRAMES)


def recipe(model: Path, clips: Path, out: Path, training: dict | None = None, **changes):
    tree = {
        "method": "aid", "model": str(model), "out": str(out), "validation": {"scenes": 0}, "bundle": "thin",
        "dqformer": {"channels": 16, "heads": 2, "multimodal": False, "queries": 12}, "adapters": {"head_dim": 8},
        "cross_attention": {"train": "lora", "rank": 2}, "null_context": "dqformer",
        "data": {"source": str(clips), "cache": str(out.parent / "cache"), "frames": FRAMES},
        "training": {"steps": 2, "batch_size": 2, "precision": "fp32", "tensorboard": False,
                     "optimizer": {"learning_rate": 0.01}} | (training or {}),
    }  # fmt: skip
    return parse_recipe(tree | changes, [], "test.yaml")


def test_it_is_trained_kept_beside_the_base_and_asked(base, clips, tmp_path):
    model = train(recipe(base, clips, tmp_path / "aid"))
    assert {path.relative_to(model).as_posix() for path in model.rglob("*.safetensors")} == {
        "adapters/aid.safetensors",
        "bottlenecks/diffusion_pytorch_model.safetensors",
        "dqformer/diffusion_pytorch_model.safetensors",
    }
    pipeline = load_bundle(model, "cpu", torch.float32).pipeline
    pipeline.set_progress_bar_config(disable=True)
    call = {"seed": 3, "num_inference_steps": 2, "output_type": "pt"}
    made = [pipeline(picture(1), words, **call).frames for words in ("push the red box", "lift the blue mug up")]
    assert made[0].shape == (FRAMES, 3, SIDE, SIDE)
    assert (made[0] - made[1]).abs().max() > 1e-5


def test_every_added_weight_learns_after_a_step_and_no_frozen_one(base, clips, tmp_path):
    first = train(recipe(base, clips, tmp_path / "one", {"steps": 1}))
    second = train(recipe(base, clips, tmp_path / "two", {"steps": 2}))
    before, after = (load_bundle(each, "cpu", torch.float32).pipeline for each in (first, second))
    for name in ("dqformer", "bottlenecks", "transformer"):
        pairs = zip(getattr(before, name).named_parameters(), getattr(after, name).parameters(), strict=True)
        for (key, p), q in pairs:
            trained = name != "transformer" or ".lora_" in key
            assert trained != torch.equal(p, q), key


def test_the_loss_falls_and_a_run_that_stopped_goes_on_to_the_bit(base, clips, tmp_path):
    more = {"steps": 20, "batch_size": 4, "optimizer": {"learning_rate": 0.02}}
    train(recipe(base, clips, tmp_path / "long", more))
    found = losses(tmp_path / "long")
    assert sum(found[-5:]) < 0.98 * sum(found[:5])
    whole = train(recipe(base, clips, tmp_path / "whole", {"steps": 4}))
    train(recipe(base, clips, tmp_path / "half", {"steps": 2}))
    resumed = train(recipe(base, clips, tmp_path / "half", {"steps": 4}))
    for name in ("adapters/aid", "bottlenecks/diffusion_pytorch_model", "dqformer/diffusion_pytorch_model"):
        assert (whole / f"{name}.safetensors").read_bytes() == (resumed / f"{name}.safetensors").read_bytes()


def test_shards_are_the_blocks_of_the_base(base, clips, tmp_path):
    stage = open_run(recipe(base, clips, tmp_path / "run")).stage
    stage.prepare()
    assert stage.objective().shard_units == list(stage.pipeline.transformer.blocks)


@pytest.mark.parametrize("references", [1, 5])
@pytest.mark.parametrize("concatenates", [False, True])
def test_training_and_use_know_the_same_frames(long_clips, tmp_path, references, concatenates):
    base = thin_model("2.1" if concatenates else "in place", tmp_path / "wan", 9)
    data = {"source": str(long_clips), "cache": str(tmp_path / "cache"), "frames": 9}
    config = recipe(
        base, long_clips, tmp_path / "run", references=references, data=data, dropout={"text": 0, "image": 0, "both": 0}
    )
    run = open_run(config)
    cached = run.clips()
    sample = run.stage.samples(cached)[0]
    row = next(
        row for row in range(3) if torch.equal(cached[row]["latents"].float().transpose(0, 1), sample["latents"])
    )
    pipeline = run.stage.pipeline
    pipeline.register_to_config(references=references, unknown="grey", drop_known=True)
    frames = run.rows.pixels([row], slice(references))[0].mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    known = pipeline._known(pipeline._pictures([Image.fromarray(frame) for frame in frames]), 3)
    assert torch.equal(known.where[0], sample["where"])
    torch.testing.assert_close(known.latents[0], sample["known"], atol=0.05, rtol=0.05)
    dropped = recipe(
        base, long_clips, tmp_path / "run", references=references, data=data, dropout={"text": 0, "image": 0, "both": 1}
    )
    blank = find_method("aid").stage(dropped, pipeline).samples(cached)[0]
    without = pipeline._blank(known, (SIDE, SIDE))
    assert not blank["where"].any()
    torch.testing.assert_close(without.latents[0], blank["known"], atol=0.05, rtol=0.05)


def test_image_tokens_are_read_where_there_is_an_encoder(clips, tmp_path):
    base = thin_model("2.1", tmp_path / "wan", FRAMES)
    model = train(recipe(base, clips, tmp_path / "aid", dqformer={"channels": 16, "heads": 2, "queries": 12}))
    pipeline = load_bundle(model, "cpu", torch.float32).pipeline
    pipeline.set_progress_bar_config(disable=True)
    call = {"seed": 3, "num_inference_steps": 2, "output_type": "pt"}
    assert torch.isfinite(pipeline(picture(1), "push the red box", **call).frames).all()


@pytest.mark.parametrize(("form", "changes", "sentence"), [
    ("in place", {"references": 2}, "references: 2 frames do not fit this model, which keeps 4 frames in a latent"),
    ("in place", {"dqformer": {"channels": 16, "heads": 2}}, "has no image encoder: set it to false"),
    ("2.1", {"unknown": "zeros"}, "reads known frames among grey ones, as it was made: set it to grey"),
])  # fmt: skip
def test_what_does_not_go_on_it_is_refused(clips, tmp_path, form, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        train(recipe(thin_model(form, tmp_path / "wan", FRAMES), clips, tmp_path / "run", **changes))
