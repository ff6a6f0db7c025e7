"""IVG's hand structure loss (arXiv 2412.04189, equation 2), with a gradient; the released code's has none."""

from __future__ import annotations

import torch
from torch import Tensor


def hand_structure_loss(joints: Tensor, presence: Tensor, truth: Tensor, least_presence: float) -> Tensor:
    """|| P_gen - P_true ||^2 / J of every frame, J being its true joints, and the mean over the frames that have any.

    Joints of hands that the generated frame lacks count as 0, the picture's corner, in the paper. A hand is lacked
    where its presence is below a threshold, and a step has no gradient: here such joints are scaled by presence over
    threshold, which is 0 for no hand, 1 at the threshold, and lets the loss ask for the hand itself.

    Args:
        joints: P_gen, x over the width and y over the height, (B, F, K, J, 2) of K hands, with gradient.
        presence: of the hands that were found, (B, F, K) in [0, 1], with gradient.
        truth: P_true, like ``joints``; NaN where the true frame has no such hand.
        least_presence: the threshold.

    Returns:
        (B,), 0 for clips without a hand.
    """
    there = ~truth.isnan().flatten(3).any(-1)
    scale = (presence / least_presence).clamp(max=1)[..., None, None]
    # NaN times 0 is NaN in the backward pass: what is not there must never be subtracted.
    difference = torch.where(there[..., None, None], joints * scale - truth.nan_to_num(), 0)
    frames = difference.square().flatten(2).sum(-1)
    count = there.sum(-1) * joints.shape[3]
    with_hands = count > 0
    per_frame = frames / count.clamp(min=1)
    return (per_frame * with_hands).sum(1) / with_hands.sum(1).clamp(min=1)
