"""Metrics by the names that protocols list, with the networks that they look with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..hub import MissingModelError
from .metrics.base import ClipMetric, SetMetric
from .pairs import ReferenceRows
from .protocol import Protocol
from .request import Weights

# Metrics that read the instruction.
_OF_TEXT = {"clip_to_text", "clip_video_to_text", "egovlp_to_text", "viclip_to_text", "blip_itm", "blip_caption_base",
            "blip_caption_large", "vqa_score", "instruction_accuracy"}  # fmt: skip

TITLES = {
    "fvd": "FVD",
    "kvd": "KVD",
    "fid": "FID",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "clip_to_truth": "CLIP to truth",
    "clip_to_text": "CLIP to text",
    "clip_to_consecutive": "CLIP to next frame",
    "clip_video_to_text": "CLIP of the clip to text",
    "dino_to_truth": "DINO to truth",
    "egovlp": "EgoVLP",
    "egovlp_plus": "EgoVLP+",
    "egovlp_to_text": "EgoVLP to text",
    "viclip_to_text": "ViCLIP to text",
    "blip_itm": "BLIP matching",
    "blip_caption_base": "BLIP-B caption",
    "blip_caption_large": "BLIP-L caption",
    "vqa_score": "VQAScore",
    "motion_smoothness": "motion smoothness",
    "dynamic_degree": "dynamic degree",
    "flow_magnitude_error": "error of flow magnitude",
    "hand_structure_error": "hand structure error",
    "hand_structure_error_matched": "hand structure error, matched",
    "hand_coverage": "true hands found",
    "region_of_motion_iou": "region of motion IoU",
    "background_stability": "background change",
    "hand_psnr": "PSNR in the hands",
    "final_frame_gain": "gain of the last frame",
    "picture_video_agreement": "picture and video agree",
    "object_within_8_pixels": "object within 8 pixels",
    "named_object_moved": "the named object moved",
    "instruction_accuracy": "instruction followed",
}


@dataclass(frozen=True)
class Measure:
    """A metric of a protocol.

    title: in tables. metric: computes it. part: what the cache calls that which it needs of each clip; metrics of the
    same features share it. part_fingerprint: all that decides that, the clips and the code aside.
    """

    title: str
    metric: ClipMetric | SetMetric
    part: str
    part_fingerprint: dict[str, Any]


def make_measures(protocol: Protocol, weights: Weights, reference: ReferenceRows) -> dict[str, Measure]:
    """The protocol's metrics, by name, in its order.

    Raises:
        InputError: a network that cannot be had, with the file that is needed and where it goes; or instructions that
            a metric reads and the true clips have not.
    """
    silent = next((record for record in reference.records if not record.instruction), None)
    asked = [name for name in protocol.metrics if name in _OF_TEXT]
    if silent is not None and asked:
        raise InputError(
            f"{asked[0]} reads instructions and the true clip {silent.id!r} has none: give a reference with a list "
            "(index.jsonl with id, file and instruction), or leave the metric out (protocol.metrics=[...])."
        )
    makers = _Makers(protocol, weights, reference)
    return {name: _measure(name, getattr(makers, name)()) for name in protocol.metrics}


def _measure(name: str, metric: ClipMetric | SetMetric) -> Measure:
    if isinstance(metric, ClipMetric):
        return Measure(TITLES[name], metric, name, metric.fingerprint)
    # What is done with the features is no part of them.
    decides = {
        key: value for key, value in metric.fingerprint.items() if key in ("network", "preprocessing", "resizing")
    }
    return Measure(TITLES[name], metric, {"fid": "inception"}.get(name, "i3d"), decides)


class _Makers:
    """One method for each metric, by its name; what several look with is loaded once."""

    def __init__(self, protocol: Protocol, weights: Weights, reference: ReferenceRows):
        self.protocol, self.weights, self.reference = protocol, weights, reference

    def fvd(self):
        from .metrics.fvd import FrechetVideoDistance

        return FrechetVideoDistance(self._i3d, self.protocol.fvd_preprocessing, self.protocol.covariance)

    def kvd(self):
        from .metrics.kvd import KernelVideoDistance

        return KernelVideoDistance(self._i3d, self.protocol.fvd_preprocessing, self.protocol.kvd_centred)

    def fid(self):
        from .metrics.fid import FrechetInceptionDistance
        from .networks.inception import load_inception

        return FrechetInceptionDistance(load_inception(self.weights.inception), self.protocol.fid_resizing)

    def psnr(self):
        from .metrics.psnr import PeakSignalToNoiseRatio

        return PeakSignalToNoiseRatio()

    def ssim(self):
        from .metrics.ssim import StructuralSimilarity

        return StructuralSimilarity()

    def lpips(self):
        from .metrics.lpips import LearnedPerceptualSimilarity

        return LearnedPerceptualSimilarity(self.protocol.lpips_net, self.protocol.lpips_range)

    def clip_to_truth(self):
        from .metrics.clip import ClipToTruth

        return ClipToTruth(self._clip)

    def clip_to_text(self):
        from .metrics.clip import ClipToText

        return ClipToText(self._clip)

    def clip_to_consecutive(self):
        from .metrics.clip import ClipToConsecutive

        return ClipToConsecutive(self._clip)

    def clip_video_to_text(self):
        from .metrics.clip import ClipVideoToText

        return ClipVideoToText(self._clip)

    def dino_to_truth(self):
        from ..perception.similarity import DinoSimilarity
        from .metrics.dino import DinoToTruth

        with _given_as("dino"):
            return DinoToTruth(DinoSimilarity.from_pretrained(self.weights.dino or self.protocol.dino))

    def egovlp(self):
        from .metrics.egovlp import EgoVlpToTruth

        return EgoVlpToTruth(self._egovlp)

    def egovlp_plus(self):
        from .metrics.egovlp import EgoVlpPlus

        return EgoVlpPlus(self._egovlp)

    def egovlp_to_text(self):
        from .metrics.egovlp import EgoVlpToText

        return EgoVlpToText(self._egovlp)

    def viclip_to_text(self):
        from .metrics.viclip import ViClipToText
        from .networks.viclip import ViCLIP

        file, tokenizer = _given(self.weights.viclip), self.weights.viclip_tokenizer
        with _given_as("viclip_tokenizer"):
            return ViClipToText(ViCLIP.from_file(file, tokenizer=tokenizer, truncate=True))

    def blip_itm(self):
        from .metrics.blip import BlipImageText
        from .networks.blip import BlipMatching

        with _given_as("blip_itm"):
            # BLIP's release cuts long sentences as well.
            return BlipImageText(BlipMatching.from_pretrained(self.weights.blip_itm, truncate=True))

    def blip_caption_base(self):
        return self._blip_caption("blip_caption_base")

    def blip_caption_large(self):
        return self._blip_caption("blip_caption_large")

    def vqa_score(self):
        from .metrics.vqa import VqaScore
        from .networks.vqa import QuestionAnswering

        with _given_as("vqa"):
            return VqaScore(QuestionAnswering.from_pretrained(self.weights.vqa or self.protocol.vqa))

    def motion_smoothness(self):
        from .metrics.motion_smoothness import FlowMiddle, MotionSmoothness

        return MotionSmoothness(FlowMiddle(self._flow), f"flow middle, {self.protocol.flow}")

    def dynamic_degree(self):
        from .metrics.dynamic_degree import DynamicDegree

        return DynamicDegree(self._flow, self.protocol.flow)

    def flow_magnitude_error(self):
        from .metrics.dynamic_degree import FlowMagnitudeError

        return FlowMagnitudeError(self._flow, self.protocol.flow)

    def hand_structure_error(self):
        from .metrics.hand_structure import HandStructureError

        return HandStructureError(self._hands, self._hands_name, world=self._world)

    def hand_structure_error_matched(self):
        from .metrics.hand_structure import MatchedHandStructureError

        return MatchedHandStructureError(self._hands, self._hands_name, world=self._world)

    def hand_coverage(self):
        from .metrics.hand_structure import HandCoverage

        return HandCoverage(self._hands, self._hands_name, world=self._world)

    def region_of_motion_iou(self):
        from .metrics.region_iou import RegionOfMotionIou

        return RegionOfMotionIou(self._hands, self._hands_name)

    def background_stability(self):
        from .metrics.background import BackgroundStability

        return BackgroundStability(*self._true_hands, self.protocol.background_margin)

    def hand_psnr(self):
        from .metrics.hand_psnr import HandPsnr

        return HandPsnr(*self._true_hands)

    def final_frame_gain(self):
        from .metrics.final_frame import FinalFrameGain

        return FinalFrameGain()

    def picture_video_agreement(self):
        from .metrics.agreement import PictureVideoAgreement

        return PictureVideoAgreement()

    def object_within_8_pixels(self):
        from .metrics.tabletop_object import ObjectNear
        from .rendered import scenes_of

        return ObjectNear(*scenes_of(self.reference.records))

    def named_object_moved(self):
        from .metrics.named_object import NamedObject
        from .rendered import hands_of, scenes_of

        return NamedObject(scenes_of(self.reference.records)[0], hands_of(self.reference.records))

    def instruction_accuracy(self):
        from .metrics.instruction_accuracy import InstructionAccuracy

        return InstructionAccuracy()

    @cached_property
    def _i3d(self):
        from .networks.i3d import load_i3d

        return load_i3d(_given(self.weights.i3d), self.protocol.i3d_epsilon)

    @cached_property
    def _clip(self):
        from ..perception.similarity import ClipSimilarity
        from .metrics.clip import ClipFrames

        with _given_as("clip"):
            encoder = ClipSimilarity.from_pretrained(self.weights.clip or self.protocol.clip, truncate=True)
        return ClipFrames(encoder, self.protocol.clip_resize)

    @cached_property
    def _egovlp(self):
        from .networks.egovlp import EgoVLP

        file = _given(self.weights.egovlp)
        # The released code cuts long sentences as well.
        tokenizer, frames = self.weights.egovlp_tokenizer, self.protocol.egovlp_frames
        with _given_as("egovlp_tokenizer"):
            return EgoVLP.from_file(file, tokenizer=tokenizer, frames=frames, truncate=True)

    @cached_property
    def _flow(self) -> Callable:
        from ..perception import flow_estimator

        raft = "raft" if self.weights.raft is None else f"raft:{self.weights.raft}"
        return flow_estimator(raft if self.protocol.flow == "raft" else "dis")

    @cached_property
    def _true_hands(self) -> tuple[Callable, str]:
        """What finds the hands of true clips, and its name."""
        from .rendered import RenderedHands, is_rendered

        # The world says where its hands are: no network need look for them.
        if is_rendered(self.reference.records):
            return RenderedHands(self.reference), "rendered"
        return self._hands, self._hands_name

    @property
    def _world(self) -> Callable | None:
        """What knows the true hands better than the network that was made for the world."""
        find, name = self._true_hands
        return find if name == "rendered" and self.protocol.hands != "torch" else None

    @cached_property
    def _hands(self):
        from ..perception import hand_estimator
        from .metrics.estimators import SharedHandEstimator

        name: str = self.protocol.hands
        if name == "torch" and self.weights.hands is not None:
            name = f"torch:{self.weights.hands}"
        least = self.protocol.hand_confidence
        return SharedHandEstimator(hand_estimator(name, num_hands=2, min_palm_score=least, min_presence=least))

    @property
    def _hands_name(self) -> str:
        name = "MediaPipe" if self.protocol.hands == "torch" else self.protocol.hands
        return f"{name}, confidence {self.protocol.hand_confidence:g}"

    def _blip_caption(self, field: str):
        from .metrics.blip import BlipCaption
        from .networks.blip import BlipCaptioner

        with _given_as(field):
            captioner = BlipCaptioner.from_pretrained(getattr(self.weights, field))
        return BlipCaption(captioner, self._egovlp)


def _given(path: Path | None) -> Path:
    """A file that :func:`check_request` has seen."""
    assert path is not None
    return path


@contextmanager
def _given_as(field: str) -> Iterator[None]:
    """A model that cannot be had is reported with the setting that names a copy of it."""
    try:
        yield
    except MissingModelError as error:
        raise MissingModelError(f"{str(error).removesuffix('.')} (weights.{field}=FOLDER).") from error
