"""ShowMe's structure reward (arXiv 2511.17839, method figure): the picture's edges and depth against the target's.

The networks that see edges and depth are frozen, but the graph through them is kept: the released code computes both on
the generated picture under ``no_grad``, so that its reward has no gradient at all.
"""

from __future__ import annotations

import torch
from torch import Tensor


def edge_reward(edges: Tensor, target: Tensor) -> Tensor:
    """L_ed = mean over the picture of (E(x_hat) - E(x))^2 in fp32.

    Args:
        edges: E(x_hat) in [0, 1], (G, 1, H, W), with gradient.
        target: E(x), like it.

    Returns:
        (G,), one value per picture.
    """
    return (edges.float() - target.float()).square().flatten(1).mean(1)


def depth_reward(depth: Tensor, target: Tensor) -> Tensor:
    """L_dp = mean of (n(D(x_hat)) - n(D(x)))^2 in fp32, n(d) = (d - min d) / (max d - min d) of each picture.

    Relative depth has no scale of its own. The released code takes min and max over the whole batch, so that one
    picture's reward depends on its neighbours; here each picture is its own measure.

    Args:
        depth: D(x_hat), (G, 1, H, W), with gradient.
        target: D(x), like it.

    Returns:
        (G,), one value per picture.
    """
    return (_min_max(depth.float()) - _min_max(target.float())).square().flatten(1).mean(1)


def _min_max(depth: Tensor) -> Tensor:
    flat = depth.flatten(1)
    low, high = flat.amin(1)[:, None], flat.amax(1)[:, None]
    return ((flat - low) / (high - low).clamp(min=torch.finfo(flat.dtype).eps)).view_as(depth)
