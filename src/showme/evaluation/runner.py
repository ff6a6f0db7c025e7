"""An evaluation from its request to its result: streaming, resumable at any clip, shared by several processes.

What a metric needs of a clip, a value or features, is computed once and kept in a cache like those of training; figures
are computed from what is kept. A killed run goes on where it stopped, and its result has the bytes of an unbroken one.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import __version__, perception
from ..data.cache import Part, PartReader, build_parts
from ..data.cache.build import Progress
from ..data.media import Media, PictureFiles, Pictures
from ..data.sources.folder import INDEX
from ..errors import ShowMeWarning, TruncationWarning
from ..fingerprint import code_digest
from ..perception import hands
from ..threads import usable_cores
from . import metrics, networks
from .baselines import FirstFrame, NearestTraining, ThroughCodec
from .choose import Measure, make_measures
from .clip_sets import ClipSet, paired
from .figures import clip_figure, set_figures
from .metrics.base import ClipMetric, SetMetric
from .models import Generated, Model
from .pairs import Candidate, Codec, Files, PairRows, ReferenceRows, as_tensor, check_generated, check_reference
from .protocol import Protocol
from .request import FoundClips, Request, check_request, find_clips, records_of
from .results import FILE, Column, Figure, Result, write_result
from .subset import choose_clips

# That a warning names.
_SIZES = 3
_QUIRKY = {"kvd_centred": ("kvd",), "lpips_range": ("lpips",)}


class Evaluation:
    """What is judged, ready to be judged.

    Args:
        request: what is asked.
        progress: called with how far each part is.
        found: the clips of the request, where they were found before.

    Raises:
        InputError: wrong settings, clips that do not pair or do not fit the protocol, or a network that is missing.
    """

    def __init__(self, request: Request, progress: Progress | None = None, found: FoundClips | None = None):
        check_request(request)
        if request.generated is not None and request.generated.resolve() == Path(request.reference).resolve():
            warnings.warn(f"{request.generated} is judged against itself: every figure will be that of equal clips.",
                          ShowMeWarning, stacklevel=2)  # fmt: skip
        self.request, self.protocol, self.progress = request, request.protocol, progress
        self.cache = request.cache or request.out / "features"
        self.device = request.device or ("cuda" if torch.cuda.is_available() else "cpu")
        found = found or find_clips(request)
        records = choose_clips(found.known, request, progress)
        self.model = Model(request.model, request.device, request.long_instructions) if request.model else None
        self.codec = self._codec()
        ids = list(records) if found.given is None else paired(found.given, records, found.known)
        self.records = [records[name] for name in ids]
        self.reference = ReferenceRows(self.records, self.protocol, self.codec)
        self.candidate = self._candidate(found.given, ids)
        self.measures = make_measures(self.protocol, request.weights, self.reference)
        self.sizes = self._check()
        self._warned: set[str] = set()

    def run(self) -> Result:
        """Judge the clips and the baselines.

        Raises:
            InputError: a clip that cannot be read.
        """
        if isinstance(self.candidate, Generated):
            self.candidate.make_all(self.progress)
        candidates = [self.candidate, *self.baselines()]
        model, *baselines = [self.judge(each) for each in candidates]
        result = Result(
            protocol=self.protocol.model_dump(mode="json"),
            ids=[record.id for record in self.records],
            model=model,
            baselines=baselines,
            without_quirks=self._without_quirks(candidates),
            record=self._record(),
        )
        write_result(self.request.out / FILE, result)
        return result

    def baselines(self) -> Iterator[Candidate]:
        """What needs no training, as far as it can be had."""
        image = self.protocol.task == "image"
        yield FirstFrame(self.protocol)
        # Where true frames go through it themselves, it would be the truth once more through the codec.
        if self.codec is not None and not self.protocol.through_codec:
            yield ThroughCodec(self.codec, self.codec_digest, image)
        if self.request.training is not None:
            training = records_of(self.request.training)
            yield NearestTraining(training, self.reference, self.cache, self.progress)

    def _codec(self) -> Codec | None:
        model = self.model
        if self.request.codec is not None:
            model = Model(self.request.codec, self.request.device)
        self.codec_digest = "" if model is None else model.weights
        return None if model is None else model.codec

    def _candidate(self, given: ClipSet | None, ids: Sequence[str]) -> Candidate:
        if given is None:
            assert self.model is not None
            return Generated(self.model, self.reference, self.request.out, self.request.name, self.request.region)
        place = given.place.resolve()
        name = self.request.name or (place.parent.name if place.name in INDEX else place.stem)
        pictures = [given.pictures.get(each) for each in ids]
        clips = [given.clips[each] for each in ids]
        if self.protocol.task == "image":
            # A picture of the result that stands beside a clip is what is judged.
            clips = [
                clip if picture is None else PictureFiles(picture.parent, names=(picture.name,))
                for clip, picture in zip(clips, pictures, strict=True)
            ]
        return Files(name, clips, pictures, self.protocol)

    def _check(self) -> dict[str, int]:
        """Every clip's form, before anything is computed: how many generated ones there are of each size."""
        sizes: Counter[str] = Counter()
        for number, record in enumerate(self.records):
            check_reference(record, self.protocol)
            if isinstance(self.candidate, Files):
                height, width = check_generated(self.candidate.clips[number], self.protocol, record)
                sizes[f"{width}x{height}"] += 1
            if self.progress is not None:
                self.progress("looked at", number + 1, len(self.records), 0)
        if len(sizes) > 1:
            shown = ", ".join(f"{count} of {size}" for size, count in sizes.most_common(_SIZES))
            warnings.warn(f"The generated clips have {len(sizes)} sizes ({shown}): all are scaled to "
                          f"{self.protocol.width}x{self.protocol.height}.", ShowMeWarning, stacklevel=2)  # fmt: skip
        return dict(sizes)

    def judge(
        self,
        candidate: Candidate,
        protocol: Protocol | None = None,
        measures: Mapping[str, Measure] | None = None,
    ) -> Column:
        """Figures of one candidate.

        Args:
            candidate: whose clips are judged.
            protocol: another than the request's.
            measures: of that protocol.

        Raises:
            InputError: a clip that cannot be read.
        """
        protocol, measures = protocol or self.protocol, measures or self.measures
        self._warn_of_truncation(measures)
        rows = PairRows(candidate, self.reference, protocol)
        parts = {part.name: part for each in measures.values() for part in self._parts(each, rows)}
        progress = None if self.progress is None else _Sum(self.progress, candidate.name, len(parts))
        readers = build_parts(self.cache, list(parts.values()), progress, self._workers())
        figures: dict[str, Figure] = {}
        clips: dict[str, list[float | None]] = {}
        for name, measure in measures.items():
            if isinstance(measure.metric, ClipMetric):
                values = _column(readers[measure.part], "value")
                figures[name] = clip_figure(name, measure, values, protocol)
                clips[name] = [None if torch.isnan(each) else float(each) for each in values]
            else:
                generated, truth = (_side(readers[f"{measure.part}-{side}"]) for side in ("generated", "truth"))
                figures |= set_figures(name, measure, generated, truth, protocol)
        return Column(candidate.name, figures, clips)

    def _warn_of_truncation(self, measures: Mapping[str, Measure]) -> None:
        """Warn of instructions that a metric reads without their ends: once of each network, whoever is judged."""
        metrics = [each.metric for each in measures.values() if isinstance(each.metric, ClipMetric)]
        for reader in {id(each.text_reader): each.text_reader for each in metrics}.values():
            sentence = None if reader is None else reader.cuts([record.instruction for record in self.records])
            if sentence is not None and sentence not in self._warned:
                self._warned.add(sentence)
                warnings.warn(sentence, TruncationWarning, stacklevel=3)

    def _parts(self, measure: Measure, rows: PairRows) -> Iterator[Part]:
        metric = measure.metric.to(self.device)
        fingerprint = {
            "metric": type(metric).__name__,
            **measure.part_fingerprint,
            "device": torch.device(self.device).type,
        }
        fingerprint["code"] = _code_of(metric)
        if isinstance(metric, ClipMetric):
            score = self._scorer(metric, rows)
            yield Part(measure.part, rows.fingerprint | fingerprint, rows.identities, score, chunk=1)
            return
        made, true = self._features(metric, rows.generated), self._features(metric, rows.reference.compared)
        yield Part(f"{measure.part}-generated", rows.fingerprint | fingerprint, rows.identities, made, chunk=1)
        # Of true clips the features are the same for every model: a shared cache has them once.
        reference = rows.reference
        yield Part(f"{measure.part}-truth", reference.fingerprint | fingerprint, reference.identities, true, chunk=1)

    def _scorer(self, metric: ClipMetric, rows: PairRows) -> Callable[[Sequence[int]], dict[str, Tensor]]:
        @torch.no_grad()
        def encode(numbers: Sequence[int]) -> dict[str, Tensor]:
            values = [metric.score(rows.pairs(number).to(self.device)) for number in numbers]
            return {"value": torch.cat(values).double().cpu()}

        return encode

    def _features(self, metric: SetMetric, frames: Callable) -> Callable[[Sequence[int]], dict[str, Tensor]]:
        @torch.no_grad()
        def encode(numbers: Sequence[int]) -> dict[str, Tensor]:
            clips = [metric.features(as_tensor(frames(number))[None].to(self.device)) for number in numbers]
            return {"features": torch.cat(clips).float().cpu()}

        return encode

    def _workers(self) -> int:
        return 2 if self.device.startswith("cuda") else usable_cores()

    def _without_quirks(self, candidates: Sequence[Candidate]) -> list[Column]:
        plain = self.protocol.without_quirks()
        differing = [name for name in Protocol.quirks if getattr(plain, name) != getattr(self.protocol, name)]
        if not differing:
            return []
        if "generated_range" not in differing:
            touched = {metric for quirk in differing for metric in _QUIRKY[quirk]}
            plain = plain.model_copy(update={"metrics": [name for name in plain.metrics if name in touched]})
        measures = make_measures(plain, self.request.weights, self.reference)
        return [self.judge(each, plain, measures) for each in candidates] if measures else []

    def _record(self) -> dict[str, Any]:
        kinds: dict[str, int]
        if isinstance(self.candidate, Files):
            kinds = _kinds(self.candidate.clips)
            generated: dict[str, Any] = {"files": kinds, "sizes": self.sizes}
        else:
            assert isinstance(self.candidate, Generated)
            generated = {
                "model": self.candidate.fingerprint["model"],
                "kept as": "arrays, not re-read from a video file",
            }
            if self.candidate.region != "own":
                generated["region"] = self.candidate.region
        return {
            "count": len(self.records),
            "generated": generated,
            "reference": {"files": _kinds([each.media for each in self.records])},
            "dtype": "float32, statistics in float64",
            "device": torch.device(self.device).type,
            "showme": __version__,
            "torch": torch.__version__,
        }


def evaluate(request: Request, progress: Progress | None = None) -> tuple[Evaluation, Result]:
    """Judge clips as a request says, and write ``result.json`` into its folder.

    Raises:
        InputError: as :class:`Evaluation` and its ``run``.
    """
    evaluation = Evaluation(request, progress)
    return evaluation, evaluation.run()


def _kinds(clips: Sequence[Media]) -> dict[str, int]:
    """How many clips there are of each kind of file."""
    kinds: Counter[str] = Counter()
    for clip in clips:
        name = clip.names[0] if isinstance(clip, PictureFiles) else clip.path.name
        kinds["folder of pictures" if isinstance(clip, Pictures) else Path(name).suffix.lower()] += 1
    return dict(kinds)


def _code_of(metric: ClipMetric | SetMetric) -> str:
    """Digest of the code that a metric's values come from: its folder, the estimators, what it imports of ours."""
    own = sys.modules[type(metric).__module__]
    used = {str(getattr(each, "__module__", "")) for each in vars(own).values()}
    ours = [sys.modules[name] for name in sorted(used) if name.startswith("showme.")]
    return code_digest([metrics, networks, perception, hands, *ours])


class _Sum:
    """Reports how far all parts of a candidate are together: of clips, each counted once."""

    def __init__(self, progress: Progress, name: str, parts: int):
        self.progress, self.name, self.parts = progress, name, parts
        self.counts: dict[str, tuple[int, int]] = {}

    def __call__(self, part: str, done: int, rows: int, size: int) -> None:
        self.counts[part] = done, size
        share = sum(done for done, _ in self.counts.values()) / self.parts
        self.progress(self.name, int(share), rows, sum(size for _, size in self.counts.values()))


def _column(reader: PartReader, name: str) -> Tensor:
    return torch.stack([reader[row][name] for row in range(len(reader))])


def _side(reader: PartReader) -> Callable[[], Iterator[Tensor]]:
    """Features clip by clip, as often as asked for: nothing holds them all."""
    return lambda: (reader[row]["features"][None] for row in range(len(reader)))
