"""Joints of a hand: from a palm to a turned square around the hand, and from that square to 21 joints.

arXiv 2006.10214, section 3.2. Everything from pixels to joints has a gradient with respect to the pixels.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import InputError
from .network import TfliteNetwork
from .tflite_file import read_tflite

HAND_SIZE = 224
JOINTS = 21
MEMBER = "hand_landmarks_detector.tflite"

# MediaPipe's design lets fingers point up. Its Tasks library gives these 90 degrees to a field in radians, so that all
# hands lie 26.6 degrees aslant in its regions; the network bears that, and to agree with Tasks one has to do the same.
UPRIGHT = math.pi / 2
UPRIGHT_IN_TASKS = 90.0

# A hand is 2.6 times as large as its palm, whose middle lies half a palm nearer to the wrist than the hand's.
_SCALE = 2.6
_SHIFT = 0.5
# Wrist, thumb's and fingers' lower joints: fingertips move too much to follow a hand by.
_FOLLOWED = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
_FOLLOWED_SCALE, _FOLLOWED_SHIFT = 2.0, 0.1
# What a unit of the network's depth is worth, as MediaPipe scales it, in units of its x and y.
_DEPTH_UNIT = 1 / 0.4


class HandEstimate(NamedTuple):
    """What the network says of N regions.

    Attributes:
        joints: (N, 21, 3): x and y in pixels of the picture, and z in the same scale, the wrist near 0 and less towards
            the camera. Order: wrist, then thumb, index, middle, ring and little finger, four joints each from the base.
        presence: (N,) in [0, 1]: that there is a hand.
        handedness: (N,) in [0, 1]: that it is the person's right hand, in a picture that is not mirrored.
        world: (N, 21, 3) in metres, axes as the picture's, from the hand's own centre.
    """

    joints: Tensor
    presence: Tensor
    handedness: Tensor
    world: Tensor


class HandLandmarks(nn.Module):
    """Pictures and regions -> joints, differentiable in the pictures.

    Weights are frozen; ``double()`` makes it a float64 network. Handedness is the person's, in a picture as a camera
    takes it; a selfie's mirror swaps it. So name it MediaPipe's Tasks since about 0.10.15; older ones and the Solutions
    before them presumed the mirror and called this right hand ``Left``.

    Args:
        network: of ``hand_landmark_full.tflite``, ``hand_landmark_lite.tflite``, or a bundle's
            ``hand_landmarks_detector``.

    Raises:
        InputError: a network of other inputs or outputs.
    """

    def __init__(self, network: TfliteNetwork):
        super().__init__()
        self.network = network
        outputs = [(1, 3 * JOINTS), (1, 1), (1, 1), (1, 3 * JOINTS)]
        if network.input_shapes != [(1, HAND_SIZE, HAND_SIZE, 3)] or network.output_shapes != outputs:
            raise InputError(f"{network.graph.source} finds no joints: give MediaPipe's hand_landmark_full.tflite.")

    @classmethod
    def from_file(cls, path: str | Path) -> HandLandmarks:
        """From a ``.tflite`` file, or from ``hand_landmarker.task``.

        Raises:
            InputError: as ``read_tflite`` and the class.
        """
        return cls(TfliteNetwork(read_tflite(path, MEMBER)))

    def forward(self, pixels: Tensor, regions: Tensor) -> HandEstimate:
        """Find joints.

        Args:
            pixels: (N, 3, H, W), RGB in [0, 1].
            regions: (N, 4): a square for each picture, as :func:`hand_regions` makes it.
        """
        return self.read(crop(pixels, regions, HAND_SIZE), regions)

    def read(self, crops: Tensor, regions: Tensor) -> HandEstimate:
        """Find joints in (N, 3, 224, 224) that were cut out already."""
        raw, presence, handedness, world = self.network(crops.permute(0, 2, 3, 1))
        joints = raw.unflatten(1, (JOINTS, 3)) / HAND_SIZE
        depth = joints[..., 2:] * regions[:, None, 2:3] * _DEPTH_UNIT
        turned = _turn(world.unflatten(1, (JOINTS, 3)), regions[:, 3])
        return HandEstimate(
            torch.cat([place(joints[..., :2], regions), depth], dim=-1), presence[:, 0], handedness[:, 0], turned
        )


def hand_regions(boxes: Tensor, keypoints: Tensor, upright: float = UPRIGHT) -> Tensor:
    """The square around the hand that belongs to each palm, turned so that the fingers point up in it.

    Args:
        boxes: (K, 4) left, top, right and bottom of palms, in pixels.
        keypoints: (K, 7, 2) x and y of their points, in pixels; 0 is the wrist, 2 the base of the middle finger.
        upright: the direction from wrist to middle finger in the region, in radians, counter-clockwise from the right.

    Returns:
        (K, 4): x and y of the middle and the side in pixels, and the rotation in radians, in [-pi, pi): by how much an
        upright square is turned clockwise to become the region.
    """
    right, down = (keypoints[:, 2] - keypoints[:, 0]).unbind(-1)
    rotation = upright - torch.atan2(-down, right)
    rotation = rotation - 2 * torch.pi * torch.floor((rotation + torch.pi) / (2 * torch.pi))
    size = boxes[:, 2:] - boxes[:, :2]
    up = torch.stack([rotation.sin(), -rotation.cos()], dim=-1)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 + _SHIFT * size[:, 1:] * up
    return torch.cat([middle, _SCALE * size.amax(-1, keepdim=True), rotation[:, None]], dim=-1)


def regions_of_joints(joints: Tensor, upright: float = UPRIGHT) -> Tensor:
    """The square around a hand whose joints are known, as MediaPipe follows a hand from one frame to the next.

    It is turned so that the way from the wrist to the middle of the fingers' bases points up, twice as large as the
    box of wrist, thumb's and fingers' lower joints in that direction, and shifted by a tenth of it to the fingertips.

    Args:
        joints: (K, 21, 2) in pixels.
        upright: of :func:`hand_regions`.

    Returns:
        (K, 4), as :func:`hand_regions`.
    """
    palm = joints[:, list(_FOLLOWED)]
    base = (joints[:, 5] + joints[:, 13]) / 4 + joints[:, 9] / 2
    right, down = (base - joints[:, 0]).unbind(-1)
    rotation = upright - torch.atan2(-down, right)
    rotation = rotation - 2 * torch.pi * torch.floor((rotation + torch.pi) / (2 * torch.pi))
    cosine, sine = rotation.cos()[:, None], rotation.sin()[:, None]
    x, y = palm.unbind(-1)
    turned = torch.stack([cosine * x + sine * y, cosine * y - sine * x], dim=-1)
    low, high = turned.amin(1), turned.amax(1)
    middle, side = (low + high) / 2, (high - low).amax(-1, keepdim=True)
    middle = middle - torch.stack([torch.zeros_like(side[:, 0]), _FOLLOWED_SHIFT * (high - low)[:, 1]], dim=-1)
    x, y = middle.unbind(-1)
    back = torch.stack([cosine[:, 0] * x - sine[:, 0] * y, sine[:, 0] * x + cosine[:, 0] * y], dim=-1)
    return torch.cat([back, _FOLLOWED_SCALE * side, rotation[:, None]], dim=-1)


def crop(pixels: Tensor, regions: Tensor, size: int, border: str = "border") -> Tensor:
    """Cut turned squares out of pictures, bilinearly, with gradients to both.

    As MediaPipe does it, without smoothing where the region is larger than ``size``.

    Args:
        pixels: (N, 3, H, W).
        regions: (N, 4) as of :func:`hand_regions`, one for each picture.
        size: side of what is made.
        border: outside the picture: ``border`` repeats its edge, ``zeros`` is black.

    Returns:
        (N, 3, size, size): pixel (i, j) shows the place (j / size, i / size) of the region.
    """
    if not len(pixels):
        return pixels.new_empty(0, 3, size, size)
    height, width = pixels.shape[-2:]
    x, y, side, rotation = regions.to(pixels.dtype).unbind(-1)
    along, across = side * rotation.cos(), side * rotation.sin()
    # affine_grid's pixel j lies at (2 j + 1) / size - 1, half a pixel after what is wanted, and grid_sample's column c
    # at (2 c + 1) / width - 1.
    half = 1 / size
    theta = torch.stack(
        [
            torch.stack([along / width, -across / width, (2 * x + 1 - (along - across) * half) / width - 1], dim=-1),
            torch.stack([across / height, along / height, (2 * y + 1 - (across + along) * half) / height - 1], dim=-1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, [len(pixels), 3, size, size], align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode=border, align_corners=False)


def place(points: Tensor, regions: Tensor) -> Tensor:
    """Places (N, K, 2) in regions, as fractions of a side from the top left corner, in pixels of the picture."""
    x, y = ((points - 0.5) * regions[:, None, 2:3]).unbind(-1)
    cosine, sine = regions[:, 3:].cos(), regions[:, 3:].sin()
    return torch.stack([cosine * x - sine * y, sine * x + cosine * y], dim=-1) + regions[:, None, :2]


def _turn(points: Tensor, rotation: Tensor) -> Tensor:
    """Turn (N, K, 3) about the line of sight."""
    x, y, z = points.unbind(-1)
    cosine, sine = rotation.cos()[:, None], rotation.sin()[:, None]
    return torch.stack([cosine * x - sine * y, sine * x + cosine * y, z], dim=-1)
