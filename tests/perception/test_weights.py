"""Weights that torchvision publishes: files that are missing, damaged, others or harmful."""

from __future__ import annotations

import pickle
import urllib.error
from pathlib import Path

import pytest
import torch
from torchvision.models import SqueezeNet1_1_Weights
from torchvision.models.optical_flow import Raft_Large_Weights, raft_large

from showme.errors import InputError, OutsideError
from showme.evaluation.metrics.lpips import LearnedPerceptualSimilarity
from showme.perception.flow import RaftFlow

PUBLISHED = {"LPIPS with squeeze": SqueezeNet1_1_Weights.IMAGENET1K_V1, "RAFT": Raft_Large_Weights.DEFAULT}
MAKERS = {"LPIPS with squeeze": lambda: LearnedPerceptualSimilarity("squeeze"), "RAFT": RaftFlow}


@pytest.fixture(params=PUBLISHED)
def what(request) -> str:
    return request.param


@pytest.fixture
def file(what, tmp_path, monkeypatch) -> Path:
    """Where the file lies, in a folder of torch.hub without it."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder / Path(PUBLISHED[what].url).name


def test_without_network_the_error_names_file_and_folder(what, file, monkeypatch):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(OutsideError, match=f"^{what} needs torchvision's {file.name}, .* put it at {file}.$"):
        MAKERS[what]()


class _Harm:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_damaged_other_and_harmful_files_are_reported_and_never_unpickled(what, file, tmp_path):
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other")
    harmful = pickle.dumps({"features.0.weight": _Harm(tmp_path / "harmed")}, protocol=2)
    for content, reason in (
        (b"no weights", "is damaged"),
        (harmful, "is damaged"),
        ((tmp_path / "other").read_bytes(), f"holds other weights than {what} needs"),
    ):
        file.write_bytes(content)
        with pytest.raises(InputError, match=f"^{file} {reason}"):
            MAKERS[what]()
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("what", ["RAFT"], indirect=True)
def test_raft_takes_the_published_file(what, file):
    torch.manual_seed(1)
    published = raft_large(weights=None).state_dict()
    torch.save(published, file)
    found = RaftFlow().network.state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in published.items())
