"""A method and a backbone of another package train, resume, generate, evaluate and save through the commands."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from safetensors.torch import load_file

from showme.cli import main
from tests.forked import run_in

TOY = Path(__file__).parent / "toy"
# What pip writes of a package that names its entry points.
ENTRY_POINTS = """[showme.methods]
toy = toy.toy_method:Toy
[showme.backbones]
toy = toy.toy_backbone:ToyBackbone
"""
BASE = """
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from showme.bundle import BundleInfo
from showme.pipelines import save_bundle
from toy.toy_backbone import ToyCodec, ToyDenoiser, ToyText
from toy.toy_method import ToyPipeline
torch.manual_seed(0)
pipeline = ToyPipeline(ToyDenoiser(), ToyCodec(), ToyText(), FlowMatchEulerDiscreteScheduler(shift=2.0))
info = BundleInfo(name="base", method="toy", backbone="toy", height=32, width=32, num_frames=5, fps=5, default_steps=2)
save_bundle(pipeline, info, "base")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with the installed package, a base model and four clips of 32 x 32 pixels."""
    folder = tmp_path_factory.mktemp("toy")
    shutil.copytree(TOY, folder / "site" / "toy", ignore=shutil.ignore_patterns("__pycache__"))
    dist = folder / "site" / "toy-1.0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (dist / "entry_points.txt").write_text(ENTRY_POINTS)
    assert run_in(folder, [str(folder / "site")], exec, BASE, {}) == (0, "")
    rng = np.random.default_rng(0)
    (folder / "clips").mkdir()
    lines = []
    for number in range(4):
        frames = rng.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
        save_file({"frames": frames}, folder / "clips" / f"{number}.safetensors")
        lines.append(json.dumps({"id": str(number), "file": f"{number}.safetensors", "instruction": "push"}))
    (folder / "clips" / "index.jsonl").write_text("\n".join(lines) + "\n")
    Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / "photo.png")
    return folder


def showme(folder: Path, *arguments: object, code: int = 0) -> str:
    """Run the command there, where the package is installed; what it printed."""
    exit_code, printed = run_in(folder, [str(folder / "site")], main, [str(each) for each in arguments])
    assert exit_code == code, printed
    return printed


def train(folder: Path, out: str, steps: int, *more: str, code: int = 0) -> str:
    recipe = folder / "toy.yaml"
    recipe.write_text(
        "method: toy\nmodel: base\ndata: {source: clips, cache: cache, frames: 5}\nvalidation: {scenes: 1}\n"
        "training: {steps: 1, batch_size: 2, precision: fp32, tensorboard: false}\n"
    )
    return showme(folder, "train", recipe, f"out={out}", f"training.steps={steps}", *more, code=code)


@pytest.fixture(scope="module")
def trained(place) -> Path:
    train(place, "whole", 4)
    return place / "whole"


def weights(model: Path) -> dict:
    return load_file(model / "transformer" / "diffusion_pytorch_model.safetensors")


def test_a_resumed_run_is_the_unbroken_one_to_the_bit(place, trained):
    train(place, "halves", 2)
    train(place, "halves", 4)
    first, second = (weights(place / out / "model") for out in ("whole", "halves"))
    assert all((first[name] == second[name]).all() for name in first)
    before = weights(place / "base")
    assert any((first[name] != before[name]).any() for name in first)


def test_the_model_generates_what_its_method_makes(place, trained):
    showme(place, "generate", "photo.png", "push the box", "--model", trained / "model", "--out", "made")
    assert (place / "made" / "action.mp4").is_file()
    assert not (place / "made" / "result.png").exists()
    assert json.loads((place / "made" / "run.json").read_text())["settings"]["tasks"] == ["video"]
    refused = showme(place, "generate", "photo.png", "push", "--model", "whole/model", "--task", "image", code=2)
    assert "makes no image: ask for --task video" in refused
    refused = showme(place, "generate", "photo.png", "push", "--model", "whole/model", "--frames", 4, code=2)
    assert "choose 3 or 5 frames" in refused
    assert "not trained to reach a goal" in showme(
        place, "generate", "photo.png", "push", "--model", "whole/model", "--goal", code=2
    )


def test_the_model_is_evaluated(place, trained):
    fields = ["protocol.width=32", "protocol.height=32", "protocol.frames=5", "protocol.metrics=[psnr]"]
    found = {}
    for model in ("whole/model", "base"):
        showme(place, "evaluate", "clips", "--model", model, "--out", f"result-{Path(model).name}", *fields)
        result = json.loads((place / f"result-{Path(model).name}" / "result.json").read_text())
        assert result["ids"] == ["0", "1", "2", "3"]
        found[model] = result["model"]["clips"]["psnr"]
        # Noise against noise of the same spread has 7.8 dB; what the model makes is no further off than that.
        assert all(4 < value < 30 for value in found[model])
        assert result["model"]["figures"]["psnr"]["value"] == pytest.approx(np.mean(found[model]))
    assert all(one != other for one, other in zip(*found.values(), strict=True))


def test_fields_of_another_method_are_refused_by_name(place):
    stderr = train(place, "other", 1, "rewards.edge=sobel", code=2)
    assert "there is no field rewards" in stderr
    assert "(the run's method is toy)." in stderr
    stderr = train(place, "other", 1, "method=showme", "stage=state_video", code=2)
    assert "showme cannot be run on base, whose backbone is toy: choose a model on video_unet, svd or wan." in stderr
    stderr = train(place, "other", 1, "method=tea", code=2)
    assert "the command line: method: There is no method 'tea': choose showme, ivg, aid, toy." in stderr


def test_a_bundle_of_a_package_that_is_not_installed_is_refused(place, trained):
    done = subprocess.run(
        [sys.executable, "-m", "showme.cli", "generate", "photo.png", "push", "--model", "whole/model"],
        cwd=place, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "There is no method 'toy': choose showme, ivg, aid." in done.stderr
