"""The hands in the frames of a clip, by MediaPipe's networks run in PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .landmarks import HAND_SIZE, UPRIGHT, HandLandmarks, crop, hand_regions
from .palms import PalmDetector

# Frames and hands that go through a network together: bounds the memory, hardly the speed.
_FRAMES_TOGETHER = 8
_HANDS_TOGETHER = 16

# MediaPipe's rule for two findings of one hand: this many joints closer than a fifth of the palm's size, and boxes with
# this intersection over union.
_SHARED_JOINTS = 10
_SHARED_DISTANCE = 0.2
_SHARED_BOX = 0.2
_WRIST, _INDEX_BASE, _LITTLE_BASE = 0, 5, 17


@dataclass(frozen=True, eq=False)
class Hand:
    """A hand in a frame.

    Attributes:
        joints: float32 (21, 3): x and y in pixels, the centre of the top left pixel being (0, 0), and z in the same
            scale, the wrist near 0 and less towards the camera. Joints can lie outside the frame. Order: wrist, then
            thumb, index, middle, ring and little finger, four joints each from the base to the tip.
        handedness: ``left`` or ``right``: the person's, in a frame that is not mirrored; a selfie's mirror swaps them.
        handedness_score: in [0.5, 1], how sure that is.
        presence: in [0, 1], how sure it is a hand; None where the detector does not give it.
    """

    joints: np.ndarray
    handedness: str
    handedness_score: float
    presence: float | None


class TorchHands(nn.Module):
    """Frames -> the hands in each, every frame for itself (MediaPipe's image mode).

    The defaults are those of the released IVG code (arXiv 2412.04189): two hands, and all confidences 0.1 rather than
    MediaPipe's 0.5. They suit clips in which hands are at work: of fists in dough, 33 are found rather than 19 in 50
    frames. Where there are none they cost: in 228 frames of robots, 34 objects pass for hands rather than 3.

    Args:
        palms: its own ``min_score`` is the threshold of palms.
        landmarks: finds the joints.
        num_hands: most hands in a frame, the surest palms first.
        min_presence: hands whose presence does not exceed it are dropped, MediaPipe's ``min_hand_presence_confidence``.
        upright: the angle of ``hand_regions``; ``UPRIGHT_IN_TASKS`` gives the hands that MediaPipe's Tasks give.
    """

    def __init__(
        self,
        palms: PalmDetector,
        landmarks: HandLandmarks,
        num_hands: int = 2,
        min_presence: float = 0.1,
        upright: float = UPRIGHT,
    ):
        super().__init__()
        self.palms, self.landmarks = palms, landmarks
        self.num_hands, self.min_presence, self.upright = num_hands, min_presence, upright

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        num_hands: int = 2,
        min_palm_score: float = 0.1,
        min_presence: float = 0.1,
        upright: float = UPRIGHT,
    ) -> TorchHands:
        """From MediaPipe's ``hand_landmarker.task``.

        Raises:
            InputError: no such file, another one, or the package ``tflite`` is not installed.
        """
        palms, landmarks = PalmDetector.from_file(path, min_palm_score), HandLandmarks.from_file(path)
        return cls(palms, landmarks, num_hands, min_presence, upright)

    @torch.inference_mode()
    def forward(self, frames: np.ndarray | Tensor) -> list[list[Hand]]:
        """Find hands.

        Args:
            frames: uint8 (T, H, W, 3), RGB.

        Returns:
            For each frame its hands, at most ``num_hands``, the surest palm first.

        Raises:
            ValueError: frames of another type or shape.
        """
        frames = check_frames(frames)
        found = [each for part in frames.split(_FRAMES_TOGETHER) for each in self._cut_out(part)]
        if not found:
            return []
        crops, regions = (torch.cat(parts) for parts in zip(*found, strict=True))
        hands = iter(self._read(crops, regions))
        return [_without_doubles([next(hands) for _ in of_frame]) for _, of_frame in found]

    def _cut_out(self, frames: Tensor) -> list[tuple[Tensor, Tensor]]:
        """For each frame the pictures of its hands, (K, 3, 224, 224), and where they were, (K, 4)."""
        anchors = self.palms.anchors
        pixels = frames.to(anchors.device).permute(0, 3, 1, 2).to(anchors.dtype) / 255
        found = []
        for picture, palms in zip(pixels, self.palms(pixels), strict=True):
            boxes, keypoints = (part[: self.num_hands] for part in (palms.boxes, palms.keypoints))
            regions = hand_regions(boxes, keypoints, self.upright)
            found.append((crop(picture.expand(len(regions), -1, -1, -1), regions, HAND_SIZE), regions))
        return found

    def _read(self, crops: Tensor, regions: Tensor) -> list[Hand | None]:
        """A hand for each region, None where there is none after all."""
        hands: list[Hand | None] = []
        for part, of_part in zip(crops.split(_HANDS_TOGETHER), regions.split(_HANDS_TOGETHER), strict=True):
            hands += map(self._hand, *(values.cpu() for values in self.landmarks.read(part, of_part)[:3]))
        return hands

    def _hand(self, joints: Tensor, presence: Tensor, right: Tensor) -> Hand | None:
        if not float(presence) > self.min_presence:
            return None
        score = float(right)
        handedness = "right" if score > 0.5 else "left"
        return Hand(joints.float().numpy(), handedness, max(score, 1 - score), float(presence))


def check_frames(frames: np.ndarray | Tensor) -> Tensor:
    """Frames as a tensor.

    Raises:
        ValueError: they are not uint8 (T, H, W, 3).
    """
    if isinstance(frames, np.ndarray):
        # Torch warns of arrays that it may not write to, though nothing is written here.
        frames = torch.from_numpy(np.require(frames, requirements="W"))
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape[1:]:
        raise ValueError(f"hands are sought in uint8 frames (T, H, W, 3), not {frames.dtype} {tuple(frames.shape)}.")
    return frames


def _without_doubles(hands: list[Hand | None]) -> list[Hand]:
    kept: list[Hand] = []
    for hand in hands:
        if hand is not None and not any(is_double(hand.joints, other.joints) for other in kept):
            kept.append(hand)
    return kept


def is_double(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two sets of joints (21, 2 or more), in pixels, are of one hand, by MediaPipe's rule.

    They are if at least ten joints are closer to their counterparts than a fifth of the palm's size, and their boxes
    have an intersection over union above 0.2.
    """
    first, second = first[:, :2], second[:, :2]
    near = np.linalg.norm(first - second, axis=1) < _SHARED_DISTANCE * max(_palm_size(first), _palm_size(second))
    low, high = (np.stack([reduce(first, axis=0), reduce(second, axis=0)]) for reduce in (np.min, np.max))
    shared = np.prod(np.clip(high.min(0) - low.max(0), 0, None))
    union = np.prod(high - low, axis=1).sum() - shared
    return bool(near.sum() >= _SHARED_JOINTS and shared > _SHARED_BOX * union)


def _palm_size(joints: np.ndarray) -> float:
    corners = joints[[_WRIST, _INDEX_BASE, _LITTLE_BASE]]
    return float(np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).max())
