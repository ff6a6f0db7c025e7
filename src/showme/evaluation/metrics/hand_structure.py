"""How far the hands of generated frames are from those of the true frames.

The error of IVG (arXiv 2412.04189, section 4.1, from the loss of section 3.2, equation 2), and a form of it that does
not depend on the order in which hands are found, on their size, or on where the corner of the picture is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...optional import needed
from ...perception.hands import Hand
from .base import ClipMetric, Pairs
from .estimators import HandEstimator, bytes_of, estimator_record

# The hands of each frame of a clip.
Hands = Sequence[Sequence[Hand]]
HandSize = Literal["box", "palm"]
_WRIST, _MIDDLE_KNUCKLE = 0, 9
# A hand seen edge on can be of no size at all.
_SMALLEST_HAND = 1.0


class _OfHands(ClipMetric):
    """Asks for the hands of every n-th frame: an estimator, and the world, where it drew the true clips itself."""

    def __init__(
        self, hands: HandEstimator, name: str, every: int = 1, world: HandEstimator | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        if every < 1:
            raise ValueError(f"every {every}-th frame cannot be taken")
        self.hands, self.name, self.every, self.world = hands, name, every, world

    @property
    def fingerprint(self) -> dict[str, Any]:
        true = {} if self.world is None else {"true hands": "rendered"}
        return {"hands": estimator_record(self.name, self.hands), "every": self.every, **true}

    def score(self, pairs: Pairs) -> Tensor:
        height, width = pairs.reference.shape[-2:]
        values = [
            self.of_clip(self._look(generated), self._look_at_truth(true), (width, height))
            for generated, true in zip(pairs.generated, pairs.reference, strict=True)
        ]
        return torch.tensor(values, dtype=torch.float64)

    def _look_at_truth(self, clip: Tensor) -> Hands:
        # The world knows its clips whole.
        return self._look(clip) if self.world is None else self.world(bytes_of(clip))[:: self.every]

    @abstractmethod
    def of_clip(self, generated: Hands, true: Hands, size: tuple[int, int]) -> float:
        """The value of one clip, from the hands of its frames and the width and height of its pictures."""

    def _look(self, clip: Tensor) -> Hands:
        frames = bytes_of(clip[:: self.every])
        hands = self.hands(frames)
        if len(hands) != len(frames):
            raise InputError(f"The hand estimator {self.name} answered for {len(hands)} of {len(frames)} frames.")
        return hands


class HandStructureError(_OfHands):
    """Hand Structure Error: squared distance of joints, in coordinates divided by the picture's width and height.

    Per frame, the estimator's first hand of the generated frame is compared with its first of the true frame, the
    second with the second; hands beyond those of the true frame count for nothing. In the ``paper`` form (equation 2) a
    frame's error is || P_gen - P_true ||^2 / J, x and y of all J true joints, where the joints of hands that the
    generated frame lacks are 0, the picture's upper left corner; a clip's error is the mean over frames with true
    hands. The text leaves the unit of coordinates open: they are MediaPipe's own, as in the released code. In the
    ``released`` form, that code's loss, a pair of hands gives the mean square over 21 joints and x, y and z (in
    widths), hands without a counterpart give nothing, and pairs are summed over the clip; that code looks at every
    fourth frame.

    A clip without a true hand, in the released form without a pair, gets NaN. The released code counts it as 0: its
    mean is the one here times ``coverage``.

    Args:
        hands: the estimator, as ``showme.perception.hand_estimator``: uint8 (T, H, W, 3) -> each frame's hands.
        name: the estimator's, for the record.
        every: look at every n-th frame, from the first.
        world: finds the hands of true clips; None: the estimator does.
        form: ``paper`` or ``released``.

    Raises:
        InputError: the estimator answers for another number of frames.
    """

    better = "lower"

    def __init__(
        self,
        hands: HandEstimator,
        name: str,
        every: int = 1,
        world: HandEstimator | None = None,
        form: Literal["paper", "released"] = "paper",
        **kwargs: Any,
    ):
        super().__init__(hands, name, every, world, **kwargs)
        self.form = form

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {**super().fingerprint, "form": self.form}

    def of_clip(self, generated: Hands, true: Hands, size: tuple[int, int]) -> float:
        width, height = size
        frame_error = self._paper if self.form == "paper" else self._released
        scale = np.array([width, height, width], np.float64)
        errors = [
            frame_error([hand.joints / scale for hand in ours], [hand.joints / scale for hand in theirs])
            for ours, theirs in zip(generated, true, strict=True)
        ]
        found = [error for error in errors if error is not None]
        if not found:
            return float("nan")
        return float(np.mean(found) if self.form == "paper" else np.sum(found))

    @staticmethod
    def _paper(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float | None:
        if not theirs:
            return None
        true = np.stack(theirs)[..., :2]
        seen = np.zeros_like(true)
        for place, joints in zip(seen, ours, strict=False):
            place[:] = joints[:, :2]
        return float(np.square(seen - true).sum() / (true.shape[0] * true.shape[1]))

    @staticmethod
    def _released(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float | None:
        pairs = [np.square(a - b).mean() for a, b in zip(ours, theirs, strict=False)]
        return float(np.sum(pairs)) if pairs else None


class MatchedHandStructureError(_OfHands):
    """Mean distance of joints, in sizes of the true hand, over hands that are matched whatever their order.

    In each frame, generated and true hands are assigned to each other so that the sum of the mean distances of their 21
    joints, in pixels, is the least; a pair's error is its mean distance divided by the size of the true hand, at least
    a pixel. A clip's error is the mean over all its pairs, NaN where there is none. A hand that was not generated costs
    nothing here: :class:`HandCoverage` counts it.

    Args:
        hands: the estimator, as in :class:`HandStructureError`.
        name: the estimator's, for the record.
        every: look at every n-th frame, from the first.
        world: as there.
        hand_size: ``box``, the diagonal of the upright box around the joints, or ``palm``, from the wrist to the middle
            knuckle. The palm's is the shorter, and the shorter still the more a hand points at the camera.

    Raises:
        InputError: as :class:`HandStructureError`.
    """

    better = "lower"
    unit = "hand sizes"

    def __init__(
        self,
        hands: HandEstimator,
        name: str,
        every: int = 1,
        world: HandEstimator | None = None,
        hand_size: HandSize = "box",
        **kwargs: Any,
    ):
        super().__init__(hands, name, every, world, **kwargs)
        self.hand_size = hand_size

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {**super().fingerprint, "hand_size": self.hand_size}

    def of_clip(self, generated: Hands, true: Hands, size: tuple[int, int]) -> float:
        errors = [
            error
            for ours, theirs in zip(generated, true, strict=True)
            for error in matched_errors(
                [hand.joints[:, :2] for hand in ours], [hand.joints[:, :2] for hand in theirs], self.hand_size
            )
        ]
        return float(np.mean(errors)) if errors else float("nan")


class HandCoverage(_OfHands):
    """The share of a clip's true hands, over its frames, that found a partner in the generated frame.

    As many find one as there are hands in the frame of both clips that has fewer. NaN without a true hand.

    Args:
        hands: the estimator, as in :class:`HandStructureError`.
        name: the estimator's, for the record.
        every: look at every n-th frame, from the first.
        world: as there.

    Raises:
        InputError: as :class:`HandStructureError`.
    """

    better = "higher"

    def of_clip(self, generated: Hands, true: Hands, size: tuple[int, int]) -> float:
        there = sum(map(len, true))
        matched = sum(min(len(ours), len(theirs)) for ours, theirs in zip(generated, true, strict=True))
        return matched / there if there else float("nan")


def matched_errors(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], hand_size: HandSize) -> list[float]:
    """Errors of the matched pairs of a frame, as :class:`MatchedHandStructureError` defines them.

    Args:
        ours: joints (21, 2) of the generated hands, in pixels.
        theirs: of the true ones.
        hand_size: ``box`` or ``palm``.

    Raises:
        InputError: scipy is not installed.
    """
    if not len(ours) or not len(theirs):
        return []
    with needed("scipy", "scipy", "evaluation", "Matching hands"):
        from scipy.optimize import linear_sum_assignment
    apart = np.linalg.norm(np.stack(ours)[:, None] - np.stack(theirs)[None], axis=-1).mean(-1).astype(np.float64)
    rows, columns = linear_sum_assignment(apart)
    return [
        float(apart[row, column] / _size(theirs[column], hand_size)) for row, column in zip(rows, columns, strict=True)
    ]


def _size(joints: np.ndarray, hand_size: HandSize) -> float:
    span = np.ptp(joints, axis=0) if hand_size == "box" else joints[_MIDDLE_KNUCKLE] - joints[_WRIST]
    return max(float(np.linalg.norm(span)), _SMALLEST_HAND)
