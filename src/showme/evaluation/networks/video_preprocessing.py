"""How frames of any size become I3D's 224x224 in [-1, 1]: releases of FVD differ in it, so each way has a name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .i3d import SIDE

Preprocessing = Literal["videogpt", "stylegan-v", "cd-fvd"]

# Frames that are made ready and looked at together: bounds the memory. A clip is never divided.
_TOGETHER = 64
# What cd-fvd's loader makes of a clip before its network sees it, unless it is given another size.
_CD_FVD_SIDE = 256


@torch.no_grad()
def video_features(network: Callable[[Tensor], Tensor], preprocessing: Preprocessing, clips: Tensor) -> Tensor:
    """Clips through a network, a few at a time.

    Args:
        network: takes (B, T, 3, 224, 224), RGB in [-1, 1].
        preprocessing: of :data:`PREPROCESSINGS`.
        clips: (B, T, 3, H, W), RGB in [0, 1].

    Returns:
        The network's features (B, D).

    Raises:
        InputError: fewer frames than the network needs.
        ValueError: another shape, or whole numbers.
    """
    if clips.ndim != 5 or clips.shape[2] != 3 or 0 in clips.shape or not clips.is_floating_point():
        raise ValueError(f"clips are floating-point (B, T, 3, H, W), not {clips.dtype} {tuple(clips.shape)}.")
    prepare = PREPROCESSINGS[preprocessing]
    parts = clips.split(max(1, _TOGETHER // clips.shape[1]))
    return torch.cat([network(prepare(part.flatten(0, 1)).unflatten(0, part.shape[:2])) for part in parts])


def known(preprocessing: Preprocessing) -> Preprocessing:
    """The preprocessing, if there is one of this name."""
    if preprocessing not in PREPROCESSINGS:
        raise ValueError(f"preprocessing is one of {', '.join(PREPROCESSINGS)}, not {preprocessing!r}.")
    return preprocessing


def _videogpt(frames: Tensor) -> Tensor:
    """VideoGPT, Seer, ShowMe: the short side to 224, and the middle."""
    return 2 * _middle(frames, SIDE, antialias=False) - 1


def _stylegan_v(frames: Tensor) -> Tensor:
    """StyleGAN-V, TATS: the whole frame."""
    return 2 * F.interpolate(frames, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1


def _cd_fvd(frames: Tensor) -> Tensor:
    """cd-fvd: its loader's square, cut down to 8 bits, then all of it."""
    return _stylegan_v((_middle(frames, _CD_FVD_SIDE, antialias=True) * 255).byte() / 255)


def _middle(frames: Tensor, side: int, antialias: bool) -> Tensor:
    """The short side brought to ``side``, the long one in proportion and rounded up, and the square in the middle."""
    height, width = frames.shape[-2:]
    scale = side / min(height, width)
    size = (side, math.ceil(width * scale)) if height < width else (math.ceil(height * scale), side)
    frames = F.interpolate(frames, size, mode="bilinear", align_corners=False, antialias=antialias)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    return frames[..., top : top + side, left : left + side]


# Frames (N, 3, H, W), RGB in [0, 1] -> (N, 3, 224, 224) in [-1, 1].
PREPROCESSINGS: dict[Preprocessing, Callable[[Tensor], Tensor]] = {
    "videogpt": _videogpt,
    "stylegan-v": _stylegan_v,
    "cd-fvd": _cd_fvd,
}
