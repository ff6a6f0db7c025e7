"""How what is known of a clip enters a network: pure functions on latents (B, C, T', h, w)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .base import Known


def in_slots(latents: Tensor, slots: Sequence[int], count: int, repeat: bool = False) -> Known:
    """Known pictures in their slots, and zeros elsewhere: ``[z0; zeros]``, with an end ``[z0; zeros; zT]``.

    Args:
        latents: (B, C, K, h, w), of single pictures; K may be 0.
        slots: the K numbers of their slots; -1 is the last. Of several in one slot the first counts: a clip of one slot
            has no other end than its beginning.
        count: T'.
        repeat: the first picture stands in all slots that no other takes, as DynamiCrafter was trained.
    """
    zeros = latents.new_zeros(*latents.shape[:2], 1, *latents.shape[3:])
    first = latents[:, :, :1] if latents.shape[2] else zeros
    placed = {slot % count: latents[:, :, k : k + 1] for k, slot in reversed(list(enumerate(slots)))}
    where = latents.new_zeros(latents.shape[0], 1, count, 1, 1)
    where[:, :, list(placed)] = 1
    filled = [placed.get(slot, first if repeat else zeros) for slot in range(count)]
    return Known(torch.cat(filled, dim=2), where)


def beside(noisy: Tensor, known: Known) -> Tensor:
    """Known latents as further channels: (B, 2 C, T', h, w)."""
    return torch.cat([noisy, known.latents], dim=1)


def frames_of_slots(where: Tensor, time: int) -> Tensor:
    """Known slots (B, 1, T', 1, 1) -> which of their frames are known (B, time, T', 1, 1), as Wan's mask says it.

    The first slot holds one frame, which counts for all of its places; of another it is the last frame.
    """
    last = torch.cat([torch.zeros_like(where).expand(-1, time - 1, -1, -1, -1), where], dim=1)
    return torch.cat([where[:, :, :1].expand(-1, time, -1, -1, -1), last[:, :, 1:]], dim=2)
