"""Kernel video distance: MMD^2 (Binkowski et al., arXiv 1801.01401) of the features that FVD compares."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from ..networks.video_preprocessing import Preprocessing, known, video_features
from .base import SetMetric
from .frechet import FeatureNetwork, enough, rows

# Rows of a kernel matrix that exist at one time, and its columns: bounds the memory to 8 MB.
_BLOCK = 1024


def kernel_distance(a: Tensor, b: Tensor, centred: bool = False) -> Tensor:
    """Unbiased MMD^2 of two sets of features (N, D) and (M, D) under (x.y / D + 1)^3, a float64 scalar.

    Args:
        a: at least two features.
        b: at least two features.
        centred: take each set's mean away before, which hides how far the means are apart. Seer's code and ShowMe's do
            so, because the covariance that they compute just before works in place.

    Raises:
        InputError: fewer than two features in a set.
    """
    a, b = rows(a), rows(b)
    enough(len(a), len(b))
    if centred:
        a, b = a - a.mean(0), b - b.mean(0)
    return _mean_of_pairs(a) + _mean_of_pairs(b) - 2 * _kernel_sum(a, b) / (len(a) * len(b))


class KernelVideoDistance(SetMetric):
    """KVD over all clips at once, without subsets and not multiplied by anything, in float64.

    Args:
        network: as in :class:`.fvd.FrechetVideoDistance`.
        preprocessing: as in :class:`.fvd.FrechetVideoDistance`.
        centred: as in :func:`kernel_distance`.

    Attributes:
        real: features of the true clips (N, D); generated: of the others. The clips' features are kept, pixels are not.
    """

    real: list[Tensor] | Tensor
    generated: list[Tensor] | Tensor

    def __init__(
        self,
        network: FeatureNetwork,
        preprocessing: Preprocessing = "videogpt",
        centred: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.network, self.preprocessing, self.centred = network, known(preprocessing), centred
        self.add_state("real", default=[], dist_reduce_fx="cat")
        self.add_state("generated", default=[], dist_reduce_fx="cat")

    def features(self, clips: Tensor) -> Tensor:
        """As :meth:`.fvd.FrechetVideoDistance.features`, and the same features."""
        return video_features(self.network, self.preprocessing, clips)

    def update(self, features: Tensor, real: bool) -> None:
        """Add features (B, D)."""
        side = self.real if real else self.generated
        assert isinstance(side, list)
        side.append(rows(features).to(self.device))

    def compute(self) -> Tensor:
        """MMD^2, a float64 scalar; below zero where the sets are nearer than chance.

        Raises:
            InputError: fewer than two clips on a side.
        """
        enough(_count(self.generated), _count(self.real))
        return kernel_distance(dim_zero_cat(self.generated), dim_zero_cat(self.real), self.centred)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """As in :class:`.base.SetMetric`."""
        return {
            "network": self.network.fingerprint,
            "preprocessing": self.preprocessing,
            "kernel": "(x.y / D + 1)^3",
            "centred": self.centred,
            "dtype": "float64",
        }


def _count(state: list[Tensor] | Tensor) -> int:
    return sum(map(len, state)) if isinstance(state, list) else len(state)


def _mean_of_pairs(x: Tensor) -> Tensor:
    """The kernel's mean over all pairs of different samples."""
    own = (x.square().sum(1) / x.shape[1] + 1).pow(3).sum()
    return (_kernel_sum(x, x) - own) / (len(x) * (len(x) - 1))


def _kernel_sum(a: Tensor, b: Tensor) -> Tensor:
    """The kernel's sum over all pairs, block by block."""
    blocks = [(part @ other.T / a.shape[1] + 1).pow(3).sum() for part in a.split(_BLOCK) for other in b.split(_BLOCK)]
    return torch.stack(blocks).sum()
