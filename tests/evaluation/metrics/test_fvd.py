"""FVD from pixels to the number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from showme.errors import InputError
from showme.evaluation.metrics.fvd import FrechetVideoDistance
from showme.evaluation.networks.i3d import I3D

linalg = pytest.importorskip("scipy.linalg")


class Corners(nn.Module):
    """A clip's mean colours in four corners: 12 features."""

    dimensions = 12
    fingerprint = {"network": "corners"}  # noqa: RUF012

    def forward(self, clips: Tensor) -> Tensor:
        assert clips.shape[2:] == (3, 224, 224)
        return clips.unflatten(4, (2, 112)).unflatten(3, (2, 112)).mean(dim=(1, 4, 6)).flatten(1)


def clips_of(count: int, seed: int) -> Tensor:
    random = np.random.default_rng(seed)
    colours = random.uniform(size=(count, 2, 3, 4, 4)).astype(np.float32)
    return torch.from_numpy(colours).repeat_interleave(8, 3).repeat_interleave(8, 4)


@pytest.mark.parametrize(
    ("preprocessing", "covariance"), [("videogpt", "unbiased"), ("stylegan-v", "biased"), ("cd-fvd", "biased")]
)
def test_the_number_is_scipys(preprocessing, covariance):
    metric = FrechetVideoDistance(Corners(), preprocessing, covariance)
    sides = clips_of(64, 1), 0.8 * clips_of(70, 2)
    features = []
    for real, clips in zip((False, True), sides, strict=True):
        for part in clips.split(16):
            features.append(metric.features(part))
            metric.update(features[-1], real=real)
    generated, truth = torch.cat(features[:4]).double().numpy(), torch.cat(features[4:]).double().numpy()
    covariances = [np.cov(x, rowvar=False, bias=covariance == "biased") for x in (generated, truth)]
    difference = generated.mean(0) - truth.mean(0)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = difference @ difference + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-7)
    # 32x32 pixels are blocks of eight: the corners' means are those of the clip, in [-1, 1].
    blocks = sides[0].double().unflatten(4, (2, 16)).unflatten(3, (2, 16)).mean(dim=(1, 4, 6)).flatten(1)
    np.testing.assert_allclose(generated, 2 * blocks - 1, atol=0.02)


def test_the_record_says_what_decides_the_number():
    fingerprint = FrechetVideoDistance(Corners(), "stylegan-v", "biased").fingerprint
    assert fingerprint == {
        "network": {"network": "corners"},
        "preprocessing": "stylegan-v",
        "covariance": "biased",
        "dtype": "float64",
    }


def test_short_clips_and_unknown_preprocessing_are_refused():
    with pytest.raises(InputError, match="3 frames and I3D needs at least 9"):
        FrechetVideoDistance(I3D()).features(torch.rand(2, 3, 3, 32, 32))
    with pytest.raises(ValueError, match="videogpt, stylegan-v, cd-fvd"):
        FrechetVideoDistance(Corners(), "resnet")
