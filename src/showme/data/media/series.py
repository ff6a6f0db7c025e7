"""Which of a folder's pictures are the clip: those of one series, of names that differ in their numbers alone.

Beside the frames folders hold optical flow, depth, a thumbnail, or the same frames in another format. Taken together
they would be a clip that nobody filmed; so one series is the clip, and where two could be, none is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import pairwise
from statistics import median_low

from ...errors import warn_once
from .numbering import NUMBER, are_of_one_clip, by_camera, keys_of

_WORD = re.compile(r"[a-z]+")
# What a series beside the frames is called: measurements and drawings of what the frames show.
_BESIDE = {
    *("flow", "flowx", "flowy", "depth", "disparity", "disp", "normal", "normals", "mask", "masks", "seg", "semantic"),
    *("segmentation", "ir", "infrared", "thermal", "edge", "edges", "confidence", "thumb", "thumbnail", "preview"),
}
# Of the same frames, the most faithful come first.
_FORMATS = (".png", ".bmp", ".webp", ".jpg")
_NAMED = 5


class SeriesError(ValueError):
    """Pictures that are no clip. reason: why. remedy: what to do."""

    def __init__(self, reason: str, remedy: str):
        self.reason, self.remedy = reason, remedy
        super().__init__(f"{reason}: {remedy}")


@dataclass(frozen=True)
class Series:
    """Pictures of a clip.

    kind: their names, ``*`` for numbers. names: in the order of their numbers. others: kinds of what is passed over.
    jump: two neighbouring numbers between which others are missing; None: there are none. joined: what a pattern takes
    together though it may be the pictures of several cameras.
    """

    kind: str
    names: Sequence[str]
    others: tuple[str, ...] = ()
    jump: tuple[int, int] | None = None
    joined: tuple[str, ...] = ()


def choose_series(names: Iterable[str], pattern: str | None = None) -> Series:
    """The clip among names of pictures, of which there is one at least.

    Args:
        names: of files, in any order.
        pattern: shell pattern of those that count, whatever their case; None: those of the one series there is.

    Raises:
        SeriesError: several series could be the clip, two pictures have one number, or none is of the pattern.
    """
    every = list(names)
    chosen = every if pattern is None else _matching(every, pattern)
    kinds: dict[str, list[str]] = {}
    for name in chosen:
        kinds.setdefault(_kind(name), []).append(name)
    try:
        if len(kinds) > 1:
            return _of_several(kinds)
        return _numbered(*next(iter(kinds.items())), several=pattern is not None)
    except _UndecidedError as error:
        raise _undecided(error.series, every, pattern) from error


def warn_of_series(place: object, data_set: object, series: Series) -> None:
    """Warn, once for a data set, of pictures that are passed over, and of numbers that are missing.

    Args:
        place: of the clip, for the message.
        data_set: what the clips that are alike belong to.
        series: of the clip.
    """
    if series.others:
        warn_once(
            ("series", str(data_set), series.kind, series.others),
            f"{place}: {series.kind} are the clip, and {', '.join(series.others[:_NAMED])} beside them are passed "
            "over, here and in clips alike: set pattern to take others.",
        )
    if series.joined:
        warn_once(
            ("joined", str(data_set)),
            f"{place}: the pattern takes {' and '.join(series.joined[:_NAMED])} for one clip, one after the other, "
            "here and in clips alike; if they are of several cameras, name one of these.",
        )
    if series.jump is not None:
        warn_once(
            ("jump", str(data_set)),
            f"{place}: no pictures have the numbers between {series.jump[0]} and {series.jump[1]}; the clip goes on "
            "without them, as others of the data set may: fetch it again if it should have them.",
        )


def natural_key(name: str) -> list[int | str]:
    """Sorts names with their numbers by value: ``im_2.jpg`` before ``im_10.jpg``."""
    parts = re.split(r"([0-9]{1,18})", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def _kind(name: str) -> str:
    kind = NUMBER.sub("*", name.lower())
    return kind.removesuffix(".jpeg") + ".jpg" if kind.endswith(".jpeg") else kind


def _stem(kind: str) -> str:
    return kind.rpartition(".")[0]


def _matching(names: list[str], pattern: str) -> list[str]:
    chosen = _selected(names, pattern)
    if not chosen:
        has = ", ".join(sorted({_kind(name) for name in names})[:_NAMED])
        raise SeriesError(f"none of its pictures is named {pattern!r}, they are {has}", "correct pattern")
    return chosen


def _selected(names: Iterable[str], pattern: str) -> list[str]:
    return [name for name in names if fnmatchcase(name.lower(), pattern.lower())]


def _of_several(kinds: dict[str, list[str]]) -> Series:
    """The series among names of several kinds."""
    left = {kind: names for kind, names in kinds.items() if "*" in _stem(kind)} or _alphabetical(kinds)
    left = {kind: names for kind, names in left.items() if not _BESIDE.intersection(_WORD.findall(kind))} or left
    many = {kind: names for kind, names in left.items() if len(names) > 1}
    single = len(left) - len(many)
    if len({_stem(kind) for kind in left}) > 1 and single > sum(map(len, many.values())):
        # Names of every sort, which are no series.
        return Series("*", sorted((name for names in kinds.values() for name in names), key=natural_key))
    left = many or left
    series = _same_in_formats(left) if len(left) > 1 else _numbered(*next(iter(left.items())))
    others = tuple(sorted(kind for kind, names in kinds.items() if not set(names) <= set(series.names)))
    return replace(series, others=others)


def _alphabetical(kinds: dict[str, list[str]]) -> dict[str, list[str]]:
    """Names without numbers, which differ in their words: one kind for every format."""
    formats: dict[str, list[str]] = {}
    for kind, names in kinds.items():
        formats.setdefault(f"*.{kind.rpartition('.')[2]}", []).extend(names)
    return formats


def _same_in_formats(kinds: dict[str, list[str]]) -> Series:
    """The series where kinds differ in their format alone: one after the other, or one twice."""
    if len({_stem(kind) for kind in kinds}) > 1:
        raise _UndecidedError(kinds)
    numbers = {kind: {_stem(name).lower() for name in names} for kind, names in kinds.items()}
    every = set().union(*numbers.values())
    if len(every) == sum(map(len, numbers.values())):
        kind = f"{_stem(next(iter(kinds)))}.*"
        return _numbered(kind, [name for names in kinds.values() for name in names])
    whole = [kind for kind in kinds if numbers[kind] == every]
    if not whole:
        raise _UndecidedError(kinds)
    best = min(whole, key=lambda kind: [kind.endswith(suffix) for suffix in _FORMATS].index(True))
    return _numbered(best, kinds[best])


class _UndecidedError(Exception):
    """Several series could be the clip. series: names of each, by what it is called where no pattern selects it."""

    def __init__(self, series: dict[str, list[str]]):
        self.series = series


def _undecided(series: dict[str, list[str]], every: list[str], pattern: str | None) -> SeriesError:
    """The error of what could be several clips, which offers patterns that select one of them and nothing else."""
    patterns = {kind: _pattern_of(names, every) for kind, names in sorted(series.items())[:_NAMED]}
    shown = " and ".join(f"{patterns[kind] or kind} ({len(series[kind])})" for kind in patterns)
    offered = min(filter(None, patterns.values()), default=None)
    whose = "its pictures are" if pattern is None else f"its pictures named {pattern!r} are"
    return SeriesError(
        f"{whose} of {len(series)} series, {shown}",
        f"say which as pattern, such as pattern={offered}" if offered else "put each series into a folder of its own",
    )


def _pattern_of(names: Sequence[str], every: Sequence[str]) -> str | None:
    """A shell pattern that selects ``names`` among ``every`` name; None: none was found."""
    columns = [set(column) for column in zip(*(NUMBER.findall(name) for name in names), strict=False)]
    literals = [part.replace("[", "[[]") for part in NUMBER.split(names[0].lower())]
    if len({_kind(name) for name in names}) > 1 or not columns:
        return None
    digits = [f"[0-9]{'*' if len(set(map(len, texts))) > 1 else '[0-9]' * (len(min(texts)) - 1)}" for texts in columns]
    for numbers in (["*"] * len(columns), ["*[0-9]"] * len(columns), ["[0-9]*"] * len(columns), digits):
        filled = [min(texts) if len(texts) == 1 else number for texts, number in zip(columns, numbers, strict=True)]
        for constant in (numbers, filled):
            pattern = "".join(a + b for a, b in zip(literals, [*constant, ""], strict=True))
            if set(_selected(every, pattern)) == set(names):
                return pattern
    return None


def _numbered(kind: str, names: Sequence[str], several: bool = False) -> Series:
    """One kind's names by their numbers. several: whether they may be those of several cameras."""
    keyed = sorted(zip(keys_of(names), names, strict=True))
    ordered = [name for _, name in keyed]
    columns = list(zip(*(numbers for numbers, _ in keyed), strict=False))
    for (before, one), (after, other) in pairwise(keyed):
        if before == after and columns:
            raise SeriesError(f"{one} and {other} have one number", "keep one of them")
    varying = [column for column in columns if len(set(column)) > 1]
    if len(varying) == 1 and all(isinstance(number, int) for number in varying[0]):
        return Series(kind, ordered, jump=_jump(varying[0]))
    if are_of_one_clip(ordered):
        return Series(kind, ordered)
    cameras = {each[0]: each for each in by_camera(ordered)}
    if not several:
        raise _UndecidedError(cameras)
    return Series(
        kind, ordered, joined=tuple(_pattern_of(each, names) or f"{first}, ..." for first, each in cameras.items())
    )


def _jump(numbers: Sequence[int]) -> tuple[int, int] | None:
    """The first two neighbours between which there is room for others, given the usual step."""
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        return None
    steps = [after - before for before, after in pairwise(numbers)]
    usual = median_low(steps)
    place = next((place for place, step in enumerate(steps) if step >= 2 * usual), None)
    return None if place is None else (numbers[place], numbers[place + 1])
