"""IVG's mask loss (arXiv 2412.04189, equation 4): one minus the mean intersection over union of the frames."""

from __future__ import annotations

from torch import Tensor


def region_loss(predicted: Tensor, target: Tensor, count_first_frame: bool = False) -> Tensor:
    """1 - (1 / L) sum_l I_l / U_l, with I = sum g m and U = sum (g + m - g m) over a frame's pixels.

    A frame in which both are empty has I / U = 1, so that equal binary masks cost nothing.

    Args:
        predicted: g, (B, L, H, W) in [0, 1], with gradient.
        target: m, (B, L, H, W) in {0, 1}.
        count_first_frame: divide by L + 1 as the paper writes it; the least possible loss is then 1 / (L + 1).

    Returns:
        (B,).
    """
    shared = (predicted * target).flatten(2).sum(-1)
    union = (predicted + target - predicted * target).flatten(2).sum(-1)
    empty = union <= 0
    overlap = shared.div(union.masked_fill(empty, 1)).masked_fill(empty, 1)
    return 1 - overlap.sum(1) / (overlap.shape[1] + count_first_frame)
