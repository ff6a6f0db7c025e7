"""Optical flow between consecutive frames: OpenCV's DIS, which needs no weights, and torchvision's RAFT.

Every flow estimator takes clips (B, T, 3, H, W), RGB in [0, 1], and gives (B, T - 1, 2, H, W): how far, in pixels to
the right and down, each pixel of a frame moves until the next one. No gradient: flow is seen on true clips only.
"""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..optional import needed
from .weights import fill_from_torchvision, load_published

_RAFT_STRIDE = 8
_RAFT_SMALLEST = 128


class DisFlow:
    """Dense inverse search (arXiv 1603.03590) on grey pictures.

    Args:
        preset: OpenCV's ``ultrafast``, ``fast`` or ``medium``.

    Raises:
        InputError: OpenCV is not installed.
    """

    def __init__(self, preset: str = "medium"):
        with needed("cv2", "opencv-python-headless", "perception", "Optical flow"):
            import cv2
        self._lock = threading.Lock()
        self._grey = lambda frame: cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        self._flow = cv2.DISOpticalFlow.create(getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{preset.upper()}"))

    def __call__(self, clips: Tensor) -> Tensor:
        pixels = (clips.detach().clamp(0, 1) * 255).round().byte().permute(0, 1, 3, 4, 2).cpu().numpy()
        # One at a time: OpenCV's object keeps the pictures that it works on.
        with self._lock:
            flows = [self._clip_flow(clip) for clip in pixels]
        return torch.from_numpy(np.stack(flows)).permute(0, 1, 4, 2, 3).to(clips.device)

    def _clip_flow(self, frames: np.ndarray) -> np.ndarray:
        grey = [self._grey(np.ascontiguousarray(frame)) for frame in frames]
        # None: no flow to start from. OpenCV takes it, its type stubs do not say so.
        return np.stack([self._flow.calc(a, b, None) for a, b in pairwise(grey)])  # type: ignore[call-overload]


class RaftFlow(nn.Module):
    """torchvision's ``raft_large`` (arXiv 2003.12039).

    It expects pictures in [-1, 1]; the released ShowMe code gives it [0, 1]. Small pictures are enlarged to the 128
    pixels that it needs, and the flow is scaled back.

    Args:
        weights: a state dict of raft_large on disk; None fetches torchvision's own.

    Raises:
        InputError: no such file, or other weights.
        OutsideError: they cannot be fetched.
    """

    def __init__(self, weights: str | Path | None = None):
        super().__init__()
        from torchvision.models.optical_flow import Raft_Large_Weights, raft_large

        self.network = raft_large(weights=None)
        if weights is None:
            fill_from_torchvision(Raft_Large_Weights.DEFAULT.url, "RAFT", self.network.load_state_dict)
        else:
            load_published(self.network, weights, "RAFT", "torchvision's raft_large")
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, clips: Tensor) -> Tensor:
        height, width = clips.shape[-2:]
        size = [max(_RAFT_SMALLEST, -(-side // _RAFT_STRIDE) * _RAFT_STRIDE) for side in (height, width)]
        first, second = (
            F.interpolate(2 * part.flatten(0, 1) - 1, size, mode="bilinear", align_corners=False)
            for part in (clips[:, :-1], clips[:, 1:])
        )
        flow = F.interpolate(self.network(first, second)[-1], (height, width), mode="bilinear", align_corners=False)
        flow = flow * flow.new_tensor([width / size[1], height / size[0]]).view(1, 2, 1, 1)
        return flow.unflatten(0, (len(clips), -1))
