"""Palms: MediaPipe's single-shot detector for 192x192 pictures (arXiv 2006.10214, section 3.1).

The network predicts, for each of 2016 anchors, a box, seven points of the palm and a score. Pixel coordinates here and
in the neighbouring files are those of arrays: the centre of the top left pixel is (0, 0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import InputError
from .landmarks import crop
from .network import TfliteNetwork
from .tflite_file import read_tflite

PALM_SIZE = 192
MEMBER = "hand_detector.tflite"

_KEYPOINTS = 7
# The last three layers have one grid: two anchors of each stand in every cell.
_LAYER_STRIDES = (8, 16, 16, 16)
_ANCHORS_A_LAYER = 2
_SCORE_BOUND = 100.0


@dataclass(frozen=True, eq=False)
class Palms:
    """The palms of one picture, the surest first.

    Attributes:
        boxes: (K, 4) left, top, right and bottom in pixels.
        keypoints: (K, 7, 2) x and y in pixels; 0 is the wrist's centre, 2 the base of the middle finger.
        scores: (K,) in [0, 1].
    """

    boxes: Tensor
    keypoints: Tensor
    scores: Tensor


class PalmDetector(nn.Module):
    """Pictures -> palms.

    Args:
        network: of ``palm_detection_full.tflite``, ``palm_detection_lite.tflite``, or a bundle's ``hand_detector``.
        min_score: palms below it are dropped, MediaPipe's ``min_hand_detection_confidence``.
        overlap: boxes whose intersection over union exceeds it are one palm.

    Raises:
        InputError: a network of other inputs or outputs.
    """

    anchors: Tensor

    def __init__(self, network: TfliteNetwork, min_score: float = 0.5, overlap: float = 0.3):
        super().__init__()
        self.network = network
        self.min_score, self.overlap = min_score, overlap
        anchors = ssd_anchors()
        outputs = [(1, len(anchors), 4 + 2 * _KEYPOINTS), (1, len(anchors), 1)]
        if network.input_shapes != [(1, PALM_SIZE, PALM_SIZE, 3)] or network.output_shapes != outputs:
            raise InputError(
                f"{network.graph.source} is no palm detector: give MediaPipe's palm_detection_full.tflite."
            )
        self.register_buffer("anchors", anchors, persistent=False)

    @classmethod
    def from_file(cls, path: str | Path, min_score: float = 0.5, overlap: float = 0.3) -> PalmDetector:
        """From a ``.tflite`` file, or from ``hand_landmarker.task``.

        Raises:
            InputError: as ``read_tflite`` and the class.
        """
        return cls(TfliteNetwork(read_tflite(path, MEMBER)), min_score, overlap)

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> list[Palms]:
        """Pictures (N, 3, H, W), RGB in [0, 1] -> the palms of each."""
        height, width = pixels.shape[-2:]
        # The whole picture, in the middle of a black square.
        side = max(height, width)
        whole = pixels.new_tensor([[width / 2, height / 2, side, 0.0]]).expand(len(pixels), 4)
        letterboxed = crop(pixels, whole, PALM_SIZE, border="zeros")
        raw_boxes, raw_scores = self.network(letterboxed.permute(0, 2, 3, 1))
        boxes, keypoints = decode(raw_boxes, self.anchors)
        scores = raw_scores.squeeze(-1).clamp(-_SCORE_BOUND, _SCORE_BOUND).sigmoid()
        corner = pixels.new_tensor([(width - side) / 2, (height - side) / 2])
        found = []
        for box, points, score in zip(boxes, keypoints, scores, strict=True):
            kept = (score >= self.min_score) & (box[:, 2:] > box[:, :2]).all(1) & box.isfinite().all(1)
            palms = weighted_nms(box[kept], points[kept], score[kept], self.overlap)
            found.append(Palms(palms.boxes * side + corner.repeat(2), palms.keypoints * side + corner, palms.scores))
        return found


def ssd_anchors(size: int = PALM_SIZE) -> Tensor:
    """Centres of the anchors, (2016, 2) for 192: x and y as fractions of the side, row by row in each grid.

    Two of each layer stand in the middle of every cell; layers of one stride share their grid. Their size is fixed to
    the picture's, so that boxes are predicted in pixels.
    """
    grids = []
    for stride in sorted(set(_LAYER_STRIDES)):
        cells = math.ceil(size / stride)
        middles = (torch.arange(cells) + 0.5) / cells
        y, x = torch.meshgrid(middles, middles, indexing="ij")
        count = _ANCHORS_A_LAYER * _LAYER_STRIDES.count(stride)
        grids.append(torch.stack([x, y], dim=-1).flatten(0, 1).repeat_interleave(count, dim=0))
    return torch.cat(grids)


def decode(raw: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """What the network says of each anchor, as places in its picture.

    Args:
        raw: (N, A, 18): centre, width and height of the box, then the seven points, in pixels of the network's picture;
            centre and points relative to the anchor.
        anchors: of :func:`ssd_anchors`.

    Returns:
        Boxes (N, A, 4), left, top, right and bottom, and points (N, A, 7, 2), as fractions of the picture's side.
    """
    scaled = (raw / PALM_SIZE).unflatten(-1, (2 + _KEYPOINTS, 2))
    centre, half = scaled[:, :, 0] + anchors, scaled[:, :, 1] / 2
    return torch.cat([centre - half, centre + half], dim=-1), scaled[:, :, 2:] + anchors[:, None]


def weighted_nms(boxes: Tensor, keypoints: Tensor, scores: Tensor, overlap: float = 0.3) -> Palms:
    """Non-maximum suppression that averages: BlazeFace's (arXiv 1907.05047, section 5).

    The surest box and all that overlap it become one whose places are their mean, weighted by their scores, and whose
    score is the surest's; then the same with the rest.

    Args:
        boxes: (K, 4) left, top, right and bottom.
        keypoints: (K, 7, 2).
        scores: (K,).
        overlap: intersection over union with the surest box, above which a box joins it.
    """
    order = scores.argsort(descending=True, stable=True)
    boxes, keypoints, scores = boxes[order], keypoints[order], scores[order]
    merged: list[tuple[Tensor, Tensor, Tensor]] = []
    left = torch.ones_like(scores, dtype=torch.bool)
    while left.any():
        first = int(left.int().argmax())
        joined = left & (_iou(boxes[first], boxes) > overlap)
        joined[first] = True
        weights = scores[joined] / scores[joined].sum()
        box = (weights[:, None] * boxes[joined]).sum(0)
        merged.append((box, (weights[:, None, None] * keypoints[joined]).sum(0), scores[first]))
        left &= ~joined
    if not merged:
        return Palms(boxes, keypoints, scores)
    return Palms(*(torch.stack(parts) for parts in zip(*merged, strict=True)))


def _iou(box: Tensor, boxes: Tensor) -> Tensor:
    sides = (torch.minimum(box[2:], boxes[:, 2:]) - torch.maximum(box[:2], boxes[:, :2])).clamp(min=0)
    shared = sides.prod(-1)
    return shared / ((box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(-1) - shared)
