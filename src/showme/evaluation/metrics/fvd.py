"""Fréchet video distance (Unterthiner et al., arXiv 1812.01717)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..networks.video_preprocessing import Preprocessing, known, video_features
from .frechet import Covariance, FeatureNetwork, FrechetDistance


class FrechetVideoDistance(FrechetDistance):
    """FVD over the clips' features, in float64.

    Args:
        network: :func:`..networks.i3d.load_i3d`'s, or another that takes (B, T, 3, 224, 224) in [-1, 1].
        preprocessing: ``videogpt``: short side to 224, bilinear, and the middle (VideoGPT, Seer, ShowMe).
            ``stylegan-v``: the whole frame to 224x224 (StyleGAN-V, TATS). ``cd-fvd``: short side to 256 with
            antialiasing, the middle, cut down to 8 bits, then all of it to 224x224.
        covariance: ``unbiased`` in VideoGPT, Seer, ShowMe and TATS; ``biased`` in StyleGAN-V and cd-fvd.
    """

    def __init__(
        self,
        network: FeatureNetwork,
        preprocessing: Preprocessing = "videogpt",
        covariance: Covariance = "unbiased",
        **kwargs: Any,
    ):
        super().__init__(network, covariance, **kwargs)
        self.preprocessing = known(preprocessing)

    def features(self, clips: Tensor) -> Tensor:
        """(B, T, 3, H, W), RGB in [0, 1] -> features (B, D).

        Raises:
            InputError: fewer frames than the network needs.
            ValueError: another shape, or whole numbers.
        """
        return video_features(self.network, self.preprocessing, clips)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """As in :class:`.base.SetMetric`."""
        return {
            "network": self.network.fingerprint,
            "preprocessing": self.preprocessing,
            "covariance": self.covariance,
            "dtype": "float64",
        }
