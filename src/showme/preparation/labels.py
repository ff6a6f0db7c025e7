"""Labels of clips as parts of a cache: hands, regions of motion, flow, depth, edges."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data.cache import Part
from ..data.media import Rendered
from ..data.rows import ClipRows
from ..errors import InputError
from ..fingerprint import code_digest, weights_digest
from ..losses.motion import pooled_flow_magnitude
from ..manifest import sha256_of
from ..perception import depth_estimator, edge_estimator, flow_estimator, hand_estimator
from ..perception import hands as hand_module
from ..perception import region_of_motion as regions
from ..perception.hands import hand_model_file
from .config import EstimatorsConfig, Label

HANDS = 2
JOINTS = 21
# Flow is kept at this part of the picture's size, as the codecs' latents are.
FLOW_SCALE = 8


def label_parts(rows: ClipRows, labels: Sequence[Label], estimators: EstimatorsConfig) -> list[Part]:
    """The parts that hold these labels; captions are kept elsewhere.

    ========  ===============================================================================================
    hands     ``joints`` float32 (T, 2, 21, 3), x and y in pixels of the look, z in the same scale, NaN where
              there is no hand; ``presence`` float32 (T, 2), NaN of an estimator that gives none; ``right`` float32
              (T, 2), how surely a right hand
    region    ``region`` bool (H, W), of the clip; ``regions`` bool (T, H, W), of each frame
    flow      ``flow`` float16 (T - 1, H / 8, W / 8), mean length in pixels of the look per frame
    depth     ``depth`` float16 (T, 1, H, W), inverse, relative
    edges     ``edges`` float16 (T, 1, H, W), in [0, 1]
    ========  ===============================================================================================

    Raises:
        InputError: an estimator that cannot be had, or a clip that is missing.
    """
    makers: dict[str, Callable[[], Part]] = {
        "hands": lambda: _hands_part(rows, hands),
        "region": lambda: _region_part(rows, hands, estimators.region),
        "flow": lambda: _flow_part(rows, estimators.flow),
        "depth": lambda: _estimator_part(
            rows, "depth", depth := _depth_name(rows, estimators), depth_estimator(depth), _seen_by
        ),
        "edges": lambda: _estimator_part(rows, "edges", estimators.edges, edge_estimator(estimators.edges), _seen_by),
    }
    hands = HandsOfRows(rows, estimators) if {"hands", "region"} & set(labels) else None
    return [makers[label]() for label in labels if label in makers]


class HandsOfRows:
    """Rows -> hands, seen in the clips' own pixels and given in those of the look; each thread keeps the last rows."""

    def __init__(self, rows: ClipRows, estimators: EstimatorsConfig):
        self.rows, self.estimators = rows, estimators
        self.estimator = None if estimators.hands == "rendered" else _hand_estimator(estimators)
        self._last = threading.local()

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What decides the joints beside the clips."""
        family, _, file = self.estimators.hands.partition(":")
        code = code_digest((hand_module, sys.modules[__name__]))
        fingerprint = {
            "hands": family,
            "confidence": self.estimators.hand_confidence,
            "weights": self._weights(family, file),
            "code of the hands": code,
        }
        return self.rows.fingerprint | fingerprint

    def _weights(self, family: str, file: str) -> str | None:
        if self.estimator is None:
            return None
        if family.startswith("tabletop"):
            return weights_digest(self.estimator)
        return sha256_of(hand_model_file(file or None))

    def __call__(self, numbers: Sequence[int]) -> list[dict[str, np.ndarray]]:
        """``joints``, ``presence`` and ``right`` of each row, as :func:`label_parts` says."""
        key = tuple(numbers)
        if getattr(self._last, "key", None) != key:
            hands = [self._of_row(number) for number in key]
            self._last.key, self._last.hands = key, hands
        return self._last.hands

    def _of_row(self, number: int) -> dict[str, np.ndarray]:
        frames = self.rows.look.frames
        arrays = {
            "joints": np.full((frames, HANDS, JOINTS, 3), np.nan, np.float32),
            "presence": np.zeros((frames, HANDS), np.float32),
            "right": np.full((frames, HANDS), np.nan, np.float32),
        }
        if self.estimator is None:
            return self._rendered(number, arrays)
        pictures, sample, window = self.rows.native(number)
        seen = self.estimator(pictures)
        # A frame of the sample that is blended or repeated has the hands of the frame that weighs most in it.
        places = np.searchsorted(sample.needed, sample.main)
        for time, place in enumerate(places.tolist()):
            for slot, hand in enumerate(seen[place][:HANDS]):
                arrays["joints"][time, slot, :, :2] = window.points(hand.joints[:, :2])
                arrays["joints"][time, slot, :, 2] = hand.joints[:, 2] * window.scale[0]
                arrays["presence"][time, slot] = np.nan if hand.presence is None else hand.presence
                score = hand.handedness_score
                arrays["right"][time, slot] = score if hand.handedness == "right" else 1 - score
        return arrays

    def _rendered(self, number: int, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the file of a rendered clip says of its right hand."""
        media = self.rows.record(number).media
        _, sample, window = self.rows.native(number)
        if not isinstance(media, Rendered):
            raise InputError(f"{media.path} is no rendered clip: choose another estimator for hands than rendered.")
        joints = media.joints()
        if joints is None:
            raise InputError(f"{media.path} has no joints: render it anew, or choose another estimator for hands.")
        arrays["joints"][:, 0, :, :2] = window.points(joints[sample.main, 0])
        arrays["joints"][:, 0, :, 2] = 0
        arrays["presence"][:, 0] = arrays["right"][:, 0] = 1
        return arrays


def _depth_name(rows: ClipRows, estimators: EstimatorsConfig) -> str:
    """The depth estimator that was named; the one for the tabletop world knows nothing of real pictures."""
    if estimators.depth is not None:
        return estimators.depth
    real = next((record.media.path for record in rows.records if not isinstance(record.media, Rendered)), None)
    if real is not None:
        raise InputError(
            f"{real} is no rendered clip: name the estimator for its depth with estimators.depth=transformers:MODEL."
        )
    return "tabletop"


def _hand_estimator(estimators: EstimatorsConfig) -> Any:
    confidence = estimators.hand_confidence
    return hand_estimator(estimators.hands, num_hands=HANDS, min_palm_score=confidence, min_presence=confidence)


def _hands_part(rows: ClipRows, hands: HandsOfRows | None) -> Part:
    assert hands is not None
    return Part("hands", hands.fingerprint, rows.identities, lambda numbers: _stacked(hands(numbers)), chunk=1)


def _region_part(rows: ClipRows, hands: HandsOfRows | None, form: str) -> Part:
    assert hands is not None
    hull = regions.hull_per_hand if form == "per_hand" else regions.hull_over_hands

    def encode(numbers: Sequence[int]) -> dict[str, Tensor]:
        values = []
        for seen in hands(numbers):
            joints = [[hand for hand in frame if not np.isnan(hand).any()] for frame in seen["joints"]]
            masks = hull(joints, rows.look.height, rows.look.width)
            values.append({"region": regions.region_of_motion(masks), "regions": masks})
        return _stacked(values)

    code = {"region": form, "code of the region": code_digest([regions])}
    return Part("region", hands.fingerprint | code, rows.identities, encode, chunk=1)


def _estimator_part(
    rows: ClipRows, name: str, estimator_name: str, estimator: Any, see: Callable[[Any, Tensor], Tensor]
) -> Part:
    weights = weights_digest(estimator) if isinstance(estimator, nn.Module) else None
    fingerprint = {
        "estimator": estimator_name,
        "weights": weights,
        "code of the estimator": code_digest([sys.modules[type(estimator).__module__]]),
    }
    fingerprint["code of the label"] = code_digest([sys.modules[__name__]])

    @torch.no_grad()
    def encode(numbers: Sequence[int]) -> dict[str, Tensor]:
        return {name: see(estimator, rows.pixels(numbers)).half()}

    return Part(name, rows.fingerprint | fingerprint, rows.identities, encode, chunk=1)


def _flow_part(rows: ClipRows, name: str) -> Part:
    for side in ("height", "width"):
        if getattr(rows.look, side) % FLOW_SCALE:
            raise InputError(f"look.{side} {getattr(rows.look, side)}: flow needs a multiple of {FLOW_SCALE}.")
    return _estimator_part(rows, "flow", name, flow_estimator(name), _flow_of)


def _seen_by(estimator: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
    return estimator(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])


def _flow_of(estimator: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
    height, width = pixels.shape[-2:]
    return pooled_flow_magnitude(estimator(pixels), (height // FLOW_SCALE, width // FLOW_SCALE))


def _stacked(rows: Sequence[dict[str, np.ndarray]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}
