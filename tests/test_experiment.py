"""Whole runs of ShowMe's stages on a tiny model: what is trained, what is written, what is refused, what is resumed."""

from __future__ import annotations

import gc
import json
import random
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.numpy import save_file
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPVisionModel

from showme.backbones.lora import bare_weights
from showme.cli import main
from showme.config import OptimizerConfig, TrainingConfig, dump_config
from showme.errors import InputError, ShowMeWarning, TruncationWarning
from showme.experiment import clip_rows, fill_cache, open_run, train
from showme.methods.showme.config import ShowMeConfig
from showme.methods.showme.objective import ShowMeObjective
from showme.pipelines import load_bundle, save_bundle
from showme.run_folder import MODEL
from showme.run_validation import Validator
from showme.training import Trainer
from showme.training.log import LOG
from tests.conftest import make_tiny_info
from tests.training_processes import LAUNCH, last_weights, launch_training, train_and_kill, train_together

CLIPS = 6


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """A folder of moving grey blobs."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    lines = []
    for number in range(CLIPS):
        frames = np.full((7, 32, 32, 3), 90, np.uint8)
        row, column = rng.integers(4, 20, 2)
        for time_, frame in enumerate(frames):
            frame[row : row + 8, column + time_ : column + time_ + 8] = 200
        save_file({"frames": frames}, folder / f"{number}.safetensors")
        instruction = f"push the {('red', 'blue')[number % 2]} box"
        lines.append(json.dumps({"id": str(number), "file": f"{number}.safetensors", "instruction": instruction}))
    (folder / "index.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def settings(tiny_bundle, clips, tmp_path):
    """settings(stage, **changes) -> ShowMeConfig of a short run into tmp_path."""

    def make(stage: str = "state_image", training=None, data=None, **changes) -> ShowMeConfig:
        trainer = {"steps": 3, "batch_size": 4, "precision": "fp32", "tensorboard": False} | (training or {})
        trainer.setdefault("optimizer", OptimizerConfig(learning_rate=0.01))
        tree = {
            "stage": stage, "model": str(tiny_bundle), "out": tmp_path / "run", "validation": {"scenes": 0},
            "adapter": {"rank": 2, "projector_rank": 2},
            "data": {"source": clips, "cache": tmp_path / "cache", "frames": 4} | (data or {}),
            "training": TrainingConfig(**trainer),
        }  # fmt: skip
        return ShowMeConfig(**(tree | changes))

    return make


def log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def changed(before: Path | str, after: Path | str) -> set[str]:
    """Which of base, state_image, state_video, projector, projector adapter differ between two models."""
    names = set()
    first, second = (load_bundle(folder, dtype=torch.float32).pipeline for folder in (before, after))
    for network, title in (("unet", "base"), ("image_projector", "projector")):
        states = []
        for pipeline in (first, second):
            with bare_weights(getattr(pipeline, network)):
                states.append(getattr(pipeline, network).state_dict())
        if any(not torch.equal(states[0][key], states[1][key]) for key in states[0]):
            names.add(title)
        full = [getattr(pipeline, network).state_dict() for pipeline in (first, second)]
        for key, value in full[1].items():
            if ".lora_" in key and (key not in full[0] or not torch.equal(full[0][key], value)):
                adapter = "state_image" if ".state_image." in key else "state_video"
                names.add(adapter if network == "unet" else f"projector {adapter}")
    return names


@pytest.mark.parametrize(
    ("stage", "changes", "trained"),
    [
        ("state_image", {}, {"state_image", "projector state_image"}),
        ("state_image", {"adapter": {"rank": 2, "projector": "full"}}, {"state_image", "projector"}),
        ("state_image", {"adapter": {"rank": 2, "projector": "frozen"}}, {"state_image"}),
        ("state_video", {}, {"state_video"}),
        ("state_video", {"goal_share": 0.5, "fresh": True}, {"state_video"}),
    ],
)
def test_a_stage_trains_its_own_and_nothing_else(settings, tiny_bundle, stage, changes, trained):
    config = settings(stage, **changes)
    model = train(config)
    assert changed(tiny_bundle, model) == trained
    bundle = load_bundle(model)
    assert bundle.info.name == "run"
    assert bundle.pipeline.config.goal_conditioning == ("goal_share" in changes)
    bundle.pipeline.set_progress_bar_config(disable=True)
    output = bundle.pipeline(Image.new("RGB", (32, 32)), "push the red box", seed=0, num_inference_steps=1)
    assert len(output.frames) == 4


def test_what_was_not_trained_keeps_its_precision_on_disk(settings, tiny_pipeline, tmp_path):
    save_bundle(tiny_pipeline, make_tiny_info(), tmp_path / "half", dtype=torch.bfloat16)
    model = train(settings(model=str(tmp_path / "half")))
    base = load_file(next((model / "unet").glob("*.safetensors")))
    assert {value.dtype for value in base.values()} == {torch.bfloat16}
    assert {value.dtype for value in load_file(model / "adapters/state_image.safetensors").values()} == {torch.float32}
    assert changed(tmp_path / "half", model) == {"state_image", "projector state_image"}


def test_the_first_stage_leaves_no_second_adapter_behind_it(settings):
    pipeline = load_bundle(train(settings())).pipeline
    assert set(pipeline.unet.peft_config) == {"state_image"}


def test_full_tuning_is_for_a_model_without_adapters(settings):
    with pytest.raises(InputError, match="has adapters: tuning=full"):
        train(settings(tuning="full"))


def test_rewards_are_terms_of_their_own_and_move_the_weights(settings, tmp_path):
    plain = train(settings(training={"steps": 2}))
    rewards = {"edge": "sobel", "depth": "tabletop", "edge_weight": 3.0}
    image = settings(rewards=rewards, out=tmp_path / "image", training={"steps": 12})
    train(image)
    assert set(log(image.out)[0]) >= {"noise", "edge", "depth"}
    assert max(row["edge"] for row in log(image.out)) > 0
    assert max(row["depth"] for row in log(image.out)) > 0
    pytest.importorskip("cv2")
    video = settings("state_video", model=str(plain), rewards={"motion": "dis"}, out=tmp_path / "video")
    train(video)
    assert set(log(video.out)[0]) >= {"noise", "motion"}
    assert max(row["motion"] for row in log(video.out)) > 0


def test_validation_is_a_page_that_grows(settings):
    config = settings(validation={"scenes": 2, "steps": 1}, training={"steps": 4, "validate_steps": 2})
    train(config)
    folder = config.out / "validation"
    page = (folder / "index.html").read_text()
    assert "step 2" in page
    assert "step 4" in page
    assert page.index("step 4") < page.index("step 2")
    assert page.count("push the red box") == page.count("push the blue box") == 1
    for name in ("scene0-first.png", "scene1-truth.png", "scene0-step0000002.png", "scene1-step0000004.png"):
        assert f'src="{name}"' in page
        assert Image.open(folder / name).size == (32, 32)


def test_video_is_validated_as_video(settings):
    config = settings("state_video", validation={"scenes": 1, "steps": 1}, training={"steps": 1})
    train(config)
    assert (config.out / "validation" / "scene0-step0000001.mp4").stat().st_size > 500


def test_the_cache_is_filled_once_and_read_by_training(settings, monkeypatch):
    config = settings(rewards={"edge": "sobel"})
    parts = []
    assert fill_cache(config, lambda part, done, rows, size: parts.append(part)) == CLIPS
    assert set(parts) == {"latents", "image", "null_image", "text", "edge"}

    def fail(*_args, **_kwargs):
        raise AssertionError("nothing frozen is computed in training")

    monkeypatch.setattr("showme.backbones.video_unet.VideoUNetBackbone.encode", fail)
    monkeypatch.setattr("showme.backbones.video_unet.VideoUNetBackbone.encode_image", fail)
    monkeypatch.setattr("showme.backbones.video_unet.VideoUNetBackbone.encode_text", fail)
    monkeypatch.setattr("showme.data.rows.read_clip", fail)
    train(config)


@pytest.mark.parametrize("scenes", [0, 1])
def test_encoders_leave_memory_when_the_cache_is_whole_and_nobody_validates(settings, monkeypatch, scenes):
    """The codec stays, and so do all where validation asks them."""
    kinds, alive, run = (CLIPTextModel, CLIPVisionModel, AutoencoderKL), [], Trainer.run

    def count(trainer=None):
        gc.collect()
        everything = gc.get_objects()
        alive.append([sum(issubclass(type(each), kind) for each in everything) for kind in kinds])
        return None if trainer is None else run(trainer)

    monkeypatch.setattr(Trainer, "run", count)
    count()
    train(settings(validation={"scenes": scenes}))
    before, during = alive
    assert [b - a for a, b in zip(before, during, strict=True)] == [scenes, scenes, 1]


def test_instructions_are_trained_on_as_they_will_be_asked(settings, clips, tmp_path):
    folder = shutil.copytree(clips, tmp_path / "asked")
    index = (folder / "index.jsonl").read_text().splitlines()
    index[0] = index[0].replace("push the red box", "Push the scarlet box!")
    index[1] = index[1].replace("push the blue box", "defenestrate the box")
    (folder / "index.jsonl").write_text("\n".join(index) + "\n")
    config = settings(data={"source": str(folder)})
    with pytest.warns(ShowMeWarning, match="1 of 6 instructions has words that tiny does not know, such as 'defenest"):
        rows = clip_rows(config, make_tiny_info())
    assert rows.record(0).instruction == "push the red box"
    plain = clip_rows(config, make_tiny_info(vocabulary=None))
    assert plain.record(0).instruction == "Push the scarlet box!"


@pytest.mark.filterwarnings("ignore::showme.errors.ShowMeWarning")
def test_enrichments_are_read_in_place_of_instructions(settings, clips, tmp_path):
    labels = tmp_path / "labels.jsonl"
    rows = [json.loads(line) for line in (clips / "index.jsonl").read_text().splitlines()]
    said = [{"id": row["id"], "enrichment": f"The hand\npushes it, way {n}."} for n, row in enumerate(rows)]
    labels.write_text("".join(json.dumps(row) + "\n" for row in said))
    config = settings()
    config = config.model_copy(update={"data": config.data.model_copy(update={"enrichment": labels})})
    # As the model is asked: in its spelling.
    read = [f"the hand pushes it way {n}" for n in range(len(rows))]
    assert [record.instruction for record in open_run(config).rows.records] == read
    scenes = config.validation.scenes
    assert [record.instruction for record in Validator(config, "image", (32, 32)).records] == [
        f"The hand pushes it, way {n}." for n in range(scenes)
    ]
    labels.write_text(json.dumps(said[0]) + "\n")
    with pytest.raises(InputError, match=r"labels\.jsonl has no enrichment of \d of \d clips, '.*' first: run `showme"):
        open_run(config)
    labels.write_text(json.dumps({"id": rows[0]["id"], "states": []}) + "\n")
    with pytest.raises(InputError, match=r"labels\.jsonl.*no enrichment: write it with `showme data annotate`"):
        open_run(config)


def test_several_processes_do_not_fill_the_cache(settings, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="run `showme data cache` with these settings first"):
        train(settings())


def test_what_is_refused_leaves_nothing_behind(settings, tmp_path):
    nowhere = tmp_path / "nowhere"
    for wrong in (
        {"model": "no-such-model"},
        {"data": {"source": nowhere}},
        {"validation": {"source": nowhere}},
        {"tuning": "full"},
        {"rewards": {"edge": "canny"}},
    ):
        with pytest.raises(InputError):
            train(settings(**wrong))
        assert not (tmp_path / "run").exists()


def test_another_run_in_the_same_folder_is_refused(settings):
    train(settings())
    with pytest.raises(InputError, match=r"was begun with another training\.optimizer\.learning_rate"):
        train(settings(training={"optimizer": OptimizerConfig(learning_rate=0.5)}))
    with pytest.raises(InputError, match=r"another adapter\.rank"):
        train(settings(adapter={"rank": 3}))
    train(settings(training={"steps": 5}))
    assert len(log(settings().out)) == 5


def test_a_folder_with_other_files_is_left_alone(settings, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        train(settings())


KILLS = 10


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Of the runs that are compared: one cache and one uninterrupted run."""
    return tmp_path_factory.mktemp("kept")


@pytest.mark.parametrize("instant", range(KILLS))
def test_a_run_killed_at_a_random_instant_ends_with_the_same_weights(instant, settings, kept, tmp_path):
    """20 steps = killed -9 and resumed, with LoRA dropout and conditioning dropout on."""
    training = {"steps": 20, "checkpoint_steps": 2}
    data = {"cache": kept / "cache"}
    whole = settings(training=training, data=data, out=kept / "whole")
    if not (kept / "whole" / MODEL).exists():
        train(whole)
    config = settings(training=training, data=data)
    assert config.adapter.dropout == 0.1
    train_and_kill(config, random.Random(instant).uniform(0, 1.0))
    train(config)
    ours, theirs = last_weights(config.out), last_weights(whole.out)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert [row["noise"] for row in log(config.out)] == [row["noise"] for row in log(whole.out)]


@pytest.mark.parametrize("how", LAUNCH)
def test_two_processes_train_what_one_does(how, settings, calm_bundle, tmp_path):
    common = {
        "adapter": {"rank": 2, "projector_rank": 2, "dropout": 0.0}, "rewards": {"edge": "sobel", "depth": "tabletop"},
        "validation": {"scenes": 1, "steps": 1}, "training": {"ema": 0.9}, "model": str(calm_bundle),
    }  # fmt: skip
    one, two = settings(**common), settings(**common, out=tmp_path / "two")
    train(one)
    if how == "shards":
        launch_training(two, how, tmp_path / "two.yaml")
    else:
        train_together(two, how)
    for name in ("noise", "edge", "depth"):
        values = [[row[name] for row in log(config.out)] for config in (one, two)]
        assert values[1] == pytest.approx(values[0], abs=1e-5)
    ours, theirs = last_weights(two.out), last_weights(one.out)
    assert ours.keys() == theirs.keys()
    assert max(float((ours[key] - theirs[key]).abs().max()) for key in theirs) < 1e-5
    assert (two.out / MODEL / "manifest.json").exists()
    pictures = [np.asarray(Image.open(c.out / "validation" / "scene0-step0000003.png"), int) for c in (one, two)]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_the_command_trains_and_says_where_to_look(settings, tmp_path, capsys):
    config = settings(validation={"scenes": 1, "steps": 1})
    dump_config(config, tmp_path / "run.yaml")
    with pytest.raises(SystemExit) as exit_:
        main(["train", str(tmp_path / "run.yaml"), "training.steps=2", f"out={tmp_path / 'other'}"])
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert f"model:   {tmp_path / 'other' / MODEL}" in said
    assert f"look at: {tmp_path / 'other' / 'validation' / 'index.html'}" in said
    assert len(log(tmp_path / "other")) == 2


def test_the_command_refuses_in_one_sentence(tmp_path, capsys):
    (tmp_path / "run.yaml").write_text("stage: state_image\n")
    with pytest.raises(SystemExit) as exit_:
        main(["train", str(tmp_path / "run.yaml")])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_wrong_settings_are_reported_without_torch(tmp_path):
    (tmp_path / "run.yaml").write_text("stage: state_image\n")
    code = "import sys, showme.cli as c\ntry: c.main(sys.argv[1:])\nfinally: print('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "train", str(tmp_path / "run.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (2, "False")


def _own(clips: Path, folder: Path) -> Path:
    """A copy of the clips that may be changed."""
    shutil.copytree(clips, folder)
    return folder


def test_a_run_goes_on_with_the_clips_that_it_was_begun_with_alone(settings, clips, tmp_path):
    own = _own(clips, tmp_path / "own")
    data, shorter, longer = {"source": own}, {"steps": 1}, {"steps": 2}
    train(settings(training=shorter, data=data))
    index = own / "index.jsonl"
    listed = index.read_text()
    index.write_text(listed.replace("push the red box", "lift the red box", 1))
    reason = (
        r"other clips \(1 has another instruction, such as '0', 'lift the red box' in place of 'push the red box'\)"
    )
    with pytest.raises(InputError, match=rf"run was begun with {reason}: give the old ones back, or start anew"):
        train(settings(training=longer, data=data))
    index.write_text(listed)
    # In the file's middle, where neither its size nor its ends show it.
    pixels = bytearray((own / "3.safetensors").read_bytes())
    pixels[9000:12000] = bytes(3000)
    (own / "3.safetensors").write_bytes(pixels)
    with pytest.raises(InputError, match=r"other clips \(1 has other pixels, such as '3'\): give the old ones back"):
        train(settings(training=longer, data=data))
    # Copied files have other times and the same pixels; and what was refused has changed nothing.
    shutil.copyfile(clips / "3.safetensors", own / "3.safetensors")
    resumed = train(settings(training=longer, data=data))
    straight = train(settings(training=longer, out=tmp_path / "straight"))
    assert changed(resumed, straight) == set()


def test_long_instructions_are_reported_once_with_the_clip_and_read_in_windows_by_choice(settings, clips, tmp_path):
    own = _own(clips, tmp_path / "own")
    end = "lift the blue mug"
    for line, words in ((0, "push the red box"), (2, end)):
        listed = [json.loads(each) for each in (own / "index.jsonl").read_text().splitlines()]
        listed[line]["instruction"] = " ".join(["push the red box"] * 5 + ["to the", words])
        (own / "index.jsonl").write_text("".join(json.dumps(each) + "\n" for each in listed))
    data = {"source": own}
    with pytest.warns(TruncationWarning) as caught:
        fill_cache(settings(data=data))
    (sentence,) = [str(each.message) for each in caught if isinstance(each.message, TruncationWarning)]
    assert "2 of 6 instructions are longer than the 24 tokens that the model reads: of the first, clip '0'," in sentence
    assert "'push the red box' is beyond them and is cut off" in sentence
    with pytest.raises(InputError, match="clip '0', 'push the red box' is beyond them: shorten what is too long"):
        train(settings(data=data | {"long_instructions": "refuse"}))
    config = settings("state_video", data=data | {"long_instructions": "chunk"}, dropout={"text": 0.5})
    with warnings.catch_warnings():
        warnings.simplefilter("error", TruncationWarning)
        model = train(config)
    # The model reads as it was trained to, whoever asks it.
    pipeline = load_bundle(model).pipeline
    assert pipeline.config.long_instructions == "chunk"
    cached = open_cached(config)
    texts = [cached[row]["text"] for row in (0, 1, 2)] + [cached[0]["null_text"]]
    assert [text.shape for text in texts] == [(48, 16)] * 4
    assert torch.equal(texts[1][:24], texts[1][24:])
    assert torch.equal(texts[0][:24], texts[2][:24])
    assert not torch.equal(texts[0][24:], texts[2][24:])


def open_cached(config: ShowMeConfig):
    return open_run(config, device="cpu").clips()


def test_a_run_ends_in_a_whole_bundle_or_in_a_thin_one(settings, tmp_path):
    models = [train(settings(out=tmp_path / bundle, bundle=bundle)) for bundle in ("whole", "thin")]
    assert sorted(path.name for path in models[1].iterdir() if path.is_dir()) == ["adapters"]
    photo = Image.new("RGB", (32, 32), "teal")
    whole, thin = (load_bundle(model).pipeline(photo, "push the red box", "image", seed=0).image for model in models)
    assert whole.tobytes() == thin.tobytes()


def test_what_a_thin_model_holds_as_a_whole_comes_along_with_the_next_stage(settings, tmp_path):
    first = train(settings(out=tmp_path / "first", bundle="thin", adapter={"rank": 2, "projector": "full"}))
    assert (first / "image_projector").is_dir()
    projector = load_file(first / "image_projector" / "diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in projector.values()} == {torch.float32}
    second = train(settings("state_video", model=str(first), out=tmp_path / "second", bundle="thin"))
    again = load_file(second / "image_projector" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(projector[name], again[name]) for name in projector)
    whole = train(settings("state_video", model=str(first), out=tmp_path / "whole"))
    again = load_file(whole / "image_projector" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(projector[name], again[name]) for name in projector)


def test_an_objective_that_trains_what_no_bundle_keeps_is_refused_before_a_step(settings, monkeypatch):
    monkeypatch.setattr(ShowMeObjective, "trained", property(lambda self: {"net": self.networks["unet"]}))
    with pytest.raises(InputError, match=r"trains a module 'net' that is no component of its backbone: .* name unet"):
        train(settings())
    assert not settings().out.exists()
