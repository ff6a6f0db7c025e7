"""Generation with narrow weights, and with blocks that wait in main memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showme.errors import InputError
from showme.generation.request import GenerateRequest
from showme.generation.run import generate
from tests.conversion.test_wan_folder import thin_model

FRAMES = 5
FILES = ("result.png", "action.mp4")


@pytest.fixture(scope="module")
def wan(tmp_path_factory) -> Path:
    return thin_model("in place", tmp_path_factory.mktemp("wan"), FRAMES)


def request(model: Path, photo: Path, out: Path, **changes) -> GenerateRequest:
    request = GenerateRequest(photo, "push the red box to the left", str(model), out=out, device="cpu", steps=2)
    return replace(request, **changes)


def made(asked: GenerateRequest) -> tuple[dict[str, bytes], dict]:
    generate(asked)
    files = {name: (asked.out / name).read_bytes() for name in FILES}
    return files, json.loads((asked.out / "run.json").read_text())["settings"]


def test_blocks_that_wait_make_the_same_to_the_byte(wan, photo, tmp_path):
    plain, settings = made(request(wan, photo, tmp_path / "plain"))
    assert (settings["weights"], settings["offload"]) == (None, False)
    waited, settings = made(request(wan, photo, tmp_path / "waits", weights="fp32", offload=True))
    assert (settings["weights"], settings["offload"]) == ("fp32", True)
    assert waited == plain
    assert "blocks wait in main memory" in (tmp_path / "waits" / "index.html").read_text()


@pytest.mark.parametrize("weights", ["bf16", "int8"])
def test_narrow_weights_make_nearly_the_same(wan, tiny_bundle, photo, tmp_path, weights):
    for model in (wan, tiny_bundle):
        one, other = (tmp_path / f"{Path(model).parent.name}-{name}" for name in ("plain", weights))
        plain, _ = made(request(model, photo, one))
        narrow, settings = made(request(model, photo, other, weights=weights))
        assert settings["weights"] == weights
        assert narrow != plain
        pictures = [np.asarray(Image.open(out / "result.png"), int) for out in (one, other)]
        assert np.abs(pictures[0] - pictures[1]).mean() < 12


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"weights": "int3"}, r"--weights 'int3': choose fp32, bf16, fp8, int8, int4"),
        ({"weights": "int4"}, r"--weights int4 runs on CUDA GPUs alone, this is cpu: choose int8"),
        ({"weights": "int4", "offload": True}, r"--offload moves weights, and int4's cannot be: choose --weights int8"),
        ({"offload": True}, r"--offload: VideoUNet has no blocks that can wait: it is for Wan"),
    ],
)
def test_what_does_not_go_is_one_sentence(tiny_bundle, photo, tmp_path, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        generate(request(tiny_bundle, photo, tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()
