"""AID as runs of a tiny model: what is trained and what is not, what comes back from disk, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from showme.errors import InputError
from showme.experiment import cache_parts, open_run, train
from showme.methods.aid import objective as objective_module
from showme.perception.captions.template import tabletop_states
from showme.pipelines import load_bundle
from tests.blob_clips import CLIPS

PHOTO = Image.new("RGB", (32, 32), (90, 90, 90))
TEXT = "push the red box"


def log(config) -> list[dict]:
    return [json.loads(line) for line in (config.out / "log.jsonl").read_text().splitlines()]


def test_what_is_added_is_trained_and_the_base_is_not(settings, tiny_bundle):
    config = settings(bundle="thin")
    model = train(config)
    assert all(row["noise"] > 0 for row in log(config))
    assert not (model / "unet").exists()
    assert {path.parent.name for path in model.rglob("*.safetensors")} == {"dqformer", "bottlenecks", "unet"} - {
        "unet"
    } | {"adapters"}
    bundle = load_bundle(model)
    base = load_file(Path(tiny_bundle) / "unet" / "diffusion_pytorch_model.safetensors")
    ours = bundle.pipeline.unet.state_dict()
    named = {key.replace(".base_layer.", "."): value for key, value in ours.items() if ".lora_" not in key}
    assert all(torch.equal(named[key].float(), base[key].float()) for key in base)
    assert any(value.any() for key, value in bundle.pipeline.bottlenecks.state_dict().items() if ".up." in key)
    assert bundle.info.method == "aid"
    first, again, other = (
        bundle.pipeline(PHOTO, words, seed=1, num_inference_steps=2) for words in (TEXT, TEXT, "lift the blue mug up")
    )
    assert len(first.frames) == 4
    assert all(np.array_equal(*pair) for pair in zip(first.frames, again.frames, strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(first.frames, other.frames, strict=True))


def test_at_its_start_the_base_in_its_own_context_is_unchanged_to_the_bit(settings):
    config = settings(dqformer={"multimodal": False, "decomposed": False}, cross_attention={"train": "frozen"})
    run = open_run(config)
    samples = run.stage.samples(run.clips())
    run.stage.prepare()
    objective = run.stage.objective().eval()
    batch = torch.utils.data.default_collate([samples[0], samples[1]])
    with torch.no_grad():
        ours = objective(batch)["noise"]
        for handle in objective.handles:
            handle.remove()
        assert torch.equal(objective(batch)["noise"], ours)
    assert len(objective.handles) > 0


@pytest.mark.parametrize("train_cross", ["frozen", "lora", "full"])
def test_gradients_reach_what_is_trained_and_nothing_else(settings, train_cross):
    config = settings(cross_attention={"train": train_cross, "rank": 2})
    run = open_run(config)
    samples = run.stage.samples(run.clips())
    run.stage.prepare()
    objective = run.stage.objective()
    batch = torch.utils.data.default_collate([samples[position] for position in range(4)])
    parameters = {
        f"{name}.{key}": value
        for name, network in objective.networks.items()
        for key, value in network.named_parameters()
    }
    opened = {key for key, value in parameters.items() if value.requires_grad}
    assert {key.partition(".")[0] for key in opened} >= {"dqformer", "bottlenecks"}
    of_unet = {key for key in opened if key.startswith("unet.")}
    assert bool(of_unet) == (train_cross != "frozen")
    assert all("attn2" in key and (".lora_" in key) == (train_cross == "lora") for key in of_unet)
    before = {key: value.detach().clone() for key, value in parameters.items()}
    optimizer = torch.optim.AdamW([parameters[key] for key in sorted(opened)], lr=0.01, weight_decay=0)
    for step in range(2):
        objective(batch)["noise"].backward()
        reached = {key for key, value in parameters.items() if value.grad is not None and value.grad.any()}
        assert reached <= opened
        if step == 0:
            # What begins at zero keeps the gradient from what lies before it.
            assert {key for key in opened if key.startswith("bottlenecks.") and ".up." in key} <= reached
            assert {key for key in opened if key.startswith("dqformer.")} <= reached
            if train_cross == "full":
                assert of_unet <= reached
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    moved = {key for key, value in parameters.items() if not torch.equal(value, before[key])}
    # After a step nothing holds the gradient back any more: all that is trained has moved, and nothing else.
    assert moved == opened


def test_known_frames_are_not_judged_unless_it_is_asked(settings):
    values = []
    for judge in (False, True):
        run = open_run(settings(judge_known=judge, references=2, dropout={"text": 0, "image": 0, "both": 0}))
        sample = run.stage.samples(run.clips())[0]
        assert sample["where"].flatten().tolist() == [1, 1, 0, 0]
        grey = sample["known"][:, 2:]
        assert torch.equal(grey[:, :1], grey[:, 1:])
        assert grey.any()
        run.stage.prepare()
        objective = run.stage.objective().eval()
        batch = torch.utils.data.default_collate([sample])
        with torch.no_grad():
            values.append(objective(batch)["noise"])
            error = objective_module.denoising_step(
                objective.backbone, {**batch, "text": objective._context(batch)}, False
            )
        squares = (error.prediction - error.target).square()
        expected = squares.mean() if judge else squares[:, :, 2:].mean()
        torch.testing.assert_close(values[-1], expected)
    assert values[0] != values[1]


def test_dropping_the_picture_drops_the_known_frames_with_it(settings):
    for drop, known in ((True, 0), (False, 1)):
        run = open_run(settings(drop_known=drop, dropout={"text": 0, "image": 1, "both": 0}, unknown="zeros"))
        clips = run.clips()
        sample = run.stage.samples(clips)[0]
        assert sample["where"].sum() == known
        assert torch.equal(sample["image"], clips.nulls["null_image"].float())
        assert sample["known"].shape == sample["latents"].shape
        assert sample["known"].any() == bool(known)


def states_file(folder: Path, counts: list[int]) -> Path:
    rows = [
        {"id": str(number), "states": [f"the box {n}" for n in range(counts[number % len(counts)])]}
        for number in range(CLIPS)
    ]
    path = folder / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.filterwarnings("ignore::showme.errors.ShowMeWarning")
def test_states_come_from_a_list_of_any_number_of_them(settings, tmp_path):
    config = settings(states=str(states_file(tmp_path, [4, 3, 5])))
    run = open_run(config)
    samples = run.stage.samples(run.clips())
    there = sorted({int(samples[position]["states_there"].sum()) for position in range(CLIPS)})
    assert there == [3, 4, 5]
    assert samples[0]["states"].shape == (5, 24, 16)
    pipeline = load_bundle(train(config)).pipeline
    plain, with_states = (
        pipeline(PHOTO, TEXT, states=states, seed=1, num_inference_steps=2, output_type="np").frames
        for states in (None, ["the box", "the red box", "the blue box"])
    )
    assert not np.array_equal(plain, with_states)
    with pytest.raises(InputError, match="states are empty or no sentences: give a list of these"):
        pipeline(PHOTO, TEXT, states=[])


def test_several_first_frames_are_kept_and_one_stands_for_all(settings):
    pipeline = load_bundle(train(settings(references=2))).pipeline
    other = Image.new("RGB", (32, 32), (10, 200, 10))
    call = {"seed": 1, "num_inference_steps": 2, "output_type": "np"}
    one, two, different = (pipeline(image, TEXT, **call).frames for image in (PHOTO, [PHOTO, PHOTO], [PHOTO, other]))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, different)
    with pytest.raises(InputError, match="3 first frames were given, and the model knows 2: give so many, or one"):
        pipeline([PHOTO] * 3, TEXT)
    with pytest.raises(
        InputError, match="num_frames leaves nothing to make after the 2 frames that are known: raise it"
    ):
        pipeline(PHOTO, TEXT, num_frames=2)


def test_guidance_is_as_many_passes_and_1_of_both_is_none(settings, monkeypatch):
    pipeline = load_bundle(train(settings())).pipeline
    rows = []
    real = type(pipeline.backbone).predict

    def predict(self, noisy, *others, **named):
        rows.append(len(noisy))
        return real(self, noisy, *others, **named)

    monkeypatch.setattr(type(pipeline.backbone), "predict", predict)
    for scales in ((12, 1.5), (12, 1), (1, 1)):
        pipeline(PHOTO, TEXT, guidance_scale=scales[0], visual_guidance=scales[1], num_inference_steps=1)
    assert rows == [3, 2, 1]
    with pytest.raises(InputError, match="visual_guidance"):
        pipeline(PHOTO, TEXT, visual_guidance=-1)


def test_a_killed_run_goes_on_to_the_same_weights(settings, tmp_path):
    whole = train(settings(out=str(tmp_path / "whole")))
    train(settings({"steps": 1}, out=str(tmp_path / "halves")))
    resumed = train(settings(out=str(tmp_path / "halves")))
    for name in ("dqformer", "bottlenecks"):
        first, second = (load_file(model / name / "diffusion_pytorch_model.safetensors") for model in (whole, resumed))
        assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"references": 4}, "references 4: less than data.frames, 4"),
        ({"states": "tabletop", "dqformer": {"decomposed": False}}, "states are read by the decomposed branch"),
        ({"adapters": {"kernel": [2, 1, 1]}}, r"kernel \[2, 1, 1\]: choose odd numbers"),
        (
            {"dqformer": {"multimodal": False, "decomposed": False}, "cross_attention": {"train": "frozen"},
             "adapters": {"spatial": False, "short_term": False, "long_term": False}},
            "nothing is trained: leave a branch",
        ),
        ({"dqformer": {"channels": 10, "heads": 3}}, "dqformer: 3 heads do not divide 10 channels"),
        ({"dqformer": {"channels": 16, "heads": 2, "queries": 7}}, "do not fill them: choose 24 or a multiple"),
        ({"states": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"states": "tabletop"}, "is not an instruction of the tabletop world"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(settings, tmp_path, changes, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        train(settings(**changes))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "aid").exists()


def test_validation_asks_as_the_model_is_trained(settings):
    """With other contexts of nothing, and other scales, than the base has."""
    changes = {"null_context": "dqformer", "dqformer": {"channels": 16, "heads": 2, "queries": 7}}
    run = open_run(settings(validation={"scenes": 1}, text_guidance=3.0, visual_guidance=2.0, **changes))
    run.stage.prepare()
    asked = run.stage.pipeline.config
    assert (asked.null_context, asked.guidance_scale, asked.visual_guidance) == ("dqformer", 3.0, 2.0)
    assert train(run.config).is_dir()


def test_every_part_of_the_cache_is_known_before_training(settings, tmp_path):
    names = [part.name for part in cache_parts(settings(states=str(states_file(tmp_path, [4]))))[1]]
    assert names == ["latents", "image", "null_image", "text", "states"]


def test_branches_in_turn_give_what_they_give_together(settings, monkeypatch):
    pipeline = load_bundle(train(settings())).pipeline
    call = {
        "seed": 3,
        "num_inference_steps": 2,
        "guidance_scale": 12.0,
        "visual_guidance": 1.5,
        "output_type": "latent",
    }
    together = pipeline(PHOTO, TEXT, **call).frames
    real, rows = type(pipeline.backbone).predict, []

    def scarce(self, noisy, *others, **named):
        rows.append(len(noisy))
        if len(noisy) > 1:
            raise torch.OutOfMemoryError("too much")
        return real(self, noisy, *others, **named)

    monkeypatch.setattr(type(pipeline.backbone), "predict", scarce)
    # Of their range: guidance of 12 makes twelve times as much of the last digits.
    apart = (pipeline(PHOTO, TEXT, **call).frames - together).abs().max()
    assert apart < 1e-5 * together.abs().max()
    # Asked together once, and then in turn.
    assert rows == [3, 1, 1, 1, 1, 1, 1]


def test_a_model_of_the_worlds_states_reads_them_unasked(settings, clips, tmp_path):
    folder = shutil.copytree(clips, tmp_path / "worded")
    index = folder / "index.jsonl"
    index.write_text(index.read_text().replace(TEXT, "push the red box to the left"))
    data = {"source": str(folder), "cache": str(tmp_path / "cache"), "frames": 4}
    pipeline = load_bundle(train(settings(states="tabletop", data=data))).pipeline
    assert pipeline.config.states == "tabletop"
    words, call = "push the red box to the left", {"seed": 1, "num_inference_steps": 2, "output_type": "np"}
    unasked, given, without = (
        pipeline(PHOTO, words, states=states, **call).frames for states in (None, list(tabletop_states(words)), "none")
    )
    assert np.array_equal(unasked, given)
    assert not np.array_equal(unasked, without)
    # Another world's instruction has none.
    assert np.array_equal(pipeline(PHOTO, TEXT, **call).frames, pipeline(PHOTO, TEXT, states="none", **call).frames)
