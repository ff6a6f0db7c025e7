"""The Fréchet distance against scipy, clean-fid, torchmetrics, the code of VideoGPT's formula, and closed forms."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from showme.errors import InputError
from showme.evaluation.metrics.frechet import FrechetDistance, frechet_distance, frechet_distance_of

linalg = pytest.importorskip("scipy.linalg")


class Pixels(nn.Module):
    """The pixels themselves as features."""

    def __init__(self, dimensions: int):
        super().__init__()
        self.dimensions, self.fingerprint = dimensions, {"network": "pixels"}

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.flatten(1)


class Metric(FrechetDistance):
    def features(self, clips: Tensor) -> Tensor:
        return self.network(clips)


def sets(size: int, other: int, dimensions: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two sets with means, spreads and correlations like those of a network's features."""
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(dimensions, dimensions)) / np.sqrt(np.arange(1, dimensions + 1))
    a = random.normal(size=(size, dimensions)) @ mixing.T + 3
    b = random.normal(size=(other, dimensions)) @ mixing.T * 1.3 + 3.2 + random.normal(size=dimensions) / 5
    return torch.from_numpy(a), torch.from_numpy(b)


def by_scipy(a: Tensor, b: Tensor, bias: bool = False) -> float:
    covariances = [np.cov(x.numpy(), rowvar=False, bias=bias) for x in (a, b)]
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    difference = a.numpy().mean(0) - b.numpy().mean(0)
    return difference @ difference + np.trace(covariances[0] + covariances[1] - 2 * root)


def streamed(a: Tensor, b: Tensor, covariance="unbiased", parts: int = 5) -> FrechetDistance:
    metric = Metric(Pixels(a.shape[-1]), covariance)
    for part in a.split(-(-len(a) // parts)):
        metric.update(part, real=False)
    for part in b.split(-(-len(b) // parts)):
        metric.update(part, real=True)
    return metric


@pytest.mark.parametrize("covariance", ["unbiased", "biased"])
@pytest.mark.parametrize(("size", "other", "dimensions"), [(64, 64, 16), (200, 120, 48), (400, 300, 64)])
def test_it_is_scipys(size, other, dimensions, covariance):
    a, b = sets(size, other, dimensions)
    expected = by_scipy(a, b, bias=covariance == "biased")
    assert float(frechet_distance_of(a, b, covariance)) == pytest.approx(expected, rel=1e-9)
    assert float(streamed(a, b, covariance).compute()) == pytest.approx(expected, rel=1e-9)


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
def test_it_is_clean_fids_and_torchmetrics():
    cleanfid, image_fid = pytest.importorskip("cleanfid.fid"), pytest.importorskip("torchmetrics.image.fid")
    a, b = sets(96, 64, 24)
    moments = [part for x in (a, b) for part in (x.numpy().mean(0), np.cov(x.numpy(), rowvar=False))]
    found = float(frechet_distance_of(a, b))
    assert found == pytest.approx(cleanfid.frechet_distance(*moments), rel=1e-9)
    theirs = image_fid.FrechetInceptionDistance(Pixels(24), normalize=True, input_img_size=(1, 4, 6))
    theirs.inception.num_features = 24
    theirs.update(a.view(-1, 1, 4, 6), real=True)
    theirs.update(b.view(-1, 1, 4, 6), real=False)
    assert found == pytest.approx(float(theirs.compute()), rel=1e-9)


def test_it_is_videogpts_formula_in_float64():
    a, b = sets(128, 128, 20, seed=1)

    def root(matrix: np.ndarray) -> np.ndarray:
        u, s, v = np.linalg.svd(matrix)
        return u @ np.diag(np.where(s < 1e-10, s, np.sqrt(s))) @ v

    one, other = np.cov(a.numpy(), rowvar=False), np.cov(b.numpy(), rowvar=False)
    shared = np.trace(root(root(one) @ other @ root(one)))
    difference = (a.mean(0) - b.mean(0)).square().sum()
    expected = float(difference) + np.trace(one + other) - 2 * shared
    assert float(frechet_distance_of(a, b)) == pytest.approx(expected, rel=1e-9)


def test_closed_forms():
    means = torch.tensor([1.0, 2.0]), torch.tensor([4.0, -2.0])
    # Independent axes: (s1 - s2)^2 for each. Correlated ones that commute: the same of the eigenvalues.
    diagonal = frechet_distance(means[0], torch.diag(torch.tensor([4.0, 9.0])), means[1], torch.eye(2))
    assert diagonal.dtype == torch.float64
    assert float(diagonal) == pytest.approx(25 + (2 - 1) ** 2 + (3 - 1) ** 2)
    turned = frechet_distance(means[0], torch.tensor([[2.5, 1.5], [1.5, 2.5]]), means[0], torch.eye(2))
    assert float(turned) == pytest.approx((2 - 1) ** 2 + (1 - 1) ** 2, abs=1e-9)


@pytest.mark.parametrize("size", [64, 2048])
def test_equal_sets_have_no_distance_even_with_more_dimensions_than_samples(size):
    a, _ = sets(size, 2, 100)
    spread = float(a.var(0).sum())
    assert abs(float(frechet_distance_of(a, a))) < 1e-10 * spread
    assert abs(float(streamed(a, a).compute())) < 1e-6 * spread


def test_fewer_samples_than_dimensions():
    a, b = sets(30, 20, 50)
    # Singular covariances: the root's trace is the sum of roots of the product's eigenvalues (real, not negative).
    covariances = [np.cov(x.numpy(), rowvar=False) for x in (a, b)]
    values = np.linalg.eigvals(covariances[0] @ covariances[1])
    values = np.sort(np.abs(values))[-19:]
    expected = float((a.mean(0) - b.mean(0)).square().sum()) + np.trace(covariances[0] + covariances[1])
    expected -= 2 * np.sqrt(values).sum()
    assert float(frechet_distance_of(a, b)) == pytest.approx(expected, rel=1e-9)
    assert float(streamed(a, b).compute()) == pytest.approx(expected, rel=1e-6)


def test_merging_and_order_change_nothing():
    a, b = sets(96, 80, 12)
    whole, one, other = streamed(a, b), streamed(a[:40], b[:70]), streamed(a[40:], b[70:])
    backwards = deepcopy(other)
    one_too = deepcopy(one)
    one.merge_state(other)
    backwards.merge_state(one_too)
    shuffled = streamed(a.flip(0), b.flip(0), parts=3)
    for metric in (one, backwards, shuffled):
        assert float(metric.compute()) == pytest.approx(float(whole.compute()), rel=1e-11)
    whole.reset()
    assert int(whole.real_count) == 0


def test_every_place_but_the_last_is_a_sample():
    a, b = sets(60, 60, 8)
    assert float(frechet_distance_of(a.view(6, 10, 8), b.view(6, 10, 8))) == float(frechet_distance_of(a, b))


def test_too_few_samples_and_nan_are_refused():
    a, b = sets(4, 4, 3)
    with pytest.raises(InputError, match="needs two samples of each and there are 1 generated and 4 true"):
        frechet_distance_of(a[:1], b)
    with pytest.raises(InputError, match="4 generated and 1 true"):
        streamed(a, b[:1]).compute()
    with pytest.raises(InputError, match="features that are not finite"):
        streamed(a, b).update(torch.full((2, 3), float("nan")), real=True)
    with pytest.raises(ValueError, match="covariance"):
        Metric(Pixels(3), "other")
