"""FID over frames, against torchmetrics with the same network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from showme.evaluation.metrics.fid import FrechetInceptionDistance

pytest.importorskip("torch_fidelity", reason="FID needs torch-fidelity")


class Grid(nn.Module):
    """Mean colours of a 3x3 grid: 27 features of a picture in the network's range."""

    dimensions = num_features = 27
    fingerprint = {"network": "grid"}  # noqa: RUF012

    def forward(self, pictures: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(pictures, 3).flatten(1)


class Resized(nn.Module):
    """The same after torchmetrics' own resizing, of uint8 pictures."""

    num_features = 27

    def forward(self, pictures: Tensor) -> Tensor:
        size = (299, 299)
        x = nn.functional.interpolate(pictures.float(), size, mode="bilinear", align_corners=False, antialias=True)
        return Grid()((x - 128) / 128)


def clips_of(count: int, seed: int) -> Tensor:
    levels = np.random.default_rng(seed).integers(256, size=(count, 4, 3, 20, 24))
    return torch.from_numpy(levels).float() / 255


def test_it_is_torchmetrics_over_all_frames():
    image_fid = pytest.importorskip("torchmetrics.image.fid")
    ours, theirs = FrechetInceptionDistance(Grid(), "torchmetrics"), image_fid.FrechetInceptionDistance(Resized())
    for real, clips in ((True, clips_of(20, 1)), (False, 0.9 * clips_of(18, 2))):
        for part in clips.split(7):
            features = ours.features(part)
            assert features.shape == (len(part), 4, 27)
            ours.update(features, real=real)
        theirs.update((clips * 255).round().byte().flatten(0, 1), real=real)
    assert int(ours.real_count) == 80
    # torchmetrics gives its double back as the features' float.
    assert float(ours.compute()) == pytest.approx(float(theirs.compute()), rel=1e-5)


@pytest.mark.parametrize("resizing", ["torchmetrics", "torch-fidelity", "clean", "pytorch-fid"])
def test_frames_are_brought_to_8_bits_first(resizing):
    metric = FrechetInceptionDistance(Grid(), resizing)
    clips = clips_of(2, 3)
    torch.testing.assert_close(metric.features(clips + 0.3 / 255), metric.features(clips), rtol=0, atol=0)
    assert metric.fingerprint["resizing"] == resizing


def test_other_tensors_and_resizings_are_refused():
    with pytest.raises(ValueError, match="clips are floating-point"):
        FrechetInceptionDistance(Grid(), "clean").features(torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="torchmetrics, torch-fidelity, clean, pytorch-fid"):
        FrechetInceptionDistance(Grid(), "nearest")
