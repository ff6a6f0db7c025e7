"""What is reported: the table, and each claim of the paper beside its paired difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from showme.evaluation.intervals import Interval, bootstrap

from .held_out import PAIRS
from .rows import ROWS
from .scores import FIGURES

# Seeds x scenes of one figure.
Values = np.ndarray


@dataclass(frozen=True)
class Claim:
    """``row`` is better than ``than`` by ``figure``, says the paper."""

    words: str
    row: str
    than: str
    figure: str


CLAIMS = (
    Claim("tuning for the picture helps the picture", "image", "base-image", "gain (dB)"),
    Claim("tuning for the video helps the video", "alone", "base-video", "gain (dB)"),
    Claim("the edge reward lowers the error of edges", "image-edge", "image", "edge error"),
    Claim("the depth reward lowers the error of depth", "image-depth", "image", "depth error"),
    Claim("both rewards lower the error of edges", "image-both", "image", "edge error"),
    Claim("both rewards lower the error of depth", "image-both", "image", "depth error"),
    Claim("the structure rewards do not cost the picture its gain", "image-both", "image", "gain (dB)"),
    Claim("temporal convolutions off are better for the picture", "image", "conv", "gain (dB)"),
    Claim("stage 1 helps the video", "video", "alone", "gain (dB)"),
    Claim("stage 1 helps the video to listen", "video", "alone", "fall by a wrong instruction (dB)"),
    Claim("the way helps the end: the video's last frame against the picture", "video", "image", "gain (dB)"),
    Claim("the motion reward lowers the divergence of motion", "video-motion", "video", "motion KL"),
    Claim("the motion reward does not cost the video its gain", "video-motion", "video", "gain (dB)"),
    Claim("adapters hold their own against tuning everything", "video", "full", "gain (dB)"),
)


def over_seeds_and_scenes(values: Values) -> Interval:
    """Mean and 95% interval of (seeds, scenes): scenes are resampled, each with all of its seeds."""
    return bootstrap(values.mean(axis=0))


def table(columns: dict[str, dict[str, Values]], costs: dict[str, tuple[int, float]]) -> str:
    """Markdown: a line per row; ``costs`` are trainable parameters and seconds per step."""
    titles = {"base-image": "base, asked for the picture", "base-video": "base, asked for the video"}
    titles |= {row.key: row.title for row in ROWS if row.title}
    heads = ["", *FIGURES, "trained", "s per step"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for key, title in titles.items():
        if key not in columns:
            continue
        cells = [_cell(columns[key].get(name)) for name in FIGURES]
        count, seconds = costs.get(key, (0, 0.0))
        cells += [f"{count / 1e6:.2f} M", f"{seconds:.2f}"] if count else ["0", "-"]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: Values | None) -> str:
    if values is None:
        return "-"
    interval = over_seeds_and_scenes(values)
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def claims(columns: dict[str, dict[str, Values]]) -> str:
    """Markdown: each claim, the paired difference over the same seeds and scenes, and whether it holds here."""
    lines = ["| claim | figure | difference | here |", "|---|---|---|---|"]
    for claim in CLAIMS:
        if claim.row not in columns or claim.than not in columns:
            continue
        values = columns[claim.row][claim.figure] - columns[claim.than][claim.figure]
        verdict = _verdict(over_seeds_and_scenes(values), FIGURES[claim.figure][1])
        lines.append(f"| {claim.words} | {claim.figure} | {_difference(values)} | {verdict} |")
    return "\n".join(lines)


def acting(terms: dict[str, dict[str, Values]]) -> str:
    """Markdown: each reward's own term on held-out clips with and without it.

    Args:
        terms: row -> term -> (seeds, batches).
    """
    lines = ["| reward of | its term | without | with | difference |", "|---|---|---|---|---|"]
    titles = {row.key: row.title for row in ROWS}
    for row, control, name in PAIRS:
        if row not in terms or control not in terms:
            continue
        with_it, without = terms[row][name], terms[control][name]
        cell = _difference(with_it - without, digits=4)
        lines.append(f"| {titles[row]} | {name} | {without.mean():.4f} | {with_it.mean():.4f} | {cell} |")
    return "\n".join(lines)


def _difference(values: Values, digits: int = 2) -> str:
    interval = over_seeds_and_scenes(values)
    spread = ", ".join(f"{value:+.{digits}f}" for value in values.mean(axis=1))
    return f"{interval.mean:+.{digits}f} [{interval.low:+.{digits}f}, {interval.high:+.{digits}f}] (by seed {spread})"


def _verdict(interval: Interval, better: int) -> str:
    low, high = sorted((better * interval.low, better * interval.high))
    if low > 0:
        return "holds"
    return "does not hold: the opposite" if high < 0 else "not decided: zero lies within"
