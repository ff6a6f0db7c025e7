"""The Fréchet distance between two Gaussians that have the means and covariances of two sets of features.

Dowson and Landau (1982): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). It is the distance of FID (arXiv 1706.08500) and
of FVD (arXiv 1812.01717). All in float64.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from ...errors import InputError
from .base import SetMetric

Covariance = Literal["unbiased", "biased"]


class FeatureNetwork(Protocol):
    """A frozen network that gives features."""

    dimensions: int

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What decides the features, as JSON."""

    def __call__(self, pixels: Tensor) -> Tensor:
        """Pixels as it takes them -> features (N, dimensions)."""


def frechet_distance(mean_a: Tensor, covariance_a: Tensor, mean_b: Tensor, covariance_b: Tensor) -> Tensor:
    """Of two Gaussians with means (D,) and covariances (D, D), a float64 scalar.

    tr (C1 C2)^(1/2) is the sum of the singular values of F1 F2^T where C = F^T F: nothing has to be added to singular
    covariances, and those of equal sets give zero to rounding.
    """
    factors = (_factor(covariance_a.double()), _factor(covariance_b.double()))
    traces = covariance_a.double().trace() + covariance_b.double().trace()
    return _distance(mean_a.double() - mean_b.double(), traces, *factors)


def frechet_distance_of(a: Tensor, b: Tensor, covariance: Covariance = "unbiased") -> Tensor:
    """Of two sets of features (..., D), a float64 scalar; faster than through covariances where there are few.

    Args:
        a: at least two features.
        b: at least two features.
        covariance: ``unbiased`` is divided by N - 1, ``biased`` by N.
    """
    a, b = rows(a), rows(b)
    enough(len(a), len(b))
    centred = [(x - x.mean(0)) / _divisor(len(x), covariance) ** 0.5 for x in (a, b)]
    traces = sum(x.square().sum() for x in centred)
    factors = (torch.linalg.qr(x, mode="r").R if len(x) > x.shape[1] else x for x in centred)
    return _distance(a.mean(0) - b.mean(0), torch.as_tensor(traces), *factors)


def rows(features: Tensor) -> Tensor:
    """Features (..., D) -> (N, D) in float64.

    Raises:
        InputError: features that are not finite.
    """
    flat = features.detach().flatten(0, -2).double()
    if not flat.isfinite().all():
        raise InputError(
            "The network gave features that are not finite: its weights are damaged, fetch their file again."
        )
    return flat


class FrechetDistance(SetMetric):
    """The distance as a metric that keeps sums: memory does not depend on the number of samples.

    Args:
        network: gives the features; its ``dimensions`` are their D.
        covariance: as in :func:`frechet_distance_of`.

    Attributes:
        real_count, real_sum, real_products: number of true samples (), their sum (D,) and that of their outer products
            (D, D), float64; ``generated_`` the same of the others.
    """

    def __init__(self, network: FeatureNetwork, covariance: Covariance = "unbiased", **kwargs: Any):
        super().__init__(**kwargs)
        if covariance not in ("unbiased", "biased"):
            raise ValueError(f"covariance is unbiased or biased, not {covariance!r}.")
        self.network, self.covariance = network, covariance
        size = network.dimensions
        for side in ("real", "generated"):
            self.add_state(f"{side}_count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
            self.add_state(f"{side}_sum", torch.zeros(size, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{side}_products", torch.zeros(size, size, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, features: Tensor, real: bool) -> None:
        """Add features (..., D); every one of them is a sample."""
        added = rows(features).to(self.device)
        side = "real" if real else "generated"
        getattr(self, f"{side}_count").add_(len(added))
        getattr(self, f"{side}_sum").add_(added.sum(0))
        getattr(self, f"{side}_products").addmm_(added.T, added)

    def compute(self) -> Tensor:
        """The distance, a float64 scalar.

        Raises:
            InputError: fewer than two samples on a side.
        """
        enough(int(getattr(self, "generated_count")), int(getattr(self, "real_count")))  # noqa: B009 (a state)
        return frechet_distance(*self._moments("generated"), *self._moments("real"))

    def _moments(self, side: str) -> tuple[Tensor, Tensor]:
        count, total = getattr(self, f"{side}_count"), getattr(self, f"{side}_sum")
        mean = total / count
        scatter = getattr(self, f"{side}_products") - torch.outer(total, mean)
        return mean, scatter / _divisor(int(count), self.covariance)


def _divisor(count: int, covariance: Covariance) -> int:
    return count - 1 if covariance == "unbiased" else count


def enough(generated: int, real: int) -> None:
    """Refuses sets of fewer than two samples, with an InputError."""
    if min(generated, real) < 2:
        raise InputError(
            f"A distance between sets needs two samples of each and there are {generated} generated and {real} true "
            "ones: give more clips."
        )


def _factor(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return values.clamp(min=0).sqrt()[:, None] * vectors.T


def _distance(difference: Tensor, traces: Tensor, factor_a: Tensor, factor_b: Tensor) -> Tensor:
    shared = torch.linalg.svdvals(factor_a @ factor_b.T).sum()
    return difference.square().sum() + traces - 2 * shared
