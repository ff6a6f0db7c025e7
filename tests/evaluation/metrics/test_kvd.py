"""KVD against scikit-learn's kernel, torchmetrics' MMD, and the order of calls in Seer's evaluation."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from showme.errors import InputError
from showme.evaluation.metrics import kvd
from showme.evaluation.metrics.kvd import KernelVideoDistance, kernel_distance

pairwise = pytest.importorskip("sklearn.metrics.pairwise")


class Means(nn.Module):
    dimensions = 3
    fingerprint = {"network": "means"}  # noqa: RUF012

    def forward(self, clips: Tensor) -> Tensor:
        return clips.mean(dim=(1, 3, 4))


def sets(size: int, other: int, dimensions: int = 400, seed: int = 0) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(seed)
    scales = 4 / np.sqrt(np.arange(1, dimensions + 1))
    a = random.normal(size=(size, dimensions)) * scales + 1
    b = random.normal(size=(other, dimensions)) * scales * 1.2 + 1.3
    return torch.from_numpy(a), torch.from_numpy(b)


def by_sklearn(a: Tensor, b: Tensor) -> float:
    aa, bb, ab = (pairwise.polynomial_kernel(x.numpy(), y.numpy()) for x, y in ((a, a), (b, b), (a, b)))
    inside = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (aa, bb)]
    return sum(inside) - 2 * ab.mean()


@pytest.mark.parametrize(("size", "other"), [(64, 64), (100, 70), (2, 3)])
@pytest.mark.parametrize("block", [1024, 7])
def test_it_is_sklearns(size, other, block, monkeypatch):
    monkeypatch.setattr(kvd, "_BLOCK", block)
    a, b = sets(size, other)
    assert float(kernel_distance(a, b)) == pytest.approx(by_sklearn(a, b), rel=1e-9, abs=1e-9)


def test_it_is_torchmetrics():
    image_kid = pytest.importorskip("torchmetrics.image.kid")
    a, b = sets(80, 80)
    assert float(kernel_distance(a, b)) == pytest.approx(float(image_kid.poly_mmd(b, a)), rel=1e-9)


def test_centred_is_what_a_covariance_in_place_leaves():
    a, b = sets(64, 64)
    changed = a.clone(), b.clone()
    for features in changed:
        # The covariance works on a view of the features, and they are what the kernel sees afterwards.
        view = features.flatten(start_dim=1).t()
        view -= torch.mean(view, dim=1, keepdim=True)
    expected = by_sklearn(*changed)
    assert float(kernel_distance(a, b, centred=True)) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert float(kernel_distance(a, b)) > expected + 0.05
    shifted = b + 2
    assert float(kernel_distance(a, shifted, centred=True)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_sets_of_one_distribution_are_near_zero():
    random = np.random.default_rng(0)
    values = [
        float(kernel_distance(*(torch.from_numpy(random.normal(size=(64, 20))) for _ in range(2)))) for _ in range(64)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / 8
    assert min(values) < 0 < max(values)


def fed(generated: Tensor, real: Tensor, parts: int) -> KernelVideoDistance:
    metric = KernelVideoDistance(Means())
    for part in generated.chunk(parts):
        metric.update(part, real=False)
    for part in real.chunk(parts):
        metric.update(part, real=True)
    return metric


def test_merging_and_order_change_nothing():
    a, b = sets(70, 64, 3)
    whole, one, other = fed(a, b, 4), fed(a[:30], b[:50], 2), fed(a[30:], b[50:], 3)
    backwards = deepcopy(other)
    backwards.merge_state(deepcopy(one))
    one.merge_state(other)
    expected = by_sklearn(a, b)
    for metric in (whole, one, backwards, fed(a.flip(0), b.flip(0), 1)):
        assert float(metric.compute()) == pytest.approx(expected, rel=1e-9)


def test_features_and_record():
    metric = KernelVideoDistance(Means(), "stylegan-v", centred=True)
    clips = torch.rand(4, 2, 3, 224, 224)
    torch.testing.assert_close(metric.features(clips), 2 * clips.mean(dim=(1, 3, 4)) - 1)
    assert metric.fingerprint["centred"] is True
    assert metric.fingerprint["preprocessing"] == "stylegan-v"


@pytest.mark.filterwarnings("ignore:The ``compute`` method:UserWarning")
def test_too_few_clips_are_refused():
    a, b = sets(3, 3, 3)
    with pytest.raises(InputError, match="there are 1 generated and 3 true"):
        fed(a[:1], b, 1).compute()
    with pytest.raises(InputError, match="there are 0 generated and 0 true"):
        KernelVideoDistance(Means()).compute()
