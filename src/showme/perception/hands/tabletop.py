"""Joints of the tabletop world's hands, by a small network of our own: MediaPipe's see little of them.

The same two things as MediaPipe's networks do: a network with a gradient finds joints in the square around a hand, and
an estimator finds the hand in whole frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..packaged import read_packaged, write_packaged
from ..pyramid import Pyramid
from .detector import Hand, check_frames
from .landmarks import JOINTS, crop, place, regions_of_joints

_ASSETS = Path(__file__).parents[2] / "assets" / "hands"
WEIGHTS = _ASSETS / "tabletop.safetensors"
# Of another seed, width and other clips: judges what was trained with the first.
JUDGE_WEIGHTS = _ASSETS / "tabletop_judge.safetensors"

SIDE = 64
_CROPS_TOGETHER = 32
# The first look is at the whole frame, the others at what the one before has found.
_LOOKS = 3
# Of the square that follows a hand: what is beyond the joints, fingertips and wrist, is seen as well.
_WIDER = 1.25


class JointEstimate(NamedTuple):
    """What the network says of N squares.

    Attributes:
        joints: (N, 21, 2), x and y in pixels of the picture, MediaPipe's order.
        presence: (N,) in [0, 1]: that there is a hand.
    """

    joints: Tensor
    presence: Tensor


class TabletopHandLandmarks(Pyramid):
    """Pictures and squares -> joints, differentiable in the pictures; trained by ``scripts/train_hands.py``.

    A map for every joint at a quarter of the crop's size says how likely it is at each place and how far from it; the
    joint is the mean, so that it may lie between places and a little outside of the square. Smooth throughout.

    Args:
        widths: channels at 1/2, 1/4 and 1/8 of the crop's size, multiples of 8.
        dilations: one residual block at 1/8 each.
    """

    def __init__(self, widths: tuple[int, int, int] = (16, 32, 48), dilations: tuple[int, ...] = (1, 2, 1)):
        super().__init__(widths, dilations)
        self.config = {"widths": list(widths), "dilations": list(dilations)}
        _, quarter, eighth = widths
        self.joints = nn.Sequential(nn.SiLU(), nn.Conv2d(quarter, 3 * JOINTS, 1))
        self.presence = nn.Sequential(nn.SiLU(), nn.Linear(eighth, eighth), nn.SiLU(), nn.Linear(eighth, 1))
        self.requires_grad_(False).eval()

    def forward(self, pixels: Tensor, regions: Tensor) -> JointEstimate:
        """Find joints.

        Args:
            pixels: (N, 3, H, W), RGB in [0, 1].
            regions: (N, 4): a square for each picture, as :func:`showme.perception.hands.landmarks.hand_regions` says.
        """
        wider = torch.cat([regions[:, :2], _WIDER * regions[:, 2:3], regions[:, 3:]], dim=1)
        places, logits = self.read(crop(pixels, wider, SIDE))
        return JointEstimate(place(places, wider), logits.sigmoid())

    def read(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, 64, 64) -> joints (N, 21, 2), fractions of the side from the top left; logits of presence (N,)."""
        _, quarter, eighth = self.features(crops - 0.5)
        logits = self.presence(eighth.mean((-2, -1)))[:, 0]
        maps = self.joints(quarter).unflatten(1, (JOINTS, 3)).flatten(3)
        likely = maps[:, :, 0].softmax(-1)
        side = SIDE // 4
        middles = (torch.arange(side, device=crops.device) + 0.5) / side
        rows, columns = torch.meshgrid(middles, middles, indexing="ij")
        return torch.stack(
            [
                (likely * (columns.flatten() + maps[:, :, 1])).sum(-1),
                (likely * (rows.flatten() + maps[:, :, 2])).sum(-1),
            ],
            dim=-1,
        ), logits

    @classmethod
    def from_assets(cls, path: str | Path = WEIGHTS) -> TabletopHandLandmarks:
        """The packaged weights, or another training's, in fp32 and frozen.

        Raises:
            InputError: no such file, or not what ``to_file`` writes.
        """
        return read_packaged(cls, path, "TabletopHandLandmarks", "train_hands.py")[0]

    def to_file(self, path: str | Path, **notes: str) -> None:
        """Write fp16 weights, with the settings and the ``notes`` in the header."""
        write_packaged(self, path, **notes)


class TabletopHands(nn.Module):
    """Frames -> the hand in each: the world has one, a right one.

    Args:
        landmarks: finds the joints.
        min_presence: hands whose presence does not exceed it are dropped.
    """

    def __init__(self, landmarks: TabletopHandLandmarks, min_presence: float = 0.1):
        super().__init__()
        self.landmarks, self.min_presence = landmarks, min_presence

    @torch.inference_mode()
    def forward(self, frames: np.ndarray | Tensor) -> list[list[Hand]]:
        """Find hands; z of their joints is 0.

        Args:
            frames: uint8 (T, H, W, 3), RGB.

        Raises:
            ValueError: frames of another type or shape.
        """
        found = [hand for part in check_frames(frames).split(_CROPS_TOGETHER) for hand in self._of_part(part)]
        return [[hand] if (hand.presence or 0) > self.min_presence else [] for hand in found]

    def _of_part(self, frames: Tensor) -> list[Hand]:
        weight = next(self.landmarks.parameters())
        pixels = frames.to(weight.device).permute(0, 3, 1, 2).to(weight.dtype) / 255
        squares = whole_picture(pixels)
        for _ in range(_LOOKS):
            joints, presence = self.landmarks(pixels, squares)
            squares = regions_of_joints(joints)
        points = F.pad(joints, (0, 1)).float().cpu().numpy()
        return [Hand(p, "right", 1.0, float(each)) for p, each in zip(points, presence, strict=True)]


def whole_picture(pixels: Tensor) -> Tensor:
    """The squares (N, 4) in the middle of pictures (N, 3, H, W) that are as large as the long side once widened."""
    height, width = pixels.shape[-2:]
    square = [(width - 1) / 2, (height - 1) / 2, max(height, width) / _WIDER, 0.0]
    return pixels.new_tensor([square]).expand(len(pixels), -1)
