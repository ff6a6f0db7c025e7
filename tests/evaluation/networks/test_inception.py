"""FID's Inception against torch-fidelity's extractor and torchmetrics', resizing against clean-fid's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from showme.errors import InputError
from showme.evaluation.networks import inception
from showme.evaluation.networks.inception import FILES, RESIZINGS, Inception, load_inception
from showme.manifest import sha256_of

pytest.importorskip("torch_fidelity", reason="FID needs torch-fidelity")


def pictures_of(height: int, width: int, count: int = 2) -> Tensor:
    pixels = np.random.default_rng(width).integers(256, size=(count, 3, height, width), dtype=np.uint8)
    return torch.from_numpy(pixels)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file like the published one, with random weights that keep the signal's size."""
    torch.manual_seed(0)
    network = Inception()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data.normal_(0, math.sqrt(2 / math.prod(module.weight.shape[1:])))
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    tensors = {**network.state_dict(), "fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    path = tmp_path_factory.mktemp("inception") / FILES[0]
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture
def network(weights, monkeypatch):
    monkeypatch.setattr(inception, "SHA256", sha256_of(weights))
    return load_inception(weights)


def test_features_are_torchmetrics(weights, network):
    image_fid = pytest.importorskip("torchmetrics.image.fid")
    pictures = pictures_of(128, 160, count=1)
    metric = image_fid.FrechetInceptionDistance(2048, feature_extractor_weights_path=str(weights))
    theirs = metric.inception(pictures)
    ours = network(RESIZINGS["torchmetrics"](pictures.float()))
    assert ours.shape == (1, 2048)
    assert theirs.std() > 0.01
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_features_are_torch_fidelitys(weights, network):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    pictures = pictures_of(320, 256, count=1)
    (theirs,) = FeatureExtractorInceptionV3("inception", ["2048"], str(weights))(pictures)
    torch.testing.assert_close(network(RESIZINGS["torch-fidelity"](pictures.float())), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(64, 64), (256, 256), (480, 360), (299, 299)])
def test_resizing_is_clean_fids(shape):
    cleanfid = pytest.importorskip("cleanfid.resize")
    pictures = pictures_of(*shape)
    clean, legacy = cleanfid.build_resizer("clean"), cleanfid.build_resizer("legacy_pytorch")
    arrays = [picture.movedim(0, -1).numpy() for picture in pictures]
    expected = np.stack([(clean(array) - 128) / 128 for array in arrays])
    np.testing.assert_array_equal(RESIZINGS["clean"](pictures.float()).movedim(1, -1).numpy(), expected)
    expected = np.stack([2 * (legacy(array) / 255) - 1 for array in arrays])
    np.testing.assert_allclose(RESIZINGS["pytorch-fid"](pictures.float()).movedim(1, -1).numpy(), expected, atol=1e-5)


def test_resizings_differ():
    pictures = pictures_of(400, 400).float()
    made = {name: resize(pictures) for name, resize in RESIZINGS.items()}
    for name, one in made.items():
        assert one.shape == (2, 3, 299, 299)
        assert all((one - other).abs().max() > 0.003 for key, other in made.items() if key != name)


def test_the_file_is_found_where_torch_hub_keeps_it(weights, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(InputError, match=r"There is no pt_inception-2015-12-05-6726825d.pth in .*checkpoints"):
        load_inception()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / FILES[1]).symlink_to(weights)
    monkeypatch.setattr(inception, "SHA256", sha256_of(weights))
    assert load_inception().fingerprint == load_inception(weights).fingerprint


def test_other_files_are_refused(weights, tmp_path):
    with pytest.raises(InputError, match=r"There is no Inception-v3 of FID file .*nowhere.pth"):
        load_inception(tmp_path / "nowhere.pth")
    with pytest.raises(InputError, match=r"is not the published file .* not 6726825d"):
        load_inception(weights)
