"""From what was kept of every clip to figures with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from .choose import Measure
from .extrapolation import distance_interval, extrapolate
from .intervals import bootstrap
from .metrics.base import ClipMetric, SetMetric
from .metrics.frechet import frechet_distance_of
from .metrics.kvd import kernel_distance
from .protocol import Protocol
from .results import Figure

# Features of every clip, as often as asked for.
Features = Callable[[], Iterator[Tensor]]

# A distance between sets takes long to compute anew.
_FEWER = 10
_LEAST = 16
# Metrics that compare each frame with the true one.
_TO_TRUTH = {"psnr", "ssim", "lpips", "clip_to_truth", "dino_to_truth"}


def clip_figure(name: str, measure: Measure, values: Tensor, protocol: Protocol) -> Figure:
    """The mean of a metric with one value (N,) per clip, NaN where there is none."""
    metric = measure.metric
    assert isinstance(metric, ClipMetric)
    metric.reset()
    metric.update(values)
    known = values[~values.isnan()].numpy()
    # One clip says nothing of others.
    interval = bootstrap(known, protocol.bootstrap, protocol.seed) if len(known) > 1 else None
    return Figure(
        name,
        measure.title,
        float(metric.compute()),
        interval.low if interval else None,
        interval.high if interval else None,
        len(values),
        metric.coverage,
        metric.better,
        metric.unit,
        "; ".join(
            filter(None, (_partly(len(known), len(values)), _shown(name, protocol), _judged(metric.fingerprint)))
        ),
        metric.fingerprint,
    )


def _shown(name: str, protocol: Protocol) -> str:
    """A note where frames that the model was shown count as if it had made them."""
    counted = protocol.condition_frames and protocol.shown_frames != "left_out"
    if protocol.task == "image" or not counted or name not in _TO_TRUTH:
        return ""
    return "the frames that the model was shown count, which flatters what repeats them"


def _judged(fingerprint: Mapping[str, Any]) -> str:
    """A note where a classifier judges, which errs as well."""
    accuracy = fingerprint.get("accuracy_on_true_renders")
    return "" if accuracy is None else f"the classifier itself is right on {accuracy:.1%} of true renders"


def _partly(known: int, count: int) -> str:
    """A note where not all clips have a value."""
    return f"of {known} of {count} clips; the others have no value" if 0 < known < count else ""


def set_figures(
    name: str, measure: Measure, generated: Features, truth: Features, protocol: Protocol
) -> dict[str, Figure]:
    """A distance between sets; FVD with its value for infinitely many clips beside it."""
    metric = measure.metric
    assert isinstance(metric, SetMetric)
    metric.reset()
    count = 0
    for made, true in zip(generated(), truth(), strict=True):
        metric.update(made, real=False)
        metric.update(true, real=True)
        count += len(made)
    value = float(metric.compute())
    metric.reset()
    figure = Figure(
        name, measure.title, value, None, None, count, 1.0, metric.better, metric.unit, "", metric.fingerprint
    )
    if name == "fid":
        return {name: figure}
    sides = torch.cat(list(generated())), torch.cat(list(truth()))
    distance = _distance(name, protocol)
    resamples = max(protocol.bootstrap // _FEWER, _FEWER)
    interval = distance_interval(distance, *sides, paired=True, resamples=resamples, seed=protocol.seed)
    note = f"of {count} clips"
    if name == "kvd" and protocol.kvd_centred:
        note += "; features were centred before, a quirk of the release"
    figure = Figure(**(vars(figure) | {"low": interval.low, "high": interval.high, "note": note}))
    if name != "fvd":
        return {name: figure}
    return {name: figure, "fvd_infinity": _without_bias(figure, distance, sides, protocol)}


def _without_bias(figure: Figure, distance: Callable, sides: tuple[Tensor, Tensor], protocol: Protocol) -> Figure:
    """FVD for infinitely many clips (arXiv 1911.07023)."""
    changed = {"name": "fvd_infinity", "title": "FVD, infinitely many clips", "low": None, "high": None}
    if figure.count < _LEAST:
        return Figure(**(vars(figure) | changed | {"value": math.nan, "note": f"needs {_LEAST} clips"}))
    found = extrapolate(distance, *sides, paired=True, seed=protocol.seed)
    note = f"a line in 1/N through {len(found.curve)} sizes; standard error of the fit {found.error:.3g}"
    if figure.count < sides[0].shape[-1]:
        # The bias goes as 1/N only where there are more clips than features.
        note += f"; of fewer clips than features, {sides[0].shape[-1]}, so still too high"
    return Figure(**(vars(figure) | changed | {"value": found.value, "note": note}))


def _distance(name: str, protocol: Protocol) -> Callable[[Tensor, Tensor], Tensor]:
    if name == "kvd":
        return lambda a, b: kernel_distance(a, b, protocol.kvd_centred)
    return lambda a, b: frechet_distance_of(a, b, protocol.covariance)
