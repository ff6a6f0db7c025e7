"""Numbers that say how well a clip shows its instruction and how much moves in it; nothing is decided here.

A scorer looks at T frames of a clip and gives arrays of float32 by name, of shapes that T alone decides, so that they
stand in the cache and every threshold can be tried without decoding a clip again.

=========  ==============================  ====================================================================
scorer     gives                           after
=========  ==============================  ====================================================================
goal       text_similarity (T,),           ShowMe's curation of EPIC-KITCHENS: CLIP ViT-L/14 against the
           first_similarity (T,)           narration, DINOv2 ViT-B/14 against the first frame, T = 16
change     change ()                       LEGO's window (arXiv 2312.03849): CLIP, the last frame against the first
motion     motion ()                       AnimateAnything (arXiv 2311.12886), and IVG (arXiv 2412.04189) after it
hands      hands (T,),                     hands that an estimator finds, and IVG's region of motion
           hand_confidence (T,), region ()
=========  ==============================  ====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from torch import Tensor, nn

from ...data.sampling import Sample
from ...fingerprint import weights_digest
from ...optional import needed
from ...perception.region_of_motion import hull_over_hands, hull_per_hand, region_of_motion

if TYPE_CHECKING:
    from ...perception.similarity import ClipSimilarity, DinoSimilarity

# What a scorer gives for one clip.
Scores = Mapping[str, np.ndarray]

# Where the frames that were looked at stand in their clip; rules that move a clip's end need it.
FRAME_NUMBERS = "frame_numbers"

_HULLS = {"per_hand": hull_per_hand, "over_hands": hull_over_hands}
_MOTION_SCALE = 10


class Scorer(Protocol):
    """What every scorer is.

    Attributes:
        name: of the scorer.
        fingerprint: all that decides its values, as JSON: the fingerprint of what the cache keeps of it.
    """

    name: str
    fingerprint: dict[str, Any]

    def score(self, frames: np.ndarray, instruction: str) -> dict[str, np.ndarray]:
        """uint8 frames (T, H, W, 3), RGB, and the instruction -> float32 arrays by name."""
        ...


class _Joints(Protocol):
    """A hand as :class:`showme.perception.hands.Hand` has it: joints (21, 3) in pixels; presence in [0, 1] or None."""

    @property
    def joints(self) -> np.ndarray: ...

    @property
    def presence(self) -> float | None: ...


class GoalScores:
    """How far each frame shows what the narration says, and how far the place is still that of the first frame.

    The product of the two is ShowMe's score of a frame. Its released curation looks at 16 frames of the clip at 256x256
    pixels, evenly spaced and rounded down to whole frames, where ``evenly_spaced`` rounds to the nearest; its CLIP runs
    in fp16 on a GPU, here in fp32. Both networks prepare pictures as their processors say.

    Args:
        clip: CLIP; the paper's is ``openai/clip-vit-large-patch14``.
        dino: DINOv2; the paper's is ``facebook/dinov2-base``.
    """

    name = "goal"

    def __init__(self, clip: ClipSimilarity, dino: DinoSimilarity):
        self.clip, self.dino = clip, dino
        self.fingerprint: dict[str, Any] = {"scorer": self.name, "clip": clip.fingerprint, "dino": dino.fingerprint}

    def score(self, frames: np.ndarray, instruction: str) -> dict[str, np.ndarray]:
        """``text_similarity`` and ``first_similarity``, each (T,) cosines.

        Raises:
            InputError: the instruction is longer than CLIP reads.
        """
        seen = self.dino.pictures(frames)
        said = self.clip.texts([instruction])[0]
        return {
            "text_similarity": _array(self.clip.pictures(frames) @ said),
            "first_similarity": _array(seen @ seen[0]),
        }


class ChangeScores:
    """How alike the first and the last frame are: 1 for a clip in which nothing happens.

    Args:
        clip: CLIP. LEGO does not say which; its metric is ``openai/clip-vit-large-patch14``.
    """

    name = "change"

    def __init__(self, clip: ClipSimilarity):
        self.clip = clip
        self.fingerprint: dict[str, Any] = {"scorer": self.name, "clip": clip.fingerprint}

    def score(self, frames: np.ndarray, instruction: str) -> dict[str, np.ndarray]:
        """``change``: one cosine, ()."""
        first, last = self.clip.pictures(frames[[0, -1]])
        return {"change": _array(first @ last)}


class MotionScores:
    """:func:`motion_score` of the frames that were looked at.

    IVG looks at the last 16 frames at 8 per second (the sampling ``last_at_8_fps``), at 256x256 pixels; the score grows
    with the time between frames, so a threshold holds for one sampling only.
    """

    name = "motion"
    fingerprint: dict[str, Any] = {"scorer": name, "scale": _MOTION_SCALE, "hue": "not wrapped"}  # noqa: RUF012

    def score(self, frames: np.ndarray, instruction: str) -> dict[str, np.ndarray]:
        """``motion``: one number, ().

        Raises:
            InputError: OpenCV is not installed.
            ValueError: fewer than two frames.
        """
        return {"motion": _array(motion_score(frames))}


class HandScores:
    """Hands in each frame, and the share of the picture in which they move.

    Args:
        estimator: frames -> for each its hands, as :func:`showme.perception.hand_estimator` gives it.
        fingerprint: the estimator's name and settings, as JSON; a module's weights are added here.
        hull: ``per_hand``: the paper's mask, each hand's convex hull; ``over_hands``: its released code's, one hull
            around all hands of a frame. The union over the T frames is the region; the paper's looks at every frame of
            the clip.
    """

    name = "hands"

    def __init__(
        self,
        estimator: Callable[[np.ndarray], Sequence[Sequence[_Joints]]],
        fingerprint: Mapping[str, Any],
        hull: Literal["per_hand", "over_hands"] = "per_hand",
    ):
        self.estimator, self.hull = estimator, hull
        weights = weights_digest(estimator) if isinstance(estimator, nn.Module) else None
        self.fingerprint: dict[str, Any] = {
            "scorer": self.name,
            "estimator": dict(fingerprint),
            "weights": weights,
            "hull": hull,
        }

    def score(self, frames: np.ndarray, instruction: str) -> dict[str, np.ndarray]:
        """``hands``: how many, (T,). ``hand_confidence``: the surest one's presence, (T,); 0 in a frame without hands,
        not a number where the estimator gives none. ``region``: share of the picture, ()."""
        found = self.estimator(frames)
        masks = _HULLS[self.hull]([[hand.joints for hand in hands] for hands in found], *frames.shape[1:3])
        return {
            "hands": _array([len(hands) for hands in found]),
            "hand_confidence": _array([_surest(hands) for hands in found]),
            "region": _array(region_share(region_of_motion(masks))),
        }


def motion_score(frames: np.ndarray) -> float:
    """Ten times the mean change of a pixel's hue, saturation and value from one frame to the next.

    With OpenCV's 8-bit hue (0 to 179), saturation and value (0 to 255), over the T - 1 pairs of frames::

        10 / (T - 1) * sum_t  1/3 * sum_{c in H,S,V}  mean_pixels |c_{t+1} - c_t|

    This is ``calculate_motion_score`` of AnimateAnything's released code, which IVG uses unchanged, but for the
    rounding to a whole number at its end. As there, hues do not wrap: 0 and 179, two nearly equal reds, differ by 179,
    so noise on red things counts for more than it should.

    Args:
        frames: uint8 (T, H, W, 3), RGB, T at least 2.

    Raises:
        InputError: OpenCV is not installed.
        ValueError: fewer than two frames.
    """
    with needed("cv2", "opencv-python-headless", "perception", "The motion score"):
        import cv2
    if len(frames) < 2:
        raise ValueError(f"motion is seen in two frames or more, not in {len(frames)}.")
    colours = (cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2HSV) for frame in frames)
    changes = [np.abs(after.astype(np.int16) - before).mean() for before, after in pairwise(colours)]
    return float(np.mean(changes)) * _MOTION_SCALE


def region_share(mask: np.ndarray) -> float:
    """The share of a picture that a mask covers: bool (H, W) -> [0, 1]."""
    return float(np.mean(mask))


def frame_numbers(sample: Sample) -> np.ndarray:
    """Where the frames that were looked at stand in their clip, for the scores of rules that move its end.

    Returns:
        float32 (T,), exact up to 2^24.

    Raises:
        ValueError: the sampling blends frames.
    """
    if not (sample.weights[:, 0] == 1).all():
        raise ValueError("frames that are blended of two have no number in their clip: choose another sampling.")
    return _array(sample.indices[:, 0])


def _surest(hands: Sequence[_Joints]) -> float:
    if any(hand.presence is None for hand in hands):
        return float("nan")
    return max((float(hand.presence or 0) for hand in hands), default=0.0)


def _array(values: Any) -> np.ndarray:
    return np.asarray(values.cpu() if isinstance(values, Tensor) else values, dtype=np.float32)
