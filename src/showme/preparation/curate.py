"""``showme data curate``: scores of every clip, computed once; which clips a rule keeps; and a page that shows it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data.cache import Part, build_parts
from ..data.cache.build import Progress
from ..data.media import Span
from ..data.rows import ClipRows
from ..data.sources.folder import INDEX
from ..data.sources.lists import write_exclusions, write_kept
from ..errors import InputError
from ..fingerprint import code_digest, digest_of
from ..perception import clip_similarity, dino_similarity, region_of_motion
from ..preparation.curation import (
    FRAME_NUMBERS,
    ChangeScores,
    GoalScores,
    HandScores,
    MotionScores,
    Scorer,
    Sheet,
    SheetClip,
    Verdict,
    apply,
    frame_numbers,
    render_sheet,
    scores,
    write_sheet,
)
from .annotate import look_of
from .config import CurateConfig, EstimatorsConfig
from .labels import HandsOfRows

KEPT, DROPPED, PAGE = "kept.jsonl", "dropped.jsonl", "index.html"
# Where a clip would end after each of the frames that were looked at, in the unit of its span.
_STOPS = "stops"


@dataclass(frozen=True)
class Curated:
    """What was decided. verdicts: by id. kept, dropped, page: files."""

    verdicts: dict[str, Verdict]
    kept: Path
    dropped: Path
    page: Path


def curate(config: CurateConfig, progress: Progress | None = None, ray: str | None = None) -> Curated:
    """Score every clip, judge all, and write the lists and the page.

    Scores stand in ``out`` for good: the same command with other thresholds, or another rule of the same scores,
    decodes no clip but those that the page shows.

    Args:
        config: what and how.
        progress: called with how far the scores are.
        ray: address of a Ray cluster that computes the scores; None: this process does.

    Raises:
        InputError: wrong settings, an estimator that the rule needs and nobody named, or a clip that cannot be read.
    """
    rows, part = score_part(config)
    if ray is not None:
        from .on_ray import build_on_ray

        build_on_ray(config.out, [part], ScoreMaker(config), ray, progress)
    reader = build_parts(config.out, [part], progress)[part.name]
    scores = {rows.record(row).id: {key: np.asarray(v) for key, v in reader[row].items()} for row in range(len(rows))}
    verdicts = apply(config.rule, scores)
    spans = {record.id: record.span for record in rows.records}
    kept = {
        name: _shortened(spans[name], scores[name], verdict.last) for name, verdict in verdicts.items() if verdict.kept
    }
    curated = Curated(verdicts, config.out / KEPT, config.out / DROPPED, config.out / PAGE)
    write_kept(curated.kept, kept)
    write_exclusions(curated.dropped, {name: each.reason for name, each in verdicts.items() if not each.kept})
    write_sheet(curated.page, _page(config, rows, verdicts, scores))
    return curated


class ScoreMaker:
    """Makes the part of the scores anew, in another process."""

    def __init__(self, config: CurateConfig):
        self.config = config

    def __call__(self) -> list[Part]:
        return [score_part(self.config)[1]]


def score_part(config: CurateConfig) -> tuple[ClipRows, Part]:
    """The clips, and the part that holds the scores which the rule reads; nothing is computed yet."""
    if config.look.sampling == "seer_blend":
        raise InputError("look.sampling seer_blend mixes frames, which rules cannot judge: choose another sampling.")
    rows = ClipRows(config.source.records(config.clips), look_of(config.look))
    scorer = _scorer(config.rule.scorer, config.estimators, rows)

    def encode(numbers: Sequence[int]) -> dict[str, Tensor]:
        scored = []
        for number, clip in zip(numbers, rows.read(numbers), strict=True):
            values = scorer(number).score(clip.frames, rows.record(number).instruction)
            stops = np.array([span.stop for span in clip.ends], np.float64)
            scored.append(values | {FRAME_NUMBERS: frame_numbers(clip.sample), _STOPS: stops})
        return {name: torch.from_numpy(np.stack([row[name] for row in scored])) for name in scored[0]}

    code = {"code of the scores": code_digest((scores, sys.modules[__name__]))}
    # What is said of a clip counts beside its pixels.
    texts = [digest_of(rows.record(row).instruction)[:16] for row in range(len(rows))]
    identities = [f"{pixels}.{text}" for pixels, text in zip(rows.identities, texts, strict=True)]
    return rows, Part(
        f"{config.rule.scorer}-scores", rows.fingerprint | scorer.fingerprint | code, identities, encode, chunk=1
    )


class _Always:
    """One scorer for every row."""

    def __init__(self, scorer: Scorer):
        self.scorer, self.fingerprint = scorer, scorer.fingerprint

    def __call__(self, row: int) -> Scorer:
        return self.scorer


class _OfHands:
    """Row -> a scorer of the hands that are the row's labels: sought in the clip's own pixels, given in the look's."""

    def __init__(self, rows: ClipRows, estimators: EstimatorsConfig):
        self.hands, self.hull = HandsOfRows(rows, estimators), estimators.region
        self.fingerprint = self.hands.fingerprint | {
            "hull": self.hull,
            "code of the region": code_digest([region_of_motion]),
        }

    def __call__(self, row: int) -> Scorer:
        (found,) = self.hands([row])
        return HandScores(
            lambda _: [_seen(*frame) for frame in zip(found["joints"], found["presence"], strict=True)], {}, self.hull
        )


@dataclass(frozen=True, eq=False)
class _Hand:
    """joints: (21, 3). presence: None where the estimator does not give it."""

    joints: np.ndarray
    presence: float | None


def _seen(joints: np.ndarray, presence: np.ndarray) -> list[_Hand]:
    """The hands of one frame's labels."""
    there = [slot for slot in range(len(joints)) if not np.isnan(joints[slot]).any()]
    return [_Hand(joints[slot], None if np.isnan(presence[slot]) else float(presence[slot])) for slot in there]


def _scorer(name: str, estimators: EstimatorsConfig, rows: ClipRows) -> _Always | _OfHands:
    if name == "hands":
        return _OfHands(rows, estimators)
    if name == "motion":
        return _Always(MotionScores())
    if estimators.clip is None:
        raise InputError("This rule asks CLIP: name it with estimators.clip=transformers:MODEL.")
    clip = clip_similarity(estimators.clip)
    if name == "change":
        return _Always(ChangeScores(clip))
    if estimators.dino is None:
        raise InputError("This rule asks DINOv2: name it with estimators.dino=transformers:MODEL.")
    return _Always(GoalScores(clip, dino_similarity(estimators.dino)))


def _shortened(span: Span | None, scores: dict[str, np.ndarray], last: int | None) -> Span | None:
    """A clip's span with the end that its verdict gives it; None where nothing changes."""
    if last is None:
        return None
    place = int(np.flatnonzero(scores[FRAME_NUMBERS] == last)[0])
    stop = float(scores[_STOPS][place])
    if span is None:
        return Span(0, stop, "frames")
    return Span(span.start, stop, span.unit)


def _estimators_of(config: CurateConfig) -> str:
    """Who saw what the rule judges."""
    estimators, scorer = config.estimators, config.rule.scorer
    if scorer == "hands":
        return f"hands {estimators.hands}, confidence {estimators.hand_confidence:g}, region {estimators.region}"
    if scorer == "motion":
        return "differences of pixels"
    return f"CLIP {estimators.clip}" + (f", DINOv2 {estimators.dino}" if scorer == "goal" else "")


def _page(
    config: CurateConfig, rows: ClipRows, verdicts: dict[str, Verdict], scores: dict[str, dict[str, np.ndarray]]
) -> str:
    places = {rows.record(row).id: row for row in range(len(rows))}

    def look(name: str) -> SheetClip:
        (clip,) = rows.read([places[name]])
        record = rows.record(places[name])
        return SheetClip(record.instruction, clip.frames, scores[name][FRAME_NUMBERS].astype(int).tolist())

    rule, seen = config.rule.model_dump(), config.look
    settings = {key.replace("_", " "): str(value) for key, value in rule.items() if key != "kind"}
    settings |= {
        "clips of": str(config.source.place),
        "looked at": f"{seen.frames} frames, {seen.sampling}, {seen.height} x {seen.width}, {seen.fit}",
        "estimators": _estimators_of(config),
    }
    measures = config.rule.measures(list(scores.values()))
    place = config.source.place
    title = f"{rule['kind']}: {(place.resolve().parent if place.name in INDEX else place).name}"
    return render_sheet(Sheet(title, settings, verdicts, measures), look, config.shown)
