"""Which clips are kept: pure functions of scores, and the same as settings by name.

Thresholds are compared in float32, as the scores are, so that a score equal to its threshold passes.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from ...config import Settings
from ...errors import InputError
from .scores import FRAME_NUMBERS, Scores


@dataclass(frozen=True)
class Verdict:
    """What a rule says of a clip.

    kept: whether it stays. cause: why, in words that clips of one kind share. reason: why, one sentence with the
    numbers. last: the clip's new last frame, counted from 0 in the clip, found in dropped clips too; None where the
    rule leaves the end alone.
    """

    kept: bool
    cause: str
    reason: str
    last: int | None = None


@dataclass(frozen=True)
class Measure:
    """What a rule compares, for a histogram. values: (N,), in the order of the clips. bounds: its thresholds."""

    name: str
    values: np.ndarray
    bounds: tuple[float, ...]


def showme_goal(
    text_similarity: np.ndarray,
    first_similarity: np.ndarray,
    frame_numbers: np.ndarray,
    candidates: int = 8,
    min_score: float = 0.1,
    min_last: int = 15,
) -> Verdict:
    """ShowMe's curation of EPIC-KITCHENS: the clip ends where its goal is seen best.

    Of the T frames' last ``candidates``, the one with the largest product of the two similarities is the end; of equal
    ones the first. The clip is dropped when that product is below ``min_score``, and when the end is so early that too
    few frames are left.

    "Too early" counts in the clip's own frames, not in the T that were looked at: the released code maps its choice to
    the frame of the video file before it asks for at least 15. Among the 16 sampled frames 15 is the very last, and the
    rule would keep no other end than the clip's own. 15 leaves 16 frames or more, as many as the model is trained on.

    Args:
        text_similarity: (T,) cosines with the instruction.
        first_similarity: (T,) cosines with the first frame.
        frame_numbers: (T,) where these frames stand in the clip, ascending, counted from 0.
        candidates: how many of the last frames may be the end; T is 16 in the release.
        min_score: least product of the end frame's similarities.
        min_last: least number of the end frame, in the clip.
    """
    products = (text_similarity * first_similarity)[-candidates:]
    best = int(np.argmax(products))
    score, last = float(products[best]), int(frame_numbers[-candidates:][best])
    if not _reaches(score, min_score):
        shown = _distinct(score, min_score)
        return Verdict(False, "goal not seen", f"The goal's best score is {shown}, less than {min_score:g}.", last)
    if last < min_last:
        reason = f"The goal is seen best in frame {last}, before frame {min_last}."
        return Verdict(False, "goal too early", reason, last)
    return Verdict(True, "goal seen", f"The goal is seen best in frame {last}, with a score of {score:.3g}.", last)


def lego_window(change: float, low: float = 0.81, high: float = 0.97) -> Verdict:
    """LEGO's filter (arXiv 2312.03849): first and last frame neither too different nor too alike, bounds included.

    Args:
        change: their CLIP cosine.
        low: least.
        high: largest.
    """
    if not _reaches(change, low):
        reason = f"First and last frame have a similarity of {_distinct(change, low)}, less than {low:g}."
        return Verdict(False, "changes too much", reason)
    if not _reaches(high, change):
        reason = f"First and last frame have a similarity of {_distinct(change, high)}, more than {high:g}."
        return Verdict(False, "changes too little", reason)
    reason = f"First and last frame have a similarity of {change:.3g}, within {low:g} and {high:g}."
    return Verdict(True, "changes enough", reason)


def handi_motion(motion: float, minimum: int = 50) -> Verdict:
    """IVG's and AnimateAnything's filter: enough motion.

    The score is rounded to a whole number before it is compared, as in the released code: 49.5 passes for 50. There,
    training draws another clip in the place of one that fails.

    Args:
        motion: :func:`~showme.preparation.curation.scores.motion_score`.
        minimum: least.
    """
    reason = f"The motion score is {motion:.1f}, rounded {round(motion)}"
    if round(motion) < minimum:
        return Verdict(False, "too little motion", f"{reason}, less than {minimum}.")
    return Verdict(True, "enough motion", f"{reason}, at least {minimum}.")


def hand_presence(
    hands: np.ndarray, hand_confidence: np.ndarray, min_share: float = 0.5, min_confidence: float = 0.0
) -> Verdict:
    """Hands in enough of the frames; no paper's rule, and the defaults are ours.

    Args:
        hands: (T,) how many.
        hand_confidence: (T,) the surest one's presence; not a number where the estimator gives none.
        min_share: of frames with a hand.
        min_confidence: frames whose surest hand is less sure do not count; 0: all count.

    Raises:
        InputError: a confidence is asked for and the estimator gives none.
    """
    share = _hand_share(hands, hand_confidence, min_confidence)
    seen, frames = round(share * len(hands)), len(hands)
    if not _reaches(share, min_share):
        return Verdict(False, "hands missing", f"Hands are in {seen} of {frames} frames, less than {min_share:.0%}.")
    return Verdict(True, "hands there", f"Hands are in {seen} of {frames} frames, at least {min_share:.0%}.")


def motion_intensive(regions: np.ndarray, share: float = 0.1) -> list[Verdict]:
    """IVG's motion-intensive subset (arXiv 2412.04189, section 4.4): the clips with the largest regions of motion.

    The k-th largest area is the threshold, k being ``share`` of the clips, rounded to the nearest whole number, halves
    up, and at least 1. Clips that tie with it are all kept, so that the subset does not depend on their order. A clip
    without any region is never kept, even if that leaves fewer than k.

    Args:
        regions: (N,) areas, all of one set.
        share: of the clips.
    """
    if not len(regions):
        return []
    bound = _intensive_bound(regions, share)
    threshold = f"{bound:.3g}, the least among the largest {100 * share:g}% of {len(regions)} clips"
    return [_intensive(float(region), bound, threshold) for region in regions]


def _intensive(region: float, bound: float, threshold: str) -> Verdict:
    if not region > 0:
        return Verdict(False, "no region", "No hand was found in the clip.")
    if region < bound:
        reason = f"Hands move in {_distinct(region, bound)} of the picture, less than {threshold}."
        return Verdict(False, "smaller region", reason)
    return Verdict(True, "large region", f"Hands move in {region:.3g} of the picture, at least {threshold}.")


class Rule(Settings):
    """A rule with its thresholds. Every kind adds its fields.

    Attributes:
        scorer: the name of the scorer whose values it reads.
        needs: their names.
    """

    scorer: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]

    @abstractmethod
    def judge(self, clips: Sequence[Scores]) -> list[Verdict]:
        """One verdict for each clip's scores."""

    @abstractmethod
    def measures(self, clips: Sequence[Scores]) -> list[Measure]:
        """What is compared, with the thresholds."""


class ShowMeGoal(Rule):
    """:func:`showme_goal`."""

    scorer, needs = "goal", ("text_similarity", "first_similarity", FRAME_NUMBERS)
    kind: Literal["showme_goal"] = Field("showme_goal", description="the clip ends where its goal is seen best")
    candidates: int = Field(8, ge=1, description="how many of the last frames looked at may be the end")
    min_score: float = Field(0.1, ge=-1, le=1, description="least similarity to the narration times to the first frame")
    min_last: int = Field(15, ge=0, description="least number of the end frame, counted from 0 in the clip")

    def judge(self, clips: Sequence[Scores]) -> list[Verdict]:
        return [self._judge_one(*(clip[name] for name in self.needs)) for clip in clips]

    def _judge_one(self, text: np.ndarray, first: np.ndarray, numbers: np.ndarray) -> Verdict:
        return showme_goal(text, first, numbers, self.candidates, self.min_score, self.min_last)

    def measures(self, clips: Sequence[Scores]) -> list[Measure]:
        best = [(clip["text_similarity"] * clip["first_similarity"])[-self.candidates :].max() for clip in clips]
        lasts = [verdict.last for verdict in self.judge(clips)]
        return [
            Measure("goal score", np.array(best, np.float32), (self.min_score,)),
            Measure("frame of the goal", np.array(lasts, np.float32), (self.min_last,)),
        ]


class LegoWindow(Rule):
    """:func:`lego_window`."""

    scorer, needs = "change", ("change",)
    kind: Literal["lego_window"] = Field("lego_window", description="first and last frame differ, but not too much")
    low: float = Field(0.81, ge=-1, le=1, description="least similarity of first and last frame")
    high: float = Field(0.97, ge=-1, le=1, description="largest similarity of first and last frame")

    @model_validator(mode="after")
    def _ordered(self) -> LegoWindow:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}: no clip would be kept")
        return self

    def judge(self, clips: Sequence[Scores]) -> list[Verdict]:
        return [lego_window(float(clip["change"]), self.low, self.high) for clip in clips]

    def measures(self, clips: Sequence[Scores]) -> list[Measure]:
        return [Measure("similarity of first and last frame", _column(clips, "change"), (self.low, self.high))]


class HandiMotion(Rule):
    """:func:`handi_motion`."""

    scorer, needs = "motion", ("motion",)
    kind: Literal["handi_motion"] = Field("handi_motion", description="enough moves")
    minimum: int = Field(50, ge=0, description="least motion score, in whole numbers")

    def judge(self, clips: Sequence[Scores]) -> list[Verdict]:
        return [handi_motion(float(clip["motion"]), self.minimum) for clip in clips]

    def measures(self, clips: Sequence[Scores]) -> list[Measure]:
        return [Measure("motion score", _column(clips, "motion"), (self.minimum,))]


class HandPresence(Rule):
    """:func:`hand_presence`."""

    scorer, needs = "hands", ("hands", "hand_confidence")
    kind: Literal["hand_presence"] = Field("hand_presence", description="hands are seen in enough frames")
    min_share: float = Field(0.5, ge=0, le=1, description="of the frames looked at, those with a hand")
    min_confidence: float = Field(0.0, ge=0, le=1, description="how sure the surest hand of a frame is; 0: anything")

    def judge(self, clips: Sequence[Scores]) -> list[Verdict]:
        limits = (self.min_share, self.min_confidence)
        return [hand_presence(clip["hands"], clip["hand_confidence"], *limits) for clip in clips]

    def measures(self, clips: Sequence[Scores]) -> list[Measure]:
        shares = [_hand_share(clip["hands"], clip["hand_confidence"], self.min_confidence) for clip in clips]
        return [Measure("share of frames with hands", np.array(shares, np.float32), (self.min_share,))]


class MotionIntensive(Rule):
    """:func:`motion_intensive`."""

    scorer, needs = "hands", ("region",)
    kind: Literal["motion_intensive"] = Field("motion_intensive", description="the largest regions of motion of a set")
    share: float = Field(0.1, gt=0, le=1, description="of the clips, to the nearest whole number of them")

    def judge(self, clips: Sequence[Scores]) -> list[Verdict]:
        return motion_intensive(_column(clips, "region"), self.share)

    def measures(self, clips: Sequence[Scores]) -> list[Measure]:
        regions = _column(clips, "region")
        bounds = (_intensive_bound(regions, self.share),) if len(regions) else ()
        return [Measure("region of motion, share of the picture", regions, bounds)]


RULES: dict[str, type[Rule]] = {
    "showme_goal": ShowMeGoal,
    "lego_window": LegoWindow,
    "handi_motion": HandiMotion,
    "hand_presence": HandPresence,
    "motion_intensive": MotionIntensive,
}


def apply(rule: Rule, clips: Mapping[str, Scores]) -> dict[str, Verdict]:
    """Judge a set of clips.

    Args:
        rule: with its thresholds.
        clips: scores by the clip's id; ``frame_numbers`` among them where the rule moves the end.

    Returns:
        Verdicts by id, in the order given.

    Raises:
        InputError: a score that is no number.
        ValueError: scores that the rule needs are missing.
    """
    for name, scores in clips.items():
        for need in rule.needs:
            if need not in scores:
                raise ValueError(f"clip {name}: the rule reads {need}, which the scorer {rule.scorer!r} gives.")
            # An estimator that gives no confidence says so by numbers that are none.
            if need != "hand_confidence" and not np.isfinite(scores[need]).all():
                raise InputError(
                    f"clip {name}: {need} is no finite number: check the weights of the estimator that scored it."
                )
    return dict(zip(clips, rule.judge(list(clips.values())), strict=True))


def _column(clips: Sequence[Scores], name: str) -> np.ndarray:
    return np.array([clip[name] for clip in clips], dtype=np.float32)


def _reaches(value: float, bound: float) -> bool:
    return bool(np.float32(value) >= np.float32(bound))


def _distinct(value: float, bound: float) -> str:
    """A number with as many digits as it takes to differ from its threshold."""
    digits = next((each for each in range(3, 9) if f"{value:.{each}g}" != f"{bound:.{each}g}"), 9)
    return f"{value:.{digits}g}"


def _hand_share(hands: np.ndarray, hand_confidence: np.ndarray, min_confidence: float) -> float:
    there = hands > 0
    if min_confidence > 0:
        if np.isnan(hand_confidence).any():
            raise InputError("This estimator for hands does not say how sure it is: set min_confidence to 0.")
        there = there & (hand_confidence >= np.float32(min_confidence))
    return float(there.mean())


def _intensive_bound(regions: np.ndarray, share: float) -> float:
    """The area of the smallest region that is kept."""
    # As written, not as stored: 0.145 of 100 clips are 14.5, and 15 to the nearest.
    count = max(math.floor(Fraction(str(share)) * len(regions) + Fraction(1, 2)), 1)
    return float(np.sort(regions)[-min(count, len(regions))])
