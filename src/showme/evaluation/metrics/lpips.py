"""Learned perceptual similarity."""

from __future__ import annotations

import re
from typing import Any, Literal

import torch
import torchvision
from torch import Tensor, nn
from torchmetrics.functional.image.lpips import _NoTrainLpips

from ...fingerprint import weights_digest
from ...perception.weights import fill_from_torchvision
from .base import ClipMetric, Pairs, check_side
from .psnr import mean_over_frames

Net = Literal["alex", "vgg", "squeeze"]
_BACKBONES: dict[Net, Any] = {
    "alex": torchvision.models.AlexNet_Weights.IMAGENET1K_V1,
    "vgg": torchvision.models.VGG16_Weights.IMAGENET1K_V1,
    "squeeze": torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1,
}
# The networks halve their maps four times; what is smaller has no last map.
_SMALLEST = 32


class LearnedPerceptualSimilarity(ClipMetric):
    """LPIPS 0.1 (arXiv 1801.03924, equation 1) as torchmetrics computes it, float32; 0 for equal frames.

    A clip's value is the mean over its frames.

    Args:
        net: backbone. LPIPS' authors advise ``alex``; ShowMe reports ``squeeze``.
        value_range: what the network is given. ``[-1,1]`` is what it was trained on. ``[0,1]`` hands over values in
            [0, 1] without rescaling: LEGO's quirk, whose figures are smaller for it and compare with no others.

    Raises:
        InputError: torch.hub's folder holds a damaged file, or another under the name.
        OutsideError: the backbone's weights are not there and cannot be fetched.
    """

    better = "lower"

    def __init__(self, net: Net = "alex", value_range: Literal["[-1,1]", "[0,1]"] = "[-1,1]", **kwargs: Any):
        super().__init__(**kwargs)
        self.net, self.value_range = net, value_range
        self.network = _network(net)

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"net": self.net, "value_range": self.value_range, "weights": weights_digest(self.network)}

    def score(self, pairs: Pairs) -> Tensor:
        """(B,), at least 0.

        Raises:
            InputError: frames under 32 pixels.
            ValueError: clips of two shapes, or values outside [0, 1].
        """
        check_side(pairs, _SMALLEST, "LPIPS")
        return mean_over_frames(pairs, self._frames)

    @torch.no_grad()
    def _frames(self, generated: Tensor, reference: Tensor) -> Tensor:
        first, second = (
            2 * frames.float() - 1 if self.value_range == "[-1,1]" else frames.float()
            for frames in (generated, reference)
        )
        return self.network(first, second).flatten()


def _network(net: Net) -> nn.Module:
    """torchmetrics' network, its linear layers from torchmetrics and its backbone from torchvision.

    torchmetrics would read the backbone's file with pickle; so it is made without, and filled here.
    """
    with torch.random.fork_rng(devices=[]):
        network = _NoTrainLpips(net=net, pnet_rand=True)

    def fill(published: dict[str, Tensor]) -> None:
        network.net.load_state_dict({name: published[_published_name(name)] for name in network.net.state_dict()})

    fill_from_torchvision(_BACKBONES[net].url, f"LPIPS with {net}", fill)
    return network


def _published_name(name: str) -> str:
    """``slices.1.3.squeeze.weight`` -> ``features.3.squeeze.weight``: slices keep torchvision's numbers."""
    return re.sub(r"^slice(s\.)?\d+\.", "features.", name)
